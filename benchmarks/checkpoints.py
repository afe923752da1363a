"""What a checkpoint costs: the time to write one, as a share of the minute between two.

    python benchmarks/checkpoints.py

Each case saves after every block of steps into a folder on the disk, file and folder synced; the median of what one
save takes, in wall-clock time, over 60 s. The default writes one each minute in runs that last longer.

Last run (two cores, other work beside it): 10 to 55 ms for single runs of up to 100,000 parameters, 160 ms for the GPT
of 800,000, 34 and 87 ms for the two sweeps: 0.02% to 0.27% of a minute, where 1% was the aim.
"""

import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from descend.engine import run as single
from descend.engine.checkpoint import Every, save
from descend.menu.build import build
from descend.menu.compose import compose
from descend.sweeps import batch
from descend.sweeps.batch import run_group
from descend.sweeps.checkpoints import Checkpoints
from descend.sweeps.group import groups
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

Measure = Callable[[list[str], Path], list[float]]
"""Carries out overrides in a folder, and returns how long each save took."""

MINUTE = 60.0
TARGET = 0.01
QUIET = ["metrics=none", "derivatives=none"]
RUNS = {
    "a run of Rosenbrock": ["objective=rosenbrock", "compile=false", "steps=3000"],
    "a run of digits_mlp, Adam": ["objective=digits_mlp", "optimizer=adam", "steps=600"],
    "a run of mnist_mlp, Adam": ["objective=mnist_mlp", "optimizer=adam", "steps=60"],
    "a run of char_gpt, AdamW": ["objective=char_gpt", "optimizer=adamw", "steps=10", "objective.most_evaluated=64"],
}
SWEEPS = {
    "1,024 rates of Rosenbrock": ["objective=rosenbrock", "compile=false", "steps=300", "seed=range(0,1024)"],
    "64 seeds of digits_mlp": ["objective=digits_mlp", "optimizer=adam", "steps=30", "seed=range(0,64)"],
}


@contextmanager
def timed(module: Any) -> Iterator[list[float]]:
    """Note how long each save of a module takes."""
    took: list[float] = []

    def noted(*args: Any) -> None:
        began = time.perf_counter()
        save(*args)
        took.append(time.perf_counter() - began)

    with patch.object(module, "save", noted):
        yield took


def of_a_run(overrides: list[str], folder: Path) -> list[float]:
    overrides = [*overrides, *QUIET]
    run = single.Run(build(compose(overrides), overrides))
    with timed(single) as took:
        run.keep(folder / "checkpoint.pt", Every(steps=1), [])
        [*_] = run
    return took


def of_a_sweep(overrides: list[str], folder: Path) -> list[float]:
    [group] = groups(jobs([*overrides, *QUIET], Grid()), built)
    with timed(batch) as took:
        [*_] = run_group(group, 1 << 33, checkpoints=Checkpoints(folder, Every(steps=1)))
    return took


def main() -> None:
    cases: list[tuple[str, Measure, list[str]]] = [(name, of_a_run, overrides) for name, overrides in RUNS.items()]
    cases += [(name, of_a_sweep, overrides) for name, overrides in SWEEPS.items()]
    reached = True
    print(f"{'case':<28}  saves  median      of a minute  target   reached")
    for name, of, overrides in cases:
        with tempfile.TemporaryDirectory() as folder:
            took = of(overrides, Path(folder))
        median = statistics.median(itertools.islice(took, 1, None))
        share, good = median / MINUTE, median / MINUTE <= TARGET
        reached = reached and good
        told = f"{len(took):5d}  {1000 * median:7.1f} ms  {share:11.4%}  {TARGET:.0%}"
        print(f"{name:<28}  {told}      {'yes' if good else 'no'}")
    sys.exit(not reached)


if __name__ == "__main__":
    main()
