"""How runs end: finished, interrupted, failed; and that their records and results are kept."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from toys import CALLS_AT_START, Quartic, Scripted

from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import Run, drive, run
from descend.engine.sink import Sink
from descend.metrics.metric import Metric
from descend.optimizers.gradient_descent import GradientDescent
from descend.records import Column, Records
from descend.types import Observation


@dataclass
class Memory(Sink):
    """A sink that keeps what it is given."""

    blocks: list[Records] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    saved: list[int] = field(default_factory=list)

    def write(self, records: Records) -> None:
        assert not self.results, "nothing comes after the end"
        self.blocks.append(records)

    def save(self) -> None:
        assert not self.results, "nothing comes after the end"
        self.saved.append(len(self.steps()))

    def restore(self, step: int) -> None:
        raise AssertionError("no run here is resumed")

    def close(self, result: Result) -> None:
        self.results.append(result)

    def steps(self) -> list[int]:
        return [step for block in self.blocks for step in block.scalars["value"].steps.tolist()]


def at(number: int, error: Callable[[], BaseException]) -> Callable[[int], None]:
    """Raise once, at the `number`-th evaluation after the start."""

    def happening(call: int) -> None:
        if call == CALLS_AT_START + number:
            raise error()

    return happening


def from_on(number: int) -> Callable[[int], None]:
    def happening(call: int) -> None:
        if call >= CALLS_AT_START + number:
            raise RuntimeError("the file is gone")

    return happening


def test_sinks_get_every_record_and_the_result_once() -> None:
    sinks = [Memory(), Memory()]
    result = run(Experiment(Scripted(), steps=20), sinks)
    for sink in sinks:
        assert sink.steps() == list(range(21))
        assert sink.saved == [21], "all records are saved once, before the end"
        assert sink.results == [result]
    assert result.status == "finished"


def test_control_c_ends_the_run_and_keeps_what_there_is() -> None:
    sink = Memory()
    result = run(Experiment(Scripted(at(12, KeyboardInterrupt)), optimizer=GradientDescent(lr=0.1), steps=1000), [sink])
    assert result.status == "interrupted"
    assert 0 < result.steps < 12
    assert f"step {result.steps}" in result.reason
    assert sink.results == [result]
    assert sink.steps() == list(range(result.steps))
    expected = 0.8**result.steps * np.array([1.0, -2.0, 0.5])  # x ← (1 − 2·lr) x
    assert result.parameters == {"x": pytest.approx(expected.tolist())}
    assert result.value == pytest.approx(float((expected**2).sum()))


def test_control_c_while_a_sink_writes() -> None:
    class Stopped(Memory):
        def write(self, records: Records) -> None:
            super().write(records)
            if len(self.blocks) == 3:
                raise KeyboardInterrupt

    sink, threads = Stopped(), torch.get_num_threads()
    result = run(Experiment(Scripted(), steps=1000, threads=threads + 1), [sink])
    assert (result.status, sink.results) == ("interrupted", [result])
    assert result.records.filter(name="value").height == result.steps > 0
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("happening", [at(9, lambda: RuntimeError("the file is gone")), from_on(9)], ids=["once", "on"])
def test_a_failing_objective_leaves_a_result_and_raises(happening: Callable[[int], None]) -> None:
    sink = Memory()
    with pytest.raises(RuntimeError, match="the file is gone"):
        run(Experiment(Scripted(happening), steps=1000), [sink])
    [result] = sink.results
    assert result.status == "failed"
    assert result.reason == "RuntimeError: the file is gone"
    assert sink.steps() == list(range(result.steps))
    assert 0 < result.steps < 9
    assert result.parameters is not None
    assert result.provenance["seed"] == 0


def test_a_failing_metric_is_a_failed_run() -> None:
    @dataclass(frozen=True)
    class Broken(Metric):
        def __call__(self, observation: Observation) -> dict[str, torch.Tensor]:
            raise ZeroDivisionError("a metric")

    sink = Memory()
    with pytest.raises(ZeroDivisionError):
        run(Experiment(Scripted(), metrics={"broken": Broken(every=3)}, steps=5), [sink])
    assert [result.status for result in sink.results] == ["failed"]


def test_what_is_left_last_reaches_the_sinks_before_they_close() -> None:
    seen: list[Result] = []

    def at_end(ended: Run, result: Result) -> Records:
        seen.append(result)
        return Records(images={"path": Column(np.array([ended.loop.step]), np.array([b"png"], dtype=object))})

    sink = Memory()
    result = drive(Run(Experiment(Scripted(), steps=3)), [sink], at_end)
    assert seen == [result]
    assert list(sink.blocks[-1].images) == ["path"]


def test_a_failure_while_leaving_is_a_failed_run() -> None:
    def at_end(ended: Run, result: Result) -> Records:
        raise OSError("no space")

    sink = Memory()
    with pytest.raises(OSError, match="no space"):
        drive(Run(Experiment(Scripted(), steps=3)), [sink], at_end)
    assert [result.status for result in sink.results] == ["failed"]


def test_a_diverging_run_returns_and_keeps_its_records() -> None:
    sink = Memory()
    result = run(Experiment(Quartic(), optimizer=GradientDescent(lr=0.5), steps=1000), [sink])
    assert result.status == "diverged"
    assert sink.steps()[: result.steps] == list(range(result.steps))
