"""Functions of x [3] for the audit: as many whose derivatives are right as with a fault planted.

Each returns a scalar. `RIGHT` are to be called right in some sense, whatever is unusual about them; `FAULTY` are to be
accused, from the order given on.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ops import faulty
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Scalar = Callable[[Tensor], Tensor]


def op(forward: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """An elementwise custom Function, its backward `slope` times what comes."""

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return gradient * slope(x)

    return Own.apply


def of_numpy(function: Callable) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.from_numpy(np.asarray(function(x.detach().numpy())))


def of_list(function: Callable[[float], float]) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.tensor([function(each) for each in x.tolist()], dtype=x.dtype)


sin = op(torch.sin, torch.cos)
numpy_sin = op(of_numpy(np.sin), torch.cos)
list_exp = op(of_list(math.exp), torch.exp)
straight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


class Running:
    """Keeps a mean of what it has seen, as a layer does for later."""

    def __init__(self) -> None:
        self.mean = torch.zeros((), dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return sin(x)


RUNNING = Running()


def hooked(function: Scalar, hook: Callable[[Tensor], Tensor | None]) -> Scalar:
    def loss(x: Tensor) -> Tensor:
        y = x * 1.0
        y.register_hook(hook)
        return function(y)

    return loss


def stable_logsumexp(x: Tensor) -> Tensor:
    top = x.detach().max()
    return (x - top).exp().sum().log() + top


def no_grad_target(x: Tensor) -> Tensor:
    with torch.no_grad():
        target = x.sin()
    return (x - target).square().sum()


def fixed_data(x: Tensor) -> Tensor:
    data = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return (data @ x).tanh().square().sum()


def noise(x: Tensor) -> Tensor:
    return torch.rand_like(x.detach())


def small_network() -> Scalar:
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return lambda x: F.gelu(first @ x).dot(torch.tanh(second @ x))


def softmax_attention(x: Tensor) -> Tensor:
    tokens = torch.outer(x, straight)
    return (F.softmax(tokens @ tokens.mT / 3, dim=-1) @ tokens).square().sum()


RIGHT: dict[str, Scalar] = {
    "sines": lambda x: sin(x).sum(),
    "a mean kept for a log": lambda x: (x.detach().mean(), sin(x).sum())[1],
    "a running mean": lambda x: RUNNING(x).sum(),
    "NumPy inside": lambda x: numpy_sin(x).square().sum(),
    "a list inside": lambda x: list_exp(x).sum(),
    "a stable logsumexp": stable_logsumexp,
    "a logsumexp in NumPy's way": lambda x: (x - x.max().item()).exp().sum().log() + x.max(),
    "tiny": lambda x: 1e-14 * sin(x).sum(),
    "huge": lambda x: 1e14 * sin(x).sum(),
    "beside a penalty": lambda x: sin(x[1:]).sum() + 1e11 * (x[0] - 0.1) ** 2,
    "beside a constant": lambda x: 1e9 + sin(x).sum(),
    "whole numbers": lambda x: ((10 * x).long() * x).sum(),
    "rounded to a decimal": lambda x: (torch.round(x, decimals=1) * x).sum(),
    "floored": lambda x: (torch.floor(3 * x) * x).sum(),
    "float32 within": lambda x: x.float().sin().sum().double() * x.sum(),
    "bfloat16 within, added": lambda x: x.square().sum() + 1e-9 * x.bfloat16().double().sum(),
    "a draw of its own, fixed": fixed_data,
    "dropout": lambda x: F.dropout(x, 0.5).square().sum(),
    "noise of torch's": lambda x: (x * noise(x)).square().sum(),
    "noise of NumPy's": lambda x: (x * float(np.random.rand())).square().sum(),  # noqa: NPY002
    "a target without grad": no_grad_target,
    "a target detached": lambda x: (x - x.detach().sin()).square().sum(),
    "straight through by detach": lambda x: (x + (x.round() - x).detach()).square().sum(),
    "a scale read out": lambda x: (x / x.abs().max().item()).square().sum(),
    "a hook that looks": hooked(lambda x: x.sin().sum(), lambda gradient: None),
    "at a kink": lambda x: F.relu(x - 0.3).square().sum() + F.relu(x - x.detach()).sum() * 0,
    "a network": small_network(),
    "attention": softmax_attention,
    "cumulative sums": lambda x: x.cumsum(0).exp().sum() + x.cumprod(0).sum(),
    "a billionth": lambda x: 1e-9 * sin(3 * x).square().sum(),
    "a table in NumPy": lambda x: by_pieces(x).sum(),
    "a hook that hands on what it got": hooked(lambda x: x.cos().prod(), lambda gradient: gradient.clone()),
    "Functions of Functions": lambda x: Cube.apply(x).sum(),
    "half precision for a log": lambda x: (x.half().sum().item(), sin(x).sum())[1],
    "cancelling terms": lambda x: (100 * x).sin().sum() - (100 * x).sin().sum() + x.square().sum(),
}


class Cube(torch.autograd.Function):
    """x³, whose derivative is made of a Function, too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 3 * gradient * Square.apply(*ctx.saved_tensors, 1.0)


