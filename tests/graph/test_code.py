"""A graph as a Python function: what writes over its own memory gives the same, and touches nothing else."""

import random
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from descend.graph.code import function, last_uses, reused
from descend.graph.recorder import record
from descend.graph.simplify import simplified

GENERATOR = torch.Generator().manual_seed(5)
X, Y = (torch.randn(64, 64, generator=GENERATOR) for _ in range(2))


def both(step: Callable[..., Sequence[Tensor]], *inputs: Tensor) -> tuple[int, list[Tensor], list[Tensor]]:
    """Return how many operations write over an input, and what the step gives without and with that."""
    graph = simplified(record(step, inputs))
    plain, reusing = function(graph), function(graph, reuse=True)
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
