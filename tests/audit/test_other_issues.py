"""Issues of PyTorch's tracker that are not in the audit's list: `docs/known-faults.md` says why, and these hold it."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def forget() -> None:
    torch._dynamo.reset()


def test_192985_is_there() -> None:
    """What eager torch gives is the custom jvp, zero; compiled, it is the slope of the sine."""

    class ZeroSlope(torch.autograd.Function):
        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x.sin()

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def jvp(ctx: Any, tangent: Tensor) -> Tensor:
            return torch.zeros_like(tangent)

    def slope(x: Tensor) -> Tensor:
        return jvp(ZeroSlope.apply, (x,), (torch.ones_like(x),))[1]

    x = torch.tensor([0.3, -0.7, 1.1])
    assert slope(x).tolist() == [0, 0, 0]
    torch.testing.assert_close(torch.compile(slope, backend="eager")(x), x.cos())


@pytest.mark.parametrize(("at", "share"), [(30.0, 1.0), (40.0, 0.0), (-40.0, 1.0)])
def test_195530_is_there(at: float, share: float) -> None:
    """By hand: the second derivative of logsigmoid is −σ(x) σ(−x), an even function."""
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(F.logsigmoid(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    e = math.exp(-abs(at))
    assert second.item() == pytest.approx(-share * e / (1 + e) ** 2, rel=1e-3)


def test_spectral_norm_in_training_is_there() -> None:
    """The norm of diag(a, b) with a > b is a: divided by it, the second entry is b/a."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2, bias=False, dtype=torch.float64), "weight", 200)

    def last(x: Tensor) -> Tensor:
        weight = torch.stack([2 + x[0], x[1], x[1], 1 + x[0]]).reshape(2, 2)
        given = {"parametrizations.weight.original": weight}
        return functional_call(layer, given, (torch.eye(2, dtype=torch.float64),))[1, 1]

    def exact(x: Tensor) -> Tensor:
        weight = torch.stack([2 + x[0], x[1], x[1], 1 + x[0]]).reshape(2, 2)
        return (weight / torch.linalg.matrix_norm(weight, 2))[1, 1]

    x = torch.tensor([0.1, 0.3], dtype=torch.float64)
    right = torch.autograd.functional.hessian(exact, x)
    found = torch.autograd.functional.hessian(last, x)
    torch.testing.assert_close(last(x), exact(x))
    assert float((found - right).abs().max()) > 0.01


def test_136662_is_not_there() -> None:
    def sums(x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, 0] += x[:, 2].abs()
        y[:, 0] += x[:, 2].abs()
        return y.sum()

    x = torch.tensor([[0.1, 0.2, -0.3], [0.4, 0.5, 0.6]])
    assert torch.compile(lambda x: grad(sums)(x), backend="inductor", fullgraph=True)(x).tolist() == [
        [0, 0, -2],
        [0, 0, 2],
    ]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a * b + a + b

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        return gradient * (b + 1), gradient * (a + 1)


class _InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x * 2
        y += 1
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo looks at it after a break
def test_183604_is_not_there() -> None:
    x = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
    made = torch.compile(lambda x: _Product.apply(x, x).sum(), backend="inductor")
    (found,) = torch.autograd.grad(made(x), x)
    assert found.tolist() == [3.0, -1.0, 6.0]  # 2 (x + 1)


class _SecondOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return a + 2 * b + 3 * c

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor]:
        return None, 2 * gradient, 3 * gradient


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo looks at it after a break
def test_181146_is_not_there() -> None:
    """The same tensor thrice, and a backward with nothing for the first place."""
    x = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
    for backend in ("eager", "inductor"):
        torch._dynamo.reset()
        made = torch.compile(lambda x: _SecondOnly.apply(x, x, x).sum(), backend=backend)
        (found,) = torch.autograd.grad(made(x), x)
        assert found.tolist() == [5.0, 5.0, 5.0]


def test_180642_is_not_there() -> None:
    x = torch.tensor([0.5, -1.5, 2.0], requires_grad=True)
    made = torch.compile(lambda x: (3 * _InPlace.apply(x)).sum(), backend="inductor")
    (found,) = torch.autograd.grad(made(x), x)
    assert found.tolist() == [6.0, 6.0, 6.0]
