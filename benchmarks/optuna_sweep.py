"""`sweep=optuna` against Hydra's own Optuna sweeper: the same command, settings and steps, start-up included.

Both run Adam on Rosenbrock for 200 steps, TPE choosing the learning rate, 64 trials at a time. The peer starts a job
for each trial; it is timed on 64 and on 128 trials, and its time for all 320 is taken along the line through both. CPU
time counts what a process does; wall time adds waiting for the disk, and on a busy machine for others.

Hydra's sweeper needs Optuna 2, and so a virtual environment of its own with descend's other packages:

    python -m venv peer && peer/bin/pip install -e . hydra-optuna-sweeper==1.3.0 'sqlalchemy<2' 'alembic<1.13'
    python benchmarks/optuna_sweep.py peer/bin/python [rounds]

Last run (three rounds; two cores that a dozen other processes shared, so that the wall time says little): the peer took
28 times as long in CPU time (173 to 190 s against 6.0 to 6.9 s) and 19 times in wall time. Before the study had a
journal, `sweep=optuna` took 18 s of CPU where it takes 6.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = Path(__file__).resolve().parents[1] / "run.py"
TASK = ["objective=rosenbrock", "optimizer=adam", "optimizer.lr=tag(log,interval(1e-4,0.1))", "steps=200"]
TRIALS, BATCH, FEW = 320, 64, (64, 128)


def seconds(python: str, *overrides: str) -> tuple[float, float]:
    """Return the CPU and the wall seconds of a multirun in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([python, RUN, "-m", *TASK, *overrides], cwd=folder, check=True, capture_output=True)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def ours() -> tuple[float, float]:
    return seconds(sys.executable, "sweep=optuna", f"sweep.points={TRIALS}", f"sweep.batch={BATCH}")


def theirs(python: str, trials: int) -> tuple[float, float]:
    sweeper = ["hydra/sweeper=optuna", f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={BATCH}"]
    return seconds(python, *sweeper)


def line(few: float, more: float) -> float:
    """Return the time for all trials, along the line through two."""
    return few + (more - few) * (TRIALS - FEW[0]) / (FEW[1] - FEW[0])


def main() -> None:
    peer, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    found = []
    for _ in range(rounds):
        few, mine, more = theirs(peer, FEW[0]), ours(), theirs(peer, FEW[1])
        peers = tuple(map(line, few, more))
        found.append((mine, peers))
        print(f"CPU {mine[0]:.1f} s against {peers[0]:.1f}, wall {mine[1]:.1f} s against {peers[1]:.1f}", flush=True)
    for place, name in enumerate(("CPU", "wall")):
        ratio = statistics.median(peers[place] / mine[place] for mine, peers in found)
        print(f"{name}: the peer takes {ratio:.1f} times as long")


if __name__ == "__main__":
    main()
