"""An `autograd.Function` that works under every transform, for ops that bring their own derivative."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor


class Elementwise(torch.autograd.Function):
    """y = forward(x, *constants) with dy/dx = derivative(x, y, *constants), in reverse and in forward mode.

    A subclass gives these two, as static methods. `derivative` uses differentiable torch operations on its
    arguments, never numbers kept from `forward`: autograd differentiates it again, which gives every higher order.
    It may be constant in x, of shape []. The constants, tensors of shape [], receive no gradient.
    """

    generate_vmap_rule = True

    derivative: ClassVar[Callable[..., Tensor]]
    """(x, y, *constants) ↦ dy/dx element by element, broadcastable to `x`."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x, *constants = inputs
        # Both calls are needed: reverse mode reads the first, forward mode raises without the second.
        ctx.save_for_backward(x, output, *constants)
        ctx.save_for_forward(x, output, *constants)

    @classmethod
    def backward(cls, ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, y, *constants = ctx.saved_tensors
        return gradient * cls.derivative(x, y, *constants), *(None for _ in constants)

    @classmethod
    def jvp(cls, ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return tangent * cls.derivative(*ctx.saved_tensors)
