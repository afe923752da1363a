"""Kill a sweep with SIGKILL at random moments, let `sweep.resume` finish it, and compare with one left alone.

    python benchmarks/kills.py [moments] [seed]

Prints for each moment how many runs were done by then, and exits with 1 where the final table differs from that of the
undisturbed sweep, where a run that was in the index is not there any more, or was made a second time.
"""

import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
# Some thirty chunks: the memory allowed holds a few of the runs.
SWEEP = ["objective=rosenbrock", "optimizer=adam,sgd", "optimizer.lr=tag(log,interval(1e-4,1))", "sweep.points=32"]
SWEEP += ["steps=400", "metrics=none", "derivatives=none", "sweep.memory=3000", "sweep.keep=none"]

Rows = dict[int, tuple[object, ...]]


def start(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "run.py"), "-m", *SWEEP, *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"the sweep ended with {process.returncode}: {said.decode()}")


def index(folder: Path) -> Rows:
    """Return what the index holds of each run; nothing until it exists."""
    try:
        with sqlite3.connect(f"file:{folder / 'sweep' / 'sweep.db'}?mode=ro", uri=True) as found:
            return {row[0]: row for row in found.execute("select * from runs order by 1")}
    except sqlite3.Error:
        return {}


def table(folder: Path) -> pl.DataFrame:
    """Return the sweep's table without what no two sweeps share: the time each run took."""
    found = pl.read_parquet(folder / "sweep" / "sweep.parquet")
    return found.drop([name for name in found.columns if name.startswith(("seconds", "provenance"))])


def killed(after: float, expected: pl.DataFrame) -> str:
    """Kill a sweep so many seconds after its start, resume it, and return what is wrong, if anything is."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        process = start(folder, "hydra.sweep.dir=sweep")
        time.sleep(after)
        process.kill()
        process.communicate()
        before = index(folder)
        print(f"killed after {after:5.2f} s, {len(before):2d} of {len(expected)} runs done", end=": ", flush=True)
        resumes = (folder / "sweep" / "sweep.db").exists()
        finish(start(folder, "sweep.resume=sweep" if resumes else "hydra.sweep.dir=sweep"))
        after_all = index(folder)
        if any(after_all.get(run) != row for run, row in before.items()):
            return "a run that was done is gone, or was made again"
        return "" if table(folder).equals(expected) else "another table"


def main() -> None:
    moments = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    draw = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        finish(start(Path(place), "hydra.sweep.dir=sweep"))
        took = time.perf_counter() - began
        expected = table(Path(place))
    faults = 0
    for _ in range(moments):
        wrong = killed(draw.uniform(0, took), expected)
        faults += bool(wrong)
        print(wrong or "the same table")
    print(f"{moments - faults} of {moments} sweeps ended as if they had not been killed")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
