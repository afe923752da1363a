"""A run that is cut off and goes on leaves, to the bit, what a run leaves that nothing disturbed.

A kill is an exception that nothing catches: the folder stays as it is at that moment, and what was in memory is gone.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import torch
from killed import Killed
from left import assert_same, equal, result, state

import descend
from descend import menu
from descend.engine.backends import compiled
from descend.engine.checkpoint import BEFORE, NAME, Clock, Every, load
from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import Run, drive
from descend.engine.sink import Sink
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.output.sinks.parquet import Parquet
from descend.output.sinks.result_file import ResultFile
from descend.output.sinks.tensorboard import TensorBoard
from descend.records import Records, of_frame

ROSENBROCK = ["objective=rosenbrock", "optimizer.lr=0.01", "compile=false"]
SMALL_NET = ["objective=digits_mlp", "objective.network.hidden=[8]", "objective.batch_size=32", "compile=false"]
TWO_LOSSES = ["objective=fonseca_fleming", "compile=false"]
QUIET = ["metrics=none", "derivatives=none"]


class Killer:
    """A sink that kills the run when it is given its `last`-th block."""

    def __init__(self, last: int) -> None:
        self._left = last

    def write(self, records: Records) -> None:
        self._left -= 1
        if not self._left:
            raise Killed

    def save(self) -> None:
        pass

    def restore(self, step: int) -> None:
        pass

    def close(self, result: Result) -> None:
        pass


def made(overrides: Sequence[str]) -> Experiment:
    return build(compose(list(overrides)), list(overrides))


def sinks(folder: Path) -> list[Sink]:
    return [TensorBoard(folder, {}), Parquet(folder, {}), ResultFile(folder)]


def start(folder: Path, experiment: Experiment, every: int | None = None, killed: int = 0) -> Path:
    """Make a run in a new folder; it is killed at the block `killed`, between two of its sinks."""
    folder.mkdir()
    run, given = Run(experiment), sinks(folder)
    run.keep(folder / NAME, Every(steps=every), given)
    advance(run, [*given[:1], Killer(killed), *given[1:]])
    return folder


def advance(run: Run, given: Sequence[Sink], earlier: Sequence[Records] = ()) -> None:
    try:
        drive(run, given, earlier=earlier)
    except Killed:
        close_files(given)


def close_files(given: Sequence[Sink]) -> None:
    """Close what a kill closes, and write nothing."""
    for sink in given:
        if isinstance(sink, TensorBoard) and sink._started is not None:
            sink._started._file.close()


def go_on(folder: Path, experiment: Experiment, every: int | None = None, killed: int = 0) -> None:
    """Let a run go on in its folder, as `descend.menu.commands.resume` does."""
    content = load(folder / NAME) if (folder / NAME).exists() else None
    backend = None if content is None else content["state"]["backend"]
    run, given, step = Run(experiment, backend), sinks(folder), 0
    if content is not None:
        run.restore(content)
        step = int(min(run.loop.step, run.loop.endings.stops[0]))
    for sink in reversed(given):
        sink.restore(step)
    run.keep(folder / NAME, Every(steps=every), given)
    parts = sorted((folder / "records").glob("*.parquet"))
    earlier = [of_frame(pl.read_parquet(parts))] if parts else []
    advance(run, [*given[:1], Killer(killed), *given[1:]], earlier)


def one_by_one(patch: pytest.MonkeyPatch) -> None:
    """Let each block have as few steps as its backend makes at a time."""
    patch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)


def check(place: Path, overrides: Sequence[str], kills: Sequence[int], every: int = 3) -> None:
    """Kill a run at each of the blocks `kills`, let it go on, and hold it against one that nothing disturbed."""
    experiment = made(overrides)
    undisturbed = start(place / "undisturbed", experiment)
    for killed in kills:
        folder = start(place / f"killed at {killed}", experiment, every, killed)
        go_on(folder, experiment, every)
        assert_same(folder, undisturbed)


CASES = {
    "graph": [*ROSENBROCK, "metrics=all", "derivatives=second"],
    "kernel": [*ROSENBROCK[:-1], "compile=true"],
    "python, closures": ["objective=breast_cancer_logistic", "optimizer=torch", "optimizer.name=LBFGS"],
    "python, batches": [*SMALL_NET, "optimizer=torch", "optimizer.name=Adafactor", "optimizer.lr=0.01"],
    "network": SMALL_NET,
    "groups": [*SMALL_NET, "optimizer=groups"],
    "float32 function": [*ROSENBROCK, "dtype=float32"],
    "two losses": [*TWO_LOSSES, "aggregator=famo", "metrics=losses"],
    "schedule": [*ROSENBROCK, "schedule=one_cycle"],
    "plateau": [*ROSENBROCK, "stop.plateau=5", "optimizer.lr=1.5"],
    "converges": ["objective=sphere", "optimizer=sgd", "optimizer.lr=0.4", "stop.gradient_norm=1e-2", "compile=false"],
    "changes little": ["objective=curve_fit", "optimizer=levenberg_marquardt", "stop.xtol=1e-7", "metrics=none"],
    "diverges": ["objective=rosenbrock", "optimizer=gradient_descent", "optimizer.lr=1.0", "compile=false"],
}


@pytest.mark.parametrize("case", CASES)
def test_killed_at_any_block(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one(monkeypatch)
    check(tmp_path, [*CASES[case], "steps=11"], range(1, 13) if case in ("graph", "plateau") else [1, 6, 9, 12])


def test_the_cases_are_what_their_names_say(tmp_path: Path) -> None:
    found = {case: descend.run([*CASES[case], "steps=11"]) for case in CASES}
    backends = {case: r.provenance["backend"] for case, r in found.items() if r.provenance["backend"] != "graph"}
    assert backends == {"kernel": "kernel", "python, closures": "python", "python, batches": "python"}
    assert {case: r.status for case, r in found.items() if r.status != "finished"} == {
        "converges": "converged", "changes little": "converged", "diverges": "diverged"
    }  # fmt: skip
    assert found["plateau"].steps < 11


def test_compiled_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any number of steps between checkpoints: a program makes two steps here, whenever one is due."""
    monkeypatch.setattr(compiled, "STEPS", 2)  # eight compile in four times the time
    experiment = made([*SMALL_NET[:-1], *QUIET, "compile=true", "steps=45"])
    undisturbed = start(tmp_path / "undisturbed", experiment)
    assert result(undisturbed)["provenance"]["backend"] == "compiled"
    folder = start(tmp_path / "killed", experiment, 3, killed=4)
    assert 0 < state(folder)["state"]["step"] < 45
    go_on(folder, experiment, 3)
    assert_same(folder, undisturbed)


