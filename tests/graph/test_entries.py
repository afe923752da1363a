"""A step taken entry by entry is the step."""

import pytest
import torch
from torch import Tensor

from descend.graph.entries import Inseparable, scalars
from descend.graph.trace import trace


def function(x: Tensor, y: Tensor, n: Tensor) -> list[Tensor]:
    """Every way in which entries move, are summed, and are multiplied."""
    rows = torch.stack([x, y]).flip(0)
    joined = torch.cat([x[1:], y[:1].expand(2), torch.zeros_like(y)])
    return [
        rows.sum(0), rows.sum(), rows.mean(1), rows.t().reshape(-1)[1:4], joined.roll(1) * n, torch.dot(x, y),
        rows @ x, rows @ rows.T, torch.where(x > y, x, n), x.clamp(min=0).cumsum(0), rows.amax(1), rows.amin(),
        torch.zeros_like(x) + n.to(x.dtype), torch.linalg.vector_norm(rows), (x > 0).all(), (x > 0).any(),
        (rows > -9).sum(), rows.sum(1, keepdim=True) / n, torch.cat([x, n.float().expand(2)]), x[None].expand(2, 3),
        x.repeat(2, 1),
    ]  # fmt: skip


def test_every_kind_of_operation() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(3, generator=generator, dtype=torch.float64) for _ in range(2))
    n = torch.tensor(0.5, dtype=torch.float64)
    graph, _ = trace(function, x, y, n)
    found = iter(scalars(graph)(*x, *y, n))
    for expected in function(x, y, n):
        entries = torch.stack([next(found) for _ in range(expected.numel())]).reshape(expected.shape)
        torch.testing.assert_close(entries, expected, rtol=1e-14, atol=1e-15)


def test_what_is_more_than_arithmetic_is_refused() -> None:
    graph, _ = trace(lambda x: [x.sort().values], torch.ones(2))
    with pytest.raises(Inseparable, match="sort"):
        scalars(graph)


@pytest.mark.parametrize("index", ["a constant", "computed"])
def test_entries_do_not_move_by_an_index_that_a_step_may_compute(index: str) -> None:
    def step(x: Tensor) -> list[Tensor]:
        places = torch.tensor([1, 0]) if index == "a constant" else (x > 0).long()
        return [x.gather(0, places)]

    graph, _ = trace(step, torch.ones(2))
    with pytest.raises(Inseparable, match="gather"):
        scalars(graph)


def test_a_number_has_no_say_in_the_precision_of_a_tensor() -> None:
    x, lr = torch.ones(2, dtype=torch.float32), torch.tensor(0.1, dtype=torch.float64)
    graph, _ = trace(lambda x, lr: [x * lr, lr * lr, torch.addcmul(x, x, x) / lr], x, lr)
    found = scalars(graph)(*x, lr)
    assert [entry.dtype for entry in found] == [torch.float32] * 2 + [torch.float64] + [torch.float32] * 2
