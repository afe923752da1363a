"""A sweep that is killed inside a chunk goes on inside it, and leaves what it leaves undisturbed."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from killed import Killed, killed_after
from polars.testing import assert_frame_equal

from descend.engine.checkpoint import BEFORE, NAME, Every
from descend.sweeps.batch import run_group, run_serially
from descend.sweeps.checkpoints import Checkpoints
from descend.sweeps.group import groups
from descend.sweeps.job import Chunk, Group
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

MEMORY = 1 << 30
QUIET = ["metrics=none", "derivatives=none"]
EARLY = ["objective=rosenbrock", "optimizer=gradient_descent", "optimizer.lr=0.0001,0.001,0.002,0.01,0.1,1.0"]
CASES = {
    "graph": [*EARLY, *QUIET, "compile=false", "stop.plateau=10"],
    "kernel": [*EARLY, *QUIET, "compile=true"],
    "metrics": [*EARLY, "metrics=all", "derivatives=second", "compile=false"],
    "network": ["objective=digits_mlp_small", "seed=0,1,2", "optimizer.lr=0.01,0.1", "compile=false"],
    "two losses": ["objective=fonseca_fleming", "aggregator=famo", "optimizer.lr=0.01,0.1", "compile=false"],
}


def group_of(overrides: Sequence[str]) -> Group:
    [group] = groups(jobs(overrides, Grid()), built)
    return group


def tables(chunks: Sequence[Chunk]) -> tuple[list[tuple], pl.DataFrame]:
    results = {}
    for chunk in chunks:
        for job, found in zip(chunk.jobs, chunk.results, strict=True):
            fields = {k: v for k, v in vars(found).items() if k not in ("seconds", "provenance", "blocks")}
            results[job.index] = repr(fields), found.provenance["backend"]
    curves = pl.concat([chunk.curves for chunk in chunks]).sort("run", "name", "step", maintain_order=True)
    return sorted(results.items()), curves


def same(found: Sequence[Chunk], expected: Sequence[Chunk]) -> None:
    assert tables(found)[0] == tables(expected)[0]
    assert_frame_equal(tables(found)[1], tables(expected)[1], check_exact=True)


@pytest.mark.parametrize("case", CASES)
def test_killed_inside_a_chunk(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)
    steps = 1200 if case == "kernel" else 40
    group = group_of([*CASES[case], f"steps={steps}"])
    expected = list(run_group(group, MEMORY))
    checkpoints = Checkpoints(tmp_path / "checkpoints", Every(steps=4))
    for share in (0.3, 0.5):
        with pytest.raises(Killed):
            list(run_group(group, MEMORY, 1, killed_after(int(share * steps * len(group.jobs))), checkpoints))
        assert list(tmp_path.glob(f"checkpoints/*/{NAME}"))
    told: list[int] = []
    found = list(run_group(group, MEMORY, 1, told.append, checkpoints))
    same(found, expected)
    assert told[0] > len(group.jobs)  # it went on: the first it told of was what had been made
    assert not list(tmp_path.glob("checkpoints/*"))


def test_runs_that_ended_early_inside_a_killed_chunk(tmp_path: Path) -> None:
    [chunk] = run_group(group_of([*CASES["graph"], "steps=40"]), MEMORY)
    assert len({found.status for found in chunk.results}) > 1
    assert sum(found.steps < 12 for found in chunk.results) >= len(chunk.results) / 2  # they left the stack


def test_another_cut_into_chunks_goes_on_with_the_one_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)
    group = group_of([*CASES["graph"], "steps=40"])
    expected, checkpoints = list(run_group(group, MEMORY)), Checkpoints(tmp_path / "checkpoints", Every(steps=4))
    with pytest.raises(Killed):
        list(run_group(group.part([2, 3, 4]), MEMORY, 1, killed_after(30), checkpoints))
    found = list(run_group(group, MEMORY, 1, checkpoints=checkpoints))
    assert [[job.index for job in chunk.jobs] for chunk in found] == [[2, 3, 4], [0, 1, 5]]
    same(found, expected)


@pytest.mark.parametrize("both", [False, True])
def test_torn_checkpoints_of_a_chunk(
    both: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)
    group = group_of([*CASES["network"], "steps=20"])
    expected, checkpoints = list(run_group(group, MEMORY)), Checkpoints(tmp_path / "checkpoints", Every(steps=4))
    with pytest.raises(Killed):
        list(run_group(group, MEMORY, 1, killed_after(90), checkpoints))
    for name in (NAME, BEFORE) if both else (NAME,):
        checkpoints.path(group).with_name(name).write_bytes(b"torn")
    same(list(run_group(group, MEMORY, 1, checkpoints=checkpoints)), expected)
    told = "made again from their start" if both else "so the one before it is taken"
    assert told in capsys.readouterr().err


def test_runs_that_go_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)
    overrides = ["objective=breast_cancer_logistic", "optimizer=torch", "optimizer.name=LBFGS", "optimizer.lr=0.1,0.5"]
    group = group_of([*overrides, "steps=10", *QUIET])
    expected, checkpoints = list(run_serially(group, built)), Checkpoints(tmp_path / "checkpoints", Every(steps=2))
    found: list[Chunk] = []
    with pytest.raises(Killed):
        found.extend(run_serially(group.part([0]), built, killed_after(7), checkpoints))
    found.extend(run_serially(group, built, checkpoints=checkpoints))
    same(found, expected)
    assert not list(tmp_path.glob("checkpoints/*"))


def test_asked_to_stop_a_chunk_saves_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)
    group = group_of([*CASES["two losses"], "steps=20"])
    asked = iter([None] * 7 + ["SIGTERM"])
    with pytest.raises(KeyboardInterrupt):
        list(run_group(group, MEMORY, 1, checkpoints=Checkpoints(tmp_path, Every(), lambda: next(asked))))
    told: list[int] = []
    found = list(run_group(group, MEMORY, 1, told.append, Checkpoints(tmp_path, Every())))
    assert told[0] == 7 * len(group.jobs)
    same(found, list(run_group(group, MEMORY)))
