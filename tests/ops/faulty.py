"""Custom Functions as they should not be written: y = x³ (or max(x, 0)) with one mistake each.

Plain callables, so that tests show what each mistake breaks and what finds it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Right(torch.autograd.Function):
    """x³ without a mistake: what the others differ from."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * tangent


class OldStyle(torch.autograd.Function):
    """`forward` takes ctx."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class NoVmapRule(Right):
    """`generate_vmap_rule` left out."""

    generate_vmap_rule = False


class NoJvp(torch.autograd.Function):
    """`jvp` left out."""

    generate_vmap_rule = True
    forward = staticmethod(Right.forward)
    setup_context = staticmethod(Right.setup_context)
    backward = staticmethod(Right.backward)


class NothingSavedForForward(Right):
    """`save_for_forward` left out."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)


class DerivativeOnContext(NoJvp):
    """The derivative is computed beforehand, where autograd does not look."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.slope = 3 * inputs[0] ** 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return ctx.slope * gradient


class DetachedBackward(NoJvp):
    """The saved input is detached in `backward`."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * gradient


class OnceDifferentiable(NoJvp):
    """`backward` is marked once_differentiable."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


class JvpIsNotBackward(Right):
    """`jvp` has another slope than `backward`."""

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * tangent


class MaskWrite(torch.autograd.Function):
    """The guide's ReLU: `backward` writes zeros through a boolean mask."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.clamp_min(x, 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        gradient = gradient.clone()
        gradient[x < 0] = 0
        return gradient


class ItemInBackward(NoJvp):
    """`backward` asks a tensor for its number; right for one number at a time."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        scale = x.abs().max().item() or 1.0
        return 3 * scale**2 * (x / scale) ** 2 * gradient


class NumpyInBackward(NoJvp):
    """`backward` computes in NumPy."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.from_numpy(3 * x.numpy(force=True) ** 2) * gradient


class WrongShape(NoJvp):
    """`backward` sums what it should return."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.stack([(3 * x**2 * gradient).sum()] * 2)


class NoneReturned(NoJvp):
    """`backward` returns nothing for an input that has a derivative."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None


class WrongDerivative(Right):
    """Both directions have the same wrong slope."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * gradient

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * tangent


def through(function: type[torch.autograd.Function]) -> Callable[[Tensor], Tensor]:
    """The scalar function x ↦ Σ sin(op(x)), whose second derivative needs the op's first and second."""

    def loss(x: Tensor) -> Tensor:
        return torch.sin(function.apply(x)).sum()

    return loss