@pytest.mark.slow
def test_compiled_programs_made_longer(tmp_path: Path) -> None:
    experiment = made([*SMALL_NET[:-1], *QUIET, "compile=true", "steps=45"])
    undisturbed = start(tmp_path / "undisturbed", experiment)
    assert_same(start(tmp_path / "checkpoints", experiment, every=3), undisturbed)
    longer = start(tmp_path / "longer", made([*SMALL_NET[:-1], *QUIET, "compile=true", "steps=40"]))
    go_on(longer, experiment)
    assert_same(longer, undisturbed)


def test_a_long_run_of_a_kernel(tmp_path: Path) -> None:
    check(tmp_path, [*ROSENBROCK[:-1], *QUIET, "steps=5000"], [2, 5], every=700)


def test_killed_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one(monkeypatch)
    experiment = made([*SMALL_NET, "optimizer=nadam", "metrics=all", "steps=20"])
    undisturbed = start(tmp_path / "undisturbed", experiment)
    folder = start(tmp_path / "killed", experiment, 2, killed=4)
    for _ in range(4):
        go_on(folder, experiment, 2, killed=5)
    go_on(folder, experiment)
    assert_same(folder, undisturbed)


MEMBERS = {
    "optimizer": {
        "adabelief", "adadelta", "adafactor", "adagrad", "adahessian", "adam", "adam_then_lbfgs", "adamax", "adamw",
        "ademamix", "adopt", "asgd", "barzilai_borwein", "bfgs", "came", "cubic", "dadapt_adam", "dogleg", "ekfac",
        "gauss_newton", "gradient_descent", "groups", "kfac", "lamb", "lars", "lbfgs", "levenberg_marquardt", "lion",
        "mars", "momentum", "muon", "nadam", "natural_gradient", "nesterov", "newton", "newton_cg", "nonlinear_cg",
        "normuon", "polyak", "prodigy", "psgd_kron", "radam", "rmsprop", "rprop", "schedule_free_adamw",
        "schedule_free_sgd", "sgd", "shampoo", "signum", "soap", "sophia_g", "sophia_h", "stochastic_polyak", "torch",
        "trust_region", "trust_region_cg",
    },
    "aggregator": {
        "aligned_mtl", "cagrad", "dual_proj", "dwa", "famo", "geometric_mean", "gradnorm", "imtl_g", "mean", "min_norm",
        "nash_mtl", "pcgrad", "random", "sum", "torchjd", "uncertainty", "upgrad", "weighted",
    },
    "schedule": {"constant", "cosine", "exponential", "one_cycle", "step", "warmup"},
    "clip": {"none", "norm", "value"},
}  # fmt: skip
"""Who must resume: all of them."""


@pytest.mark.parametrize("family", MEMBERS)
def test_every_member_is_named(family: str) -> None:
    assert set(menu.choices(FOLDER / family)) == MEMBERS[family]


