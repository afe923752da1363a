"""Each schedule equals its twin in torch.optim.lr_scheduler, as a Python number and traced."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler
from traced import graph_of

from descend.errors import ConfigurationError
from descend.schedules.constant import Constant
from descend.schedules.cosine import Cosine
from descend.schedules.exponential import Exponential
from descend.schedules.one_cycle import OneCycle
from descend.schedules.schedule import Schedule
from descend.schedules.step import Step
from descend.schedules.warmup import Warmup

LR = 0.3
lengths, fractions, gammas = st.integers(2, 120), st.floats(0, 1), st.floats(0.5, 1.1)

Twin = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def learning_rates(twin: Twin, steps: int) -> list[float]:
    """The learning rates that torch's scheduler gives to each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, device="cpu")], lr=LR)
    with warnings.catch_warnings():
        # SequentialLR passes an argument that its own library deprecates.
        warnings.filterwarnings("ignore", message="The epoch parameter", category=UserWarning)
        scheduler, found = twin(optimizer), []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if len(found) < steps:
                scheduler.step()
    return found


def assert_twins(schedule: Schedule, twin: Twin, steps: int) -> None:
    expected = torch.tensor(learning_rates(twin, steps), dtype=torch.float64)
    found = torch.tensor([LR * schedule.factor(step, steps) for step in range(steps)], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


@given(steps=lengths)
def test_constant(steps: int) -> None:
    assert_twins(Constant(), lambda o: lr_scheduler.LambdaLR(o, lambda _: 1.0), steps)


@given(steps=lengths, minimum=fractions)
def test_cosine(steps: int, minimum: float) -> None:
    assert_twins(Cosine(minimum), lambda o: lr_scheduler.CosineAnnealingLR(o, steps, minimum * LR), steps)


@given(steps=lengths, every=st.integers(1, 50), gamma=gammas)
def test_step(steps: int, every: int, gamma: float) -> None:
    assert_twins(Step(every, gamma), lambda o: lr_scheduler.StepLR(o, every, gamma), steps)


@given(steps=lengths, gamma=gammas)
def test_exponential(steps: int, gamma: float) -> None:
    assert_twins(Exponential(gamma), lambda o: lr_scheduler.ExponentialLR(o, gamma), steps)


@given(length=st.integers(1, 40), rest=st.integers(1, 80), start=st.floats(0.01, 1), minimum=fractions)
def test_warmup_then_cosine(length: int, rest: int, start: float, minimum: float) -> None:
    def twin(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        rise = lr_scheduler.LinearLR(optimizer, start, 1.0, length)
        fall = lr_scheduler.CosineAnnealingLR(optimizer, rest, minimum * LR)
        return lr_scheduler.SequentialLR(optimizer, [rise, fall], [length])

    assert_twins(Warmup(length, start, Cosine(minimum)), twin, length + rest)


@given(
    steps=lengths,
    pct_start=st.floats(0, 0.99).filter(lambda p: p > 0),
    div_factor=st.floats(1, 100),
    final_div_factor=st.floats(1, 1e5),
)
def test_one_cycle(steps: int, pct_start: float, div_factor: float, final_div_factor: float) -> None:
    def twin(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.OneCycleLR(
            optimizer,
            LR,
            steps,
            pct_start=pct_start,
            cycle_momentum=False,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
        )

    if pct_start * steps == 1:
        return  # the twin divides by zero where the rise is one step long
    assert_twins(OneCycle(pct_start, div_factor, final_div_factor), twin, steps)


def test_one_cycle_with_a_rise_of_one_step_begins_at_the_top() -> None:
    assert OneCycle(pct_start=0.1).factor(0, 10) == 1.0


def test_the_schedule_after_a_warm_up_sees_its_first_step_as_0() -> None:
    warmup, then = Warmup(length=9, then=OneCycle()), OneCycle()
    assert [warmup.factor(9 + step, 40) for step in range(31)] == [then.factor(step, 31) for step in range(31)]


SCHEDULES: list[Schedule] = [
    Cosine(0.1),
    Step(every=7, gamma=0.3),
    Exponential(0.97),
    Warmup(length=9, start=0.2, then=Cosine(0.1)),
    Warmup(length=9, start=0.2),
    Warmup(length=50, start=0.2, then=OneCycle()),
    OneCycle(),
    OneCycle(pct_start=0.1),
]


@pytest.mark.parametrize("steps", [1, 10, 40])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_traced_gives_the_same_number(schedule: Schedule, steps: int) -> None:
    traced = graph_of(lambda step: schedule.factor(step, steps), [torch.tensor(0, dtype=torch.int64, device="cpu")])
    for step in range(steps):
        found = traced(torch.tensor(step, dtype=torch.int64, device="cpu"))
        assert found.dtype == torch.float64
        assert torch.equal(found, torch.as_tensor(schedule.factor(step, steps)))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Cosine, {"minimum": [0.0, 0.1, 0.5]}),
        (Step, {"gamma": [0.1, 0.5, 1.0]}),
        (Exponential, {"gamma": [0.9, 0.99, 1.0]}),
        (Warmup, {"start": [0.0, 0.1, 0.5]}),
        (
            OneCycle,
            {"pct_start": [0.1, 0.3, 0.9], "div_factor": [1.0, 9.0, 25.0], "final_div_factor": [1.0, 10.0, 1e4]},
        ),
    ],
)
def test_numbers_may_be_tensors_of_a_stack(kind: type[Schedule], fields: dict[str, list[float]]) -> None:
    def factor(values: list[torch.Tensor], step: torch.Tensor) -> torch.Tensor:
        schedule = kind()
        for name, value in zip(fields, values, strict=True):
            object.__setattr__(schedule, name, value)
        return torch.as_tensor(schedule.factor(step, 20))

    stacked = [torch.tensor(values, dtype=torch.float64, device="cpu") for values in fields.values()]
    for step in range(20):
        found = torch.vmap(factor, in_dims=(0, None))(stacked, torch.tensor(step, dtype=torch.int64, device="cpu"))
        runs = [kind(**{name: values[i] for name, values in fields.items()}) for i in range(3)]
        assert torch.equal(found, torch.stack([torch.as_tensor(run.factor(step, 20)) for run in runs]))


@pytest.mark.parametrize(
    ("kind", "field", "wrong"),
    [
        (Cosine, "minimum", -0.1),
        (Cosine, "minimum", 1.1),
        (Step, "every", 0),
        (Step, "gamma", 0.0),
        (Exponential, "gamma", -1.0),
        (Warmup, "length", 0),
        (Warmup, "start", 2.0),
        (OneCycle, "pct_start", 1.0),
        (OneCycle, "div_factor", 0.5),
        (OneCycle, "final_div_factor", float("nan")),
    ],
)
def test_refuses_a_wrong_number_and_names_its_field(kind: type[Schedule], field: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__}\.{field} is .*\.$"):
        kind(**{field: wrong})
