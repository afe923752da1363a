"""The identity whose gradient is clipped element by element."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.op import Op, scalar_like


class _ClipGradient(torch.autograd.Function):
    generate_vmap_rule = True
    declines_series = (
        "its backward clips, and a clipped gradient is no derivative. Ask for orders up to 2, or another op."
    )

    @staticmethod
    def forward(x: Tensor, limit: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (limit,) = ctx.saved_tensors
        return torch.clamp(gradient, -limit, limit), None


@dataclass(frozen=True)
class GradientClip(Op):
    """y = x; on the way back each element g of the gradient becomes min(max(g, −`limit`), `limit`).

    Clipping by value inside the graph, where gradients explode (Pascanu, Mikolov & Bengio 2013, section 3.2, clip by
    norm). It is not linear in g, so forward mode has no counterpart of it and raises.
    """

    limit: float = 1.0

    declines_gradcheck: ClassVar[str | None] = (
        "The derivative of the identity is 1; this op clips the gradient that passes by design."
    )
    declines_forward_mode: ClassVar[str | None] = (
        "A jvp must be the transpose of the backward, and clipping, which is not linear in the gradient, has none."
    )

    def __post_init__(self) -> None:
        check_number(self, "limit", above=0)

    def __call__(self, x: Tensor) -> Tensor:
        return _ClipGradient.apply(x, scalar_like(self.limit, x))
