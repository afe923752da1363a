"""What depends on the number of a step alone, computed ahead: the same bits as step by step, over the whole menu."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from descend.engine.backends.graph import GraphBackend
from descend.engine.block import due
from descend.engine.loop import Loop
from descend.graph import clock
from descend.graph.clock import Clocked, Cut
from descend.graph.code import python_function
from descend.graph.recorder import record
from descend.graph.simplify import simplified
from descend.sweeps.batch import begin_loop, prepare
from descend.sweeps.group import groups
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

STEPS = 37
QUIET = ["steps=1000", "compile=false", "derivatives=none"]

# By name, with how many operations a step leaves out at least: one that falls to 0 has lost its clock.
AHEAD = {
    "objective=digits_mlp optimizer=adam": 8,
    "objective=digits_mlp optimizer=groups": 16,
    "objective=digits_mlp optimizer=muon": 8,
    "objective=digits_mlp optimizer=psgd_kron": 11,
    "objective=rosenbrock optimizer=adagrad": 4,
    "objective=rosenbrock optimizer=asgd": 14,
    "objective=rosenbrock optimizer=nadam": 21,
    "objective=rosenbrock optimizer=schedule_free_adamw": 7,
    "objective=rosenbrock optimizer=adam optimizer.lr=0.1,0.2,0.3": 6,
    "objective=rosenbrock optimizer=sgd schedule=cosine": 10,
    "objective=rosenbrock optimizer=sgd schedule=warmup schedule@schedule.then=cosine": 17,
    "objective=rosenbrock optimizer=sgd schedule=one_cycle optimizer.lr=0.001,0.002": 20,
}
LEAST = clock.LEAST


def loop_of(overrides: str) -> Loop:
    [group] = groups(jobs([*overrides.split(), *QUIET], Grid()), built)
    return begin_loop(prepare(group), group, 1, lambda steps: None)


def advanced(overrides: str, steps: int) -> list[Tensor]:
    """Return the carry after some steps, and every total on the way there."""
    loop = loop_of(overrides)
    assert isinstance(loop.backend, GraphBackend)
    pattern = tuple((True, names) for names in due(loop.experiment, 0, steps))
    told = loop.backend.advance([loop.streams.draw() for _ in range(steps)], pattern)
    return [*loop.backend.carry, *(x.totals for x in told)]


@pytest.mark.parametrize("overrides", AHEAD)
def test_the_bits_are_those_of_a_step_after_the_other(overrides: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = loop_of(overrides)
    assert isinstance(loop.backend, GraphBackend)
    step = loop.backend._step((), loop.streams.draw())._step
    assert Cut(step._graph, step._before, step._behind, step._kept).saved >= AHEAD[overrides]
    found = advanced(overrides, STEPS)
    monkeypatch.setattr(clock, "SHORTEST", STEPS + 1)
    expected = advanced(overrides, STEPS)
    assert same(found, expected)


def same(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> bool:
    """Tell whether tensors are equal to the bit; asgd leaves NaN, which is equal to NaN here."""
    pairs = list(zip(xs, ys, strict=True))
    alike = all(x.dtype == y.dtype and x.shape == y.shape for x, y in pairs)
    return alike and all(torch.equal(x.isnan(), y.isnan()) and x.nan_to_num().equal(y.nan_to_num()) for x, y in pairs)


def both(step: Callable[..., Sequence[Tensor]], carry: Sequence[Tensor], fixed: Tensor, count: int) -> int:
    """Hold a step of (fixed, carry…, batch) that is called in a row to the same function, and return what it saves."""
    batches = [torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(count)]
    graph = simplified(record(step, [fixed, *carry, batches[0]]))
    clocked, plain = Clocked(graph, [fixed], [], len(carry)), python_function(graph)
    expected: list[Tensor] = list(carry)
    for outputs, batch in zip(clocked.several(carry, [[batch] for batch in batches]), batches, strict=True):
        expected = plain(fixed, *expected[: len(carry)], batch)
        assert same(outputs, expected)
    return Cut(graph, [fixed], [], len(carry)).saved


RUNS = torch.tensor([0.9, 0.99, 0.5], dtype=torch.float64)
ONE = torch.tensor(1.0, dtype=torch.float64)


def test_hands_that_change_places_are_told_apart() -> None:
    def step(numbers: Tensor, x: Tensor, one: Tensor, other: Tensor, batch: Tensor) -> list[Tensor]:
        return [x + batch * (one * 2 + 1) - (other / 3).sqrt(), other, one, one * 2]

    assert both(step, [RUNS, ONE, ONE * 5], RUNS, 21) >= LEAST


def test_two_places_may_have_one_next_value() -> None:
    def step(numbers: Tensor, x: Tensor, one: Tensor, other: Tensor, batch: Tensor) -> list[Tensor]:
        new = one + 1
        return [x + batch * (new * 2 + 1), new, new, (other - one) * 3]

    assert both(step, [RUNS, ONE, ONE], RUNS, 21) >= LEAST


def test_counts_whole_numbers_and_truths() -> None:
    def step(numbers: Tensor, x: Tensor, count: Tensor, batch: Tensor) -> list[Tensor]:
        new = count + 1
        factor = torch.where(new < 7, new.to(torch.float64) / 7, ONE)
        return [x + batch * factor * numbers, new, factor * 0.5, new % 3 == 0]

    assert both(step, [RUNS, torch.tensor(0)], RUNS, 21) >= LEAST


def test_dtypes_that_meet_are_left_in_the_step() -> None:
    def step(numbers: Tensor, x: Tensor, power: Tensor, batch: Tensor) -> list[Tensor]:
        new = power * 0.5  # float64, without axes: beside a float32 with an axis its dtype does not count
        return [x + batch.float() * (new * numbers.float()), new]

    both(step, [RUNS.float(), ONE], RUNS, 21)


def test_what_depends_on_the_parameters_is_no_clock() -> None:
    def step(numbers: Tensor, x: Tensor, norm: Tensor, batch: Tensor) -> list[Tensor]:
        return [x + batch * norm * 2, norm * 0.5 + x.sum(), norm * 2 + 1]

    assert both(step, [RUNS, ONE], RUNS, 21) == 0


def test_a_block_is_no_longer_than_what_it_is_asked_for() -> None:
    def step(numbers: Tensor, x: Tensor, power: Tensor, batch: Tensor) -> list[Tensor]:
        new = power * numbers
        return [x + batch * (1 - new).sqrt(), new]

    for count in (1, clock.SHORTEST - 1, clock.SHORTEST, clock.BLOCK, clock.BLOCK + 1, 3 * clock.BLOCK + 2):
        both(step, [RUNS, torch.ones_like(RUNS)], RUNS, count)


UNARY: list[Callable[[Tensor], Tensor]] = [
    torch.sqrt,
    torch.neg,
    torch.reciprocal,
    torch.exp,
    torch.sin,
    torch.abs,
    lambda x: 1 - x,
    lambda x: x * 0.5,
]
BINARY: list[Callable[[Tensor, Tensor], Tensor]] = [
    torch.add,
    torch.mul,
    torch.sub,
    torch.div,
    torch.maximum,
    lambda x, y: torch.where(x < y, x, y),
]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5), st.integers(0, 20), st.integers(0, 20)), min_size=6))
def test_drawn_steps(lines: list[tuple[int, int, int, int]]) -> None:
    """A step that computes values of drawn values; the last three are the next carry."""

    def step(numbers: Tensor, x: Tensor, one: Tensor, other: Tensor, batch: Tensor) -> list[Tensor]:
        known = [one, other, numbers, x, batch]
        for unary, binary, first, second in lines:
            made = BINARY[binary](UNARY[unary](known[first % len(known)]), known[second % len(known)])
            known.append(made.nan_to_num().clamp(-10, 10))
        shared = [value for value in known if not value.dim()]
        return [(known[-1] + x * 0).reshape(3), shared[-1], (known[-2] + 0 * numbers).reshape(3)]

    def aligned(numbers: Tensor, x: Tensor, one: Tensor, other: Tensor, batch: Tensor) -> list[Tensor]:
        return [*step(numbers, x, one, other, batch), one * 3 + other]

    both(aligned, [RUNS, ONE, RUNS * 2], RUNS, 19)