class Square(torch.autograd.Function):
    """x², whose second derivative is `third` times what it should be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, third: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.third = third
        return x.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * (2 * x.detach() + 2 * ctx.third * (x - x.detach())), None


class CubeOff(Cube):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 3 * gradient * Square.apply(*ctx.saved_tensors, 1.1)


def by_pieces(x: Tensor) -> Tensor:
    """A table looked up in NumPy, whose pieces are straight: its slope is that of the piece."""

    class Looked(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            at, heights = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([1.0, 0.5, 2.0, -1.0])
            piece = np.searchsorted(at, x.detach().numpy()) - 1
            slopes = (np.diff(heights) / np.diff(at))[piece]
            ctx.slopes = torch.from_numpy(slopes)
            return torch.from_numpy(heights[piece] + slopes * (x.detach().numpy() - at[piece]))

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * ctx.slopes

    return Looked.apply(x)


def reversed_gradient(x: Tensor) -> Tensor:
    """A hook that turns round the gradient of one entry, deep inside."""
    hidden = torch.tanh(torch.outer(x, straight))
    hidden.register_hook(lambda gradient: torch.cat([gradient[:2], -gradient[2:]]))
    return hidden.square().sum()


def recast_output(x: Tensor) -> Tensor:
    """A backward from an output that was rounded to float32 on its way: off by 1e-8."""

    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            value = x.exp()
            ctx.save_for_backward(value.float())
            return value

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * ctx.saved_tensors[0].double()

    return Exp.apply(x).sum()


def cubed_with(slope: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """x³ whose backward gets (x, gradient)."""

    class Cube(faulty.NoJvp):
        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return slope(x, gradient)

    return Cube.apply


class ThirdOrder(torch.autograd.Function):
    """The derivative of x⁴: right itself, and its own derivative right, but the next one detached."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**4

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * FourCubes.apply(*ctx.saved_tensors)


class FourCubes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return 4 * x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * 12 * x.detach() ** 2


class TwelveSquares(FourCubes):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * cubed_with(lambda x, g: g * 7 * x)(x) / x * 12


class OtherThirdOrder(ThirdOrder):
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * TwelveSquares.apply(*ctx.saved_tensors)


