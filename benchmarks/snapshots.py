"""What the snapshots of a run cost: the time of a run that keeps them, over that of the same run without.

    python benchmarks/snapshots.py

Each case makes a run with checkpoints into a folder on the disk, once with `checkpoint.snapshots=auto` and once with 0,
in turn, in one process; printed is the ratio of the medians of the loop's and the last writing's wall-clock time.

Last run (two cores, 15 other processes beside it): 1.15, 1.25, 1.05 and 0.95 in the order of the first four; the fifth
varied by more than what it measures. In CPU time a snapshot of two numbers took 0.3 ms, and all of them a fifth of the
quarter of a second that 2,000 steps of Rosenbrock take.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from descend.engine.checkpoint import Every
from descend.engine.run import Run, drive
from descend.menu.build import build
from descend.menu.compose import compose

ROUNDS = 9
QUIET = ["metrics=none", "derivatives=none"]
RUNS = {
    "Rosenbrock, 2,000 steps": ["objective=rosenbrock", "compile=false", "steps=2000"],
    "Rosenbrock, 100,000 steps, a kernel": ["objective=rosenbrock", "compile=true", "steps=100000"],
    "digits_mlp, 2,000 steps": ["objective=digits_mlp", "steps=2000"],
    "mnist1d_cnn, 300 steps": ["objective=mnist1d_cnn", "steps=300"],
    "char_gpt, 20 steps": ["objective=char_gpt", "steps=20", "objective.most_evaluated=64"],
}


def seconds(overrides: list[str], most: int | None) -> float:
    """Return how long a run takes that keeps so many snapshots at most."""
    run = Run(build(compose(overrides), overrides))
    with tempfile.TemporaryDirectory() as folder:
        run.keep(Path(folder) / "checkpoint.pt", Every(), [])
        run.keep_snapshots(Path(folder) / "snapshots.pt", most)
        began = time.perf_counter()
        drive(run, [])
        return time.perf_counter() - began


def main() -> None:
    for name, overrides in RUNS.items():
        if sys.argv[1:] and not name.startswith(sys.argv[1]):
            continue
        pairs = [[seconds([*QUIET, *overrides], most) for most in (None, 0)] for _ in range(ROUNDS)]
        with_them, without = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(f"{name:40} {with_them / without:5.2f} ({with_them:.3f} s, without {without:.3f} s)", flush=True)


if __name__ == "__main__":
    main()
