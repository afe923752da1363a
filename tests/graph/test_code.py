"""A graph as a Python function: what writes over its own memory gives the same, and touches nothing else."""

import random
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from descend.graph.branches import branches
from descend.graph.code import last_uses, python_function, reused
from descend.graph.recorder import OneCall, as_one_node, record
from descend.graph.simplify import simplified

GENERATOR = torch.Generator().manual_seed(5)
X, Y = (torch.randn(64, 64, generator=GENERATOR) for _ in range(2))


def both(step: Callable[..., Sequence[Tensor]], *inputs: Tensor) -> tuple[int, list[Tensor], list[Tensor]]:
    """Return how many operations write over an input, and what the step gives without and with that."""
    graph = simplified(record(step, inputs))
    plain, reusing = python_function(graph), python_function(graph, reuse=True)
    before = [x.clone() for x in inputs]
    expected = [x.clone() for x in plain(*inputs)]
    found = reusing(*inputs)
    assert all(x.equal(y) for x, y in zip(inputs, before, strict=True))
    again = reusing(*inputs)
    assert same([x.nan_to_num() for x in again], [x.nan_to_num() for x in expected])
    return len(reused(graph, last_uses(graph))), expected, found


def same(xs: Sequence[Tensor], ys: Sequence[Tensor]) -> bool:
    return all(x.equal(y) for x, y in zip(xs, ys, strict=True))


def test_a_chain_is_computed_in_one_piece_of_memory() -> None:
    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        return [((x + y) * y).abs().sqrt() / (x * x + 1).sqrt()]

    count, expected, found = both(step, X, Y)
    assert count >= 5
    assert same(expected, found)


def test_what_is_returned_or_read_again_is_not_written_over() -> None:
    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        total = x + y
        product = total * y
        return [total, product.neg(), product - total]

    _, expected, found = both(step, X, Y)
    assert same(expected, found)


def test_memory_that_a_view_reads_is_not_written_over() -> None:
    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        total = x + y
        turned, row = total.t(), total[3]
        return [total * y, turned + x, row - 1]

    _, expected, found = both(step, X, Y)
    assert same(expected, found)


def test_an_input_that_is_broadcast_or_of_another_precision_lends_no_memory() -> None:
    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        row = x[0] + 1
        wide = (x + y).double()
        return [row * y, wide * x, (x > y).logical_not() * y]

    _, expected, found = both(step, X, Y)
    assert same(expected, found)


KINDS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a * b.sign(),
    lambda a, b: a.neg(),
    lambda a, b: a.t(),
    lambda a, b: (a @ b) / 1000,
    torch.maximum,
    lambda a, b: torch.where(a > b, a, b),
    lambda a, b: a.abs().sqrt(),
    lambda a, b: a.narrow(0, 1, 1) - b,
]


@pytest.mark.parametrize("seed", range(40))
def test_programs_drawn_at_random_give_the_same(seed: int) -> None:
    draw = random.Random(seed)

    def step(*values: Tensor) -> list[Tensor]:
        made = list(values)
        for _ in range(30):
            made.append(draw.choice(KINDS)(draw.choice(made), draw.choice(made)))
        return made[-4:]

    _, expected, found = both(step, X, Y)
    assert same([x.nan_to_num() for x in expected], [x.nan_to_num() for x in found])


# What serves one side of a choice alone


CALLS: list[int] = []


class Counted(OneCall):
    """The sine, counted."""

    __name__ = "counted"

    def __call__(self, x: Tensor) -> Tensor:
        CALLS.append(1)
        return x.sin()


def chosen(step: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    """Every third step a long computation takes the place of `x`; what `y` gives is needed by both sides."""
    due = step % 3 == 0
    both = y.cos()
    found = as_one_node(Counted(), x)
    for _ in range(12):
        found = torch.where(found > 0, found * both, found - y).tanh()
    return [torch.where(due, found, x), torch.where(due, found.neg(), both), step + 1, found.mean() * 0 + both.sum()]


@pytest.mark.parametrize("reuse", [False, True])
def test_what_serves_a_choice_is_computed_where_it_is_taken(reuse: bool) -> None:
    inputs = (torch.tensor(0), X, Y)
    graph = record(lambda *given: chosen(*given)[:3], inputs)
    run = python_function(graph, reuse)
    assert len(branches(graph).serving) > 36
    for i in range(7):
        step = torch.tensor(i)
        expected = chosen(step, X, Y)[:3]
        CALLS.clear()
        found = run(step, X, Y)
        assert same(found, expected)
        assert len(CALLS) == (i % 3 == 0)
        assert found[0] is not X


def test_what_serves_others_too_is_computed_always() -> None:
    inputs = (torch.tensor(0), X, Y)
    graph = record(chosen, inputs)
    assert not branches(graph).choices
    assert same(python_function(graph)(torch.tensor(1), X, Y), chosen(torch.tensor(1), X, Y))


def test_a_condition_of_each_run_or_entry_leaves_nothing_out() -> None:
    graph = record(lambda step, x, y: chosen(step, x, y)[:3], (torch.zeros(64, dtype=torch.int64), X, Y))
    assert not branches(graph).choices


@pytest.mark.parametrize("seed", range(20))
def test_choices_drawn_at_random_give_the_same(seed: int) -> None:
    draw = random.Random(seed)
    kinds: list[Callable[[Tensor, Tensor], Tensor]] = [torch.add, torch.mul, torch.maximum]

    def step(truth: Tensor, other: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
        values, truths = [x, y], [truth, other, truth & other]
        for _ in range(60):
            one, two = draw.choice(values), draw.choice(values)
            if draw.random() < 0.25:
                values.append(torch.where(draw.choice(truths), one, two))
            else:
                values.append(draw.choice(kinds)(one, two).tanh())
        return [values[-1], draw.choice(values)]

    state = draw.getstate()
    graph = record(step, (torch.tensor(True), torch.tensor(False), X, Y))
    for truth in (True, False):
        for other in (True, False):
            given = (torch.tensor(truth), torch.tensor(other), X, Y)
            draw.setstate(state)
            expected = step(*given)
            assert same(python_function(graph, reuse=True)(*given), expected)
            assert same(python_function(graph)(*given), expected)