class OwnDropout(torch.autograd.Function):
    """Draws another mask for the backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * torch.bernoulli(torch.full_like(x, 0.5))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.bernoulli(torch.full_like(gradient, 0.5))


class OwnNoise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.factor = torch.rand(x.shape, dtype=x.dtype)
        return x * ctx.factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * ctx.factor * 1.01


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, how: str) -> Tensor:
        ctx.save_for_backward(x)
        values = x.tolist() if how == "tolist" else x.numpy(force=True).tolist()
        return torch.tensor(sum(value * value for value in values), dtype=x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return 0 * ctx.saved_tensors[0] * gradient, None


ten_sines = op(torch.sin, lambda x: 10 * torch.cos(x))
numpy_wrong = op(of_numpy(np.sin), lambda x: torch.cos(x) * 1.001)
list_wrong = op(of_list(math.exp), lambda x: torch.exp(x) + 0.01)
half_slope = op(torch.sin, lambda x: torch.cos(x.half()).to(x.dtype))
float_slope = op(torch.sin, lambda x: torch.cos(x.float()).to(x.dtype))
whole_slope = op(lambda x: 10 * x.square(), lambda x: (20 * x).long().to(x.dtype))
rounded_slope = op(torch.sin, lambda x: torch.round(torch.cos(x), decimals=3))


def spoilt_target(x: Tensor) -> Tensor:
    with torch.no_grad():
        target = x.cos()
    return (ten_sines(x) - target).square().sum()


def wrong_beside_float32(x: Tensor) -> Tensor:
    return x.float().sin().sum().double() * ten_sines(x).sum()


def module_hook() -> Scalar:
    layer = nn.Linear(3, 2, bias=False).double()
    layer.weight.data.copy_(torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.3, -0.2]]))

    def tripled(module: nn.Module, inputs: Any, outputs: Any) -> tuple[Tensor]:
        return (inputs[0] * 3,)

    layer.register_full_backward_hook(tripled)
    return lambda x: layer(x).sin().sum()


FAULTY: dict[str, tuple[int, Scalar]] = {
    "ten sines": (1, lambda x: ten_sines(x).sum()),
    "behind a mean kept for a log": (1, lambda x: (x.detach().mean(), ten_sines(x).sum())[1]),
    "behind a stable logsumexp": (1, lambda x: stable_logsumexp(ten_sines(x))),
    "beside a target without grad": (1, spoilt_target),
    "beside a target detached": (1, lambda x: (ten_sines(x) - x.detach()).square().sum()),
    "NumPy, a thousandth off": (1, lambda x: numpy_wrong(x).sum()),
    "a list, a hundredth off": (1, lambda x: list_wrong(x).sum()),
    "zero for a gradient, by a list": (1, lambda x: Once.apply(x, "tolist")),
    "zero for a gradient, by NumPy": (1, lambda x: Once.apply(x, "force")),
    "tiny": (1, lambda x: 1e-14 * ten_sines(x).sum()),
    "huge": (1, lambda x: 1e14 * ten_sines(x).sum()),
    "beside a penalty": (1, lambda x: ten_sines(x[1:]).sum() + 1e11 * (x[0] - 0.1) ** 2),
    "beside a constant": (1, lambda x: 1e6 + ten_sines(x).sum()),
    "one small entry": (1, lambda x: x[0].exp() * 1e8 + 1e-4 * ten_sines(x[1:]).sum()),
    "between the smallest steps": (1, lambda x: x[0].exp() + ten_sines(3e5 * x[1:].cumsum(0)).sum() / 3e5),
    "half precision in the backward": (1, lambda x: half_slope(x).sum()),
    "float32 in the backward": (1, lambda x: float_slope(x).sum()),
    "whole numbers in the backward": (1, lambda x: whole_slope(x).sum()),
    "decimals in the backward": (1, lambda x: rounded_slope(x).sum()),
    "beside float32": (1, wrong_beside_float32),
    "another mask in the backward": (1, lambda x: OwnDropout.apply(x.repeat(8)).square().sum()),
    "a hundredth off, at random": (1, lambda x: OwnNoise.apply(x).sum()),
    "a hook that scales": (1, hooked(lambda x: x.sin().sum(), lambda gradient: 10 * gradient)),
    "a hook that clips": (1, hooked(lambda x: (5 * x).sin().sum(), lambda gradient: gradient.clamp(-1, 1))),
    "a hook of a module": (1, module_hook()),
    "a derivative kept on the context": (2, lambda x: faulty.DerivativeOnContext.apply(x).sin().sum()),
    "a derivative detached": (2, lambda x: faulty.DetachedBackward.apply(x).sum()),
    "a derivative by NumPy": (2, lambda x: faulty.NumpyInBackward.apply(x).sum()),
    "a billionth, a hundredth off": (1, lambda x: 1e-9 * op(torch.sin, lambda x: 1.01 * torch.cos(x))(3 * x).sum()),
    "NumPy within NumPy": (1, lambda x: numpy_sin(numpy_wrong(x)).sum()),
    "a hook that turns one entry round": (1, reversed_gradient),
    "an output kept in float32": (1, recast_output),
    "a third order a tenth off": (3, lambda x: CubeOff.apply(x).sum()),
    "the third order alone": (3, lambda x: ThirdOrder.apply(x).sum()),
    "another third order alone": (3, lambda x: OtherThirdOrder.apply(x).sum()),
}

RAISING: dict[str, tuple[int, Scalar]] = {
    "no second derivative": (2, lambda x: torch.cdist(torch.outer(x, straight), torch.eye(3).double()).sum()),
    "a backward that raises": (2, lambda x: hooked(lambda y: y.exp().sum(), _raising)(x)),
}

UNRECORDED: dict[str, Scalar] = {
    "a number read": lambda x: x.sin().sum() * (x.sum().item() * 0 + 1),
    "a number read in the backward": lambda x: cubed_with(lambda x, g: 3 * g * x**2 * (x.sum().item() * 0 + 1))(
        x
    ).sum(),
    "a branch": lambda x: x.sin().sum() if x.sum() > 0 else x.cos().sum(),
}


def _raising(gradient: Tensor) -> Tensor:
    if gradient.requires_grad:
        raise ValueError("not twice")
    return gradient
