"""Kill runs and sweeps with SIGKILL at random moments, resume them until they are done, and compare to the bit.

    python benchmarks/kills.py [kills] [seed]

Each of the cases below is run once undisturbed, in a process of its own, and once more being killed after a time drawn
over how long that took, again and again, until it has survived. Prints a table; exits with 1 where anything differs
from what the undisturbed one left: a result, a parameter, a record or an event that is lost or there twice, or a file
that cannot be read.

Last whole run (100 kills with seed 7, 100 with seed 8, 2026-11-30, torch 2.13, two busy cores): all 107 ends the same
to the bit; 0 records lost, 0 twice, 0 files unreadable, no end in an error.
"""

import itertools
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import torch
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

ROOT = Path(__file__).resolve().parents[1]
NETWORK = ["objective=digits_mlp", "objective.network.hidden=[16]"]
RATES = "optimizer.lr=tag(log,interval(1e-4,1))"

RUNS = {
    "function, graph": ["objective=rosenbrock", "compile=false", "steps=3000"],
    "function, kernel": ["objective=rosenbrock", "compile=true", "steps=400000", "metrics=none", "derivatives=none"],
    "network, graph": [*NETWORK, "compile=false", "steps=600"],
    "network, compiled": [*NETWORK, "compile=true", "steps=2000"],
    "network, python": [*NETWORK, "optimizer=torch", "optimizer.name=Adafactor", "steps=400"],
    "two losses, graph": ["objective=fonseca_fleming", "aggregator=famo", "compile=false", "steps=2000"],
}
# Several chunks: the memory allowed holds some of the runs.
SWEEPS = {
    "sweep, graph": ["objective=rosenbrock", "compile=false", "optimizer=adam,sgd", RATES, "sweep.memory=5000"],
    "sweep, kernel": ["objective=rosenbrock", "compile=true", "steps=50000", "optimizer=adam", RATES],
    "sweep, network": [*NETWORK, "compile=false", "steps=300", "seed=range(0,8)"],
    "sweep, kept runs": ["objective=rosenbrock", "compile=false", RATES, "sweep.memory=5000", "sweep.keep=all"],
}
OF_SWEEPS = ["metrics=none", "derivatives=none"]
EVERY = "checkpoint.every=0.2s"


@dataclass
class Found:
    """What was found of one case: kills, ends that are the same, and what is wrong."""

    kills: int = 0
    ends: int = 0
    same: int = 0
    lost: int = 0
    twice: int = 0
    unreadable: int = 0
    faults: list[str] = field(default_factory=list)


def start(place: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def command(case: str, place: Path) -> list[str]:
    """Return the arguments that begin a case, or go on with what is there of it."""
    folder = place / "made"
    if case in SWEEPS:
        more = "sweep.resume=made" if (folder / "sweep.db").exists() else "hydra.sweep.dir=made"
        own = SWEEPS[case] if any("steps=" in x for x in SWEEPS[case]) else [*SWEEPS[case], "steps=600"]
        points = ["sweep.points=16"] if any("interval" in x for x in own) else []
        if more.startswith("hydra"):
            shutil.rmtree(folder, ignore_errors=True)  # a kill while it started
        keep = [] if any("sweep.keep" in x for x in own) else ["sweep.keep=none"]
        return ["-m", *own, *points, *keep, *OF_SWEEPS, EVERY, more]
    if (folder / ".hydra" / "overrides.yaml").exists():
        return ["resume=made"]
    shutil.rmtree(folder, ignore_errors=True)
    return [*RUNS[case], EVERY, "hydra.run.dir=made"]


def finish(process: subprocess.Popen[bytes]) -> None:
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"it ended with {process.returncode}: {said.decode()}")


def disturbed(case: str, place: Path, took: float, kills: int, draw: random.Random) -> None:
    """Kill a case so many times, each time after going on, and let it go on to its end."""
    for _ in range(kills):
        process = start(place, command(case, place))
        try:
            process.wait(draw.uniform(0, took))
        except subprocess.TimeoutExpired:
            process.kill()
        _, said = process.communicate()
        if process.returncode not in (0, -9):
            raise RuntimeError(f"it ended with {process.returncode}: {said.decode()}")
    finish(start(place, command(case, place)))