@pytest.mark.parametrize(
    ("family", "member"), [(family, member) for family in MEMBERS for member in sorted(MEMBERS[family])]
)
def test_every_member(family: str, member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one(monkeypatch)
    problem = TWO_LOSSES if family == "aggregator" else ["objective=himmelblau", "compile=false"]
    if member in ("muon", "normuon", "ekfac", "kfac", "natural_gradient", "sophia_g"):  # they are for networks
        problem = SMALL_NET
    check(tmp_path, [*problem, f"{family}={member}", *QUIET, "steps=9"], [6])


@pytest.mark.parametrize(
    "name",
    [
        "ASGD",
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "LBFGS",
        "NAdam",
        "RAdam",
        "RMSprop",
        "Rprop",
        "SGD",
    ],
)
def test_every_class_of_torch(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one(monkeypatch)
    check(
        tmp_path,
        [*ROSENBROCK, "optimizer=torch", f"optimizer.name={name}", "optimizer.lr=0.001", *QUIET, "steps=9"],
        [6],
    )


@pytest.mark.parametrize("overrides", [ROSENBROCK, SMALL_NET, CASES["python, closures"]])
def test_a_finished_run_is_made_longer(overrides: list[str], tmp_path: Path) -> None:
    undisturbed = start(tmp_path / "undisturbed", made([*overrides, "steps=23"]))
    folder = start(tmp_path / "longer", made([*overrides, "steps=10"]))
    assert result(folder)["steps"] == 10
    go_on(folder, made([*overrides, "steps=23"]))
    assert_same(folder, undisturbed)


def test_going_on_with_a_finished_run_changes_nothing(tmp_path: Path) -> None:
    experiment = made([*SMALL_NET, "steps=10"])
    undisturbed, folder = (start(tmp_path / name, experiment) for name in ("undisturbed", "again"))
    go_on(folder, experiment)
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("case", ["network", "plateau", "converges", "diverges", "python, closures"])
def test_killed_between_the_last_checkpoint_and_the_result(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = made([*CASES[case], "steps=11"])
    undisturbed = start(tmp_path / "undisturbed", experiment)
    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:

        def killed(self: Parquet, result: Result) -> None:
            raise Killed

        patch.setattr(Parquet, "close", killed)
        start(folder, experiment)
    assert (folder / NAME).exists()
    assert not (folder / "result.json").exists()
    go_on(folder, experiment)
    assert_same(folder, undisturbed)


@pytest.mark.parametrize("overrides", [ROSENBROCK, SMALL_NET, CASES["kernel"], CASES["python, closures"]])
def test_asked_to_stop(overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says `interrupted` and where, and goes on from there to the same end."""
    one_by_one(monkeypatch)
    experiment = made([*overrides, "steps=1200"] if "compile=true" in overrides else [*overrides, "steps=30"])
    undisturbed = start(tmp_path / "undisturbed", experiment)
    folder = tmp_path / "stopped"
    folder.mkdir()
    run, given = Run(experiment), sinks(folder)
    run.keep(folder / NAME, Every(), given)
    asked = iter([None, None, "SIGTERM"])
    run.loop.stopping = lambda: next(asked)
    found = drive(run, given)
    assert (found.status, found.reason) == ("interrupted", f"it was stopped after step {found.steps} by SIGTERM")
    assert 0 < found.steps < experiment.steps
    go_on(folder, experiment)
    assert_same(folder, undisturbed)


def test_a_time_budget_that_is_used_up_stays_so(tmp_path: Path) -> None:
    experiment = made([*SMALL_NET, *QUIET, "steps=100000", "stop.seconds=0.05"])
    folder = start(tmp_path / "run", experiment)
    before = result(folder)
    go_on(folder, experiment)
    assert result(folder) == before


def test_checkpoints_come_when_they_are_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Run, "_write", lambda self, content, path: seen.append(content["state"]["step"]))
    start(tmp_path / "run", made([*ROSENBROCK, *QUIET, "steps=70"]), every=20)
    assert seen == [20, 40, 60, 70]


def test_a_clock_counts_seconds() -> None:
    assert Clock(Every(seconds=1e-9)).due(1)
    assert not Clock(Every(seconds=1e9)).due(1)
    assert not Clock(Every()).due(10**9)


def flipped(path: Path) -> None:
    """Change one bit of a tensor: torch reads such a file without a word."""
    data, value = bytearray(path.read_bytes()), torch.load(path, weights_only=True)["trained"]["last"]["x"]
    data[data.index(value.numpy().tobytes())] ^= 1
    path.write_bytes(bytes(data))


TEARS = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "another file": lambda path: path.write_text("steps"),
    "a bit changed": flipped,
}


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_checkpoint(
    tear: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_by_one(monkeypatch)
    experiment = made([*ROSENBROCK, "steps=20"])
    undisturbed = start(tmp_path / "undisturbed", experiment)
    folder = start(tmp_path / "torn", experiment, 4, killed=15)
    assert state(folder)["state"]["step"] == 12
    TEARS[tear](folder / NAME)
    go_on(folder, experiment, killed=3)  # a kill before the next checkpoint changes nothing
    assert f"{NAME} cannot be read, so the one before it is taken" in capsys.readouterr().err
    go_on(folder, experiment)
    assert_same(folder, undisturbed)


def test_a_torn_checkpoint_never_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    experiment = made([*ROSENBROCK, "steps=20"])
    folder = start(tmp_path / "torn", experiment, 4)
    before = load(folder / BEFORE)
    TEARS["cut short"](folder / NAME)
    go_on(folder, experiment)
    assert equal(load(folder / BEFORE), before)
