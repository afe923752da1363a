"""A device whose memory is full, or which stops, in the middle of a sweep."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from descend.engine.backends.graph import GraphBackend
from descend.engine.check import check_start
from descend.engine.checkpoint import Every
from descend.engine.experiment import Experiment
from descend.engine.program import Program
from descend.engine.step import Origin
from descend.errors import ConfigurationError
from descend.objectives.rosenbrock import Rosenbrock
from descend.sweeps import conduct
from descend.sweeps.checkpoints import Checkpoints
from descend.sweeps.conduct import carry_out
from descend.sweeps.job import Chunk
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings
from descend.sweeps.store import Store

QUIET = ["metrics=none", "derivatives=none"]
SWEEP = ["objective=rosenbrock", "optimizer.lr=tag(log,interval(0.0001,0.01))", "steps=50", *QUIET]
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
TEXT = "CUDA error: device-side assert triggered"


def outcome(folder: Path, overrides: Sequence[str] = SWEEP, points: int = 64) -> pl.DataFrame:
    """Carry out a sweep and return its table."""
    from descend.sweeps.space import Grid

    settings = Settings(sampling=Grid(points=points), points=points, memory=1 << 33)
    planned = plan(overrides, settings)
    folder.mkdir()
    with Store(folder, planned.jobs) as store:
        assert carry_out(planned, settings, store) == 0
        return store.table().drop("seconds")


def told(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table without how many runs were stacked, which is allowed to differ."""
    return table.drop(name for name in table.columns if "stacked" in name)


def failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[GraphBackend], bool], error: Exception) -> list[int]:
    """Let blocks of steps raise where `fails` says so; return the heights of the stacks that were tried."""
    advance, heights = GraphBackend.advance, []

    def tried(self: GraphBackend, *given: Any) -> Any:
        heights.append(self._count)
        if fails(self):
            raise error
        return advance(self, *given)

    monkeypatch.setattr(GraphBackend, "advance", tried)
    return heights


@pytest.mark.parametrize("error", [FULL, MemoryError("no"), RuntimeError("[enforce fail] DefaultCPUAllocator: no")])
def test_a_stack_that_does_not_fit_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    right = outcome(tmp_path / "right")
    assert right["status"].unique().to_list() == ["finished"]
    heights = failing(monkeypatch, lambda backend: backend._count > 20, error)
    found = outcome(tmp_path / "found")
    assert list(dict.fromkeys(heights)) == [64, 32, 16]
    assert told(found).equals(told(right))
    said = capsys.readouterr().err
    assert "64 runs at a time do not fit into memory; it goes on with 32 at a time" in said
    assert "one after the other" not in said


def test_memory_that_is_full_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The curves and ends of the steps made by then are made again."""
    right = outcome(tmp_path / "right")
    assert right["status"].unique().to_list() == ["finished"]
    blocks = [0]

    def third_block(backend: GraphBackend) -> bool:
        blocks[0] += backend._count == 64
        return backend._count == 64 and blocks[0] == 3

    failing(monkeypatch, third_block, FULL)
    found = outcome(tmp_path / "found")
    assert blocks == [3]
    assert told(found).equals(told(right))
    curves = [pl.read_parquet(tmp_path / name / "curves" / "*.parquet") for name in ("right", "found")]
    assert curves[0].sort("run", "name", "step").equals(curves[1].sort("run", "name", "step"))


def test_a_run_that_does_not_fit_alone_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda backend: True, FULL)
    found = outcome(tmp_path / "found", points=3)
    assert found["status"].to_list() == ["failed"] * 3
    assert found["reason"].unique().to_list() == [f"OutOfMemoryError: {FULL}"]


def test_memory_that_is_full_while_recording_is_no_reason_to_go_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Program, *given: Any) -> None:
        raise FULL

    monkeypatch.setattr(Program, "start", full)
    settings = Settings(memory=None)
    with Store(tmp_path, (made := plan(["optimizer.lr=0.1,0.2", *SWEEP[::2], *QUIET], settings)).jobs) as store:
        carry_out(made, settings, store)
        assert store.table()["reason"].unique().to_list() == [f"OutOfMemoryError: {FULL}"]
    assert "one after the other" not in capsys.readouterr().err


def test_a_device_that_stopped_ends_the_group_with_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heights = failing(monkeypatch, lambda backend: True, torch.AcceleratorError(TEXT))
    found = outcome(tmp_path / "found")
    assert heights == [64]
    assert found["reason"].unique().to_list() == [f"AcceleratorError: {TEXT}"]
    assert "one after the other" not in capsys.readouterr().err


def test_what_was_done_out_of_order_is_not_said_to_have_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks that were begun come first: what is left after them need not be the last jobs."""
    planned = plan(["objective=rosenbrock", "optimizer.lr=0.001,0.002,0.003", "steps=2", *QUIET], Settings())
    [group] = planned.groups

    def begun_last(group: Any, *given: Any) -> Any:
        last = group.part([2])
        yield Chunk(last.jobs, (), pl.DataFrame())
        raise torch.AcceleratorError(TEXT)

    monkeypatch.setattr(conduct, "run_group", begun_last)
    from descend.sweeps.progress import SweepBar

    checkpoints = Checkpoints(tmp_path, Every())
    found = list(conduct.group_chunks(group, planned, Settings(), SweepBar(1), checkpoints, {}))
    assert [[job.index for job in chunk.jobs] for chunk in found] == [[2], [0, 1]]


def test_a_start_that_does_not_fit() -> None:
    class Large(Rosenbrock):
        def losses(self, params: Any, batch: Any) -> Any:
            raise FULL

    objective = Large()
    params = objective.init(torch.Generator().manual_seed(0))
    with pytest.raises(
        ConfigurationError,
        match=r"Large.losses does not fit into the memory of cpu at the start: CUDA",
    ):
        check_start(Experiment(objective), Origin.of(params))