def left_by_run(folder: Path) -> tuple[dict[str, Any], Counter[Any]]:
    """Return a run's end, and all that it recorded: rows and events, each with how often it is there."""
    result = json.loads((folder / "result.json").read_text())
    end = {name: x for name, x in result.items() if name not in ("seconds", "provenance")}
    end["params"] = parameters(folder / "checkpoint.pt")
    counts: Counter[Any] = Counter(pl.read_parquet(folder / "records.parquet").select("step", "name", "value").rows())
    files = sorted(folder.glob("events.out.tfevents.*"))
    every = itertools.chain.from_iterable(RawEventFileLoader(str(path)).Load() for path in files)
    for event in map(Event.FromString, every):
        for value in event.summary.value:
            timed = value.tag.startswith("_hparams_") or value.tag == "result"  # they tell of seconds, too
            said = b"" if timed else value.SerializeToString()
            counts["event", event.step, value.tag, said] += 1
    return end, counts


def left_by_sweep(folder: Path) -> tuple[dict[str, Any], Counter[Any]]:
    """Return a sweep's table, and the rows of its curves, each with how often it is there."""
    table = pl.read_parquet(folder / "sweep.parquet")
    kept = [name for name in table.columns if not name.startswith(("seconds", "provenance"))]
    with sqlite3.connect(folder / "sweep.db") as index:
        runs = index.execute("select run, status from runs order by 1").fetchall()
    counts = Counter(pl.read_parquet(sorted((folder / "curves").glob("*.parquet"))).rows())
    left = [str(path) for pattern in ("checkpoints/*/*", "ends/*") for path in folder.glob(pattern)]
    own = {path.parent.name: parameters(path) for path in sorted(folder.glob("*-*/checkpoint.pt"))}
    return {"table": repr(table.select(kept).rows()), "index": runs, "left over": left, "kept": own}, counts


def parameters(path: Path) -> dict[str, bytes]:
    """Return the bytes of the parameters in a checkpoint."""
    return {name: x.numpy().tobytes() for name, x in torch.load(path, weights_only=True)["trained"]["last"].items()}


def compare(found: Found, folder: Path, expected: tuple[dict[str, Any], Counter[Any]], sweep: bool) -> None:
    """Note how what was left differs from what is expected."""
    try:
        end, counts = (left_by_sweep if sweep else left_by_run)(folder)
    except Exception as error:  # whatever reading a broken file raises
        found.unreadable += 1
        found.faults.append(f"{type(error).__name__}: {error}")
        return
    lost, more = expected[1] - counts, counts - expected[1]
    found.lost += lost.total()
    found.twice += more.total()
    other = [name for name in expected[0] if repr(end.get(name)) != repr(expected[0][name])]
    found.same += not (other or lost or more)
    found.faults += [f"another {name}" for name in other] + [f"lost: {x}" for x in list(lost)[:3]]
    found.faults += [f"too many: {x}" for x in list(more)[:3]]


def undisturbed(case: str) -> tuple[float, tuple[dict[str, Any], Counter[Any]]]:
    """Return how long a case takes, from the start of its process, and what it leaves."""
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        finish(start(Path(place), command(case, Path(place))))
        took = time.perf_counter() - began
        return took, (left_by_sweep if case in SWEEPS else left_by_run)(Path(place) / "made")


def tried(case: str, kills: int, draw: random.Random) -> Found:
    """Return what was found of a case that was killed so many times, at most three times on the way to one end."""
    found = Found(kills)
    took, expected = undisturbed(case)
    left = kills
    while left:
        some = min(left, draw.randint(1, 3))
        left -= some
        found.ends += 1
        with tempfile.TemporaryDirectory() as place:
            try:
                disturbed(case, Path(place), took, some, draw)
            except RuntimeError as error:
                found.faults.append(str(error))
                continue
            compare(found, Path(place) / "made", expected, case in SWEEPS)
    return found


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    draw = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    cases = [*RUNS, *SWEEPS]
    draw.shuffle(cases)
    shares = {case: kills // len(cases) + (i < kills % len(cases)) for i, case in enumerate(cases)}
    print(f"{'case':<20}{'kills':>6}{'ends':>6}{'same':>6}{'lost':>6}{'twice':>6}{'unreadable':>11}", flush=True)
    bad = 0
    for case, share in shares.items():
        if not share:
            continue
        x = tried(case, share, draw)
        line = f"{case:<20}{x.kills:>6}{x.ends:>6}{x.same:>6}{x.lost:>6}{x.twice:>6}{x.unreadable:>11}"
        print("\n    ".join([line, *x.faults]), flush=True)
        bad += x.ends - x.same
    print(f"{kills} kills: {'all ends are the same to the bit' if not bad else f'{bad} ends are wrong'}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
