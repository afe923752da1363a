"""Views by places in memory: a run of a stack reads its own entries, wherever it lies there."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from descend.errors import Untraceable
from descend.graph.simplify import simplified
from descend.graph.stack import stacked
from descend.graph.strided import strided, strided_scatter
from descend.graph.trace import trace


def every_second(x: Tensor) -> Tensor:
    x[:, ::2] *= 1.1
    return x


def first_row(x: Tensor) -> Tensor:
    x[0] = x[1]
    return x


def added_to_part(x: Tensor) -> Tensor:
    x[1:3, 4:] += x[:2, :-4].detach().clone()
    return x


@pytest.mark.parametrize("write", [every_second, first_row, added_to_part])
@pytest.mark.parametrize("last", [False, True])
def test_a_write_into_a_part_stacks(write: Callable[[Tensor], Tensor], last: bool) -> None:
    """The rows are multiples of 64 bytes, so that a run's part of the stack is not copied."""

    def gradient(weight: Tensor, x: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            weight = weight.detach().requires_grad_()
            return list(torch.autograd.grad((write((x * weight).clone()) ** 2).sum(), weight))

    weights, x = torch.randn(32, 16, dtype=torch.float64), torch.randn(4, 16, dtype=torch.float64)
    graph, _ = trace(gradient, weights[0], x)
    given = weights.T.contiguous() if last else weights
    [found] = stacked(simplified(graph), [True, False], [given, x], last)(given, x)
    found = found.T if last else found
    for own, weight in zip(found, weights, strict=True):
        assert torch.allclose(own, gradient(weight, x)[0], rtol=1e-13)


@pytest.mark.parametrize(
    ("size", "stride", "offset"), [((3, 2), (4, 2), 1), ((12,), (1,), 0), ((2, 2), (0, 1), 5), ((0, 3), (1, 1), 0)]
)
def test_entries_are_those_of_as_strided(size: tuple, stride: tuple, offset: int) -> None:
    x = torch.arange(12.0, device="cpu", dtype=torch.float64)
    for each in (x.view(3, 4), x.view(4, 3).T, x.view(3, 2, 2)):
        assert strided(each, size, stride, offset).equal(each.as_strided(size, stride, offset))
        if 0 not in stride:
            source = torch.rand(size, device="cpu", dtype=torch.float64)
            expected = torch.as_strided_scatter(each, source, size, stride, offset)
            assert strided_scatter(each, source, size, stride, offset).equal(expected)


def test_memory_beside_a_tensor_is_refused() -> None:
    x = torch.arange(12.0, device="cpu", dtype=torch.float64)[4:8]
    assert strided(x, (2,), (1,), 5).tolist() == [5, 6]
    for offset in (0, 7):
        with pytest.raises(Untraceable, match="beside its tensor"):
            strided(x, (2,), (1,), offset)
