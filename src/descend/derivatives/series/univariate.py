"""Functions of one series, φ(x(t)), with a backward pass that uses the form of their derivatives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from descend.derivatives.series.accumulate import sum_of_products
from descend.derivatives.series.convolution import convolve, correlate
from descend.derivatives.series.recorded import applied, differentiated

Coefficients = tuple[Tensor, ...]


@dataclass(frozen=True)
class Univariate:
    """Functions φ_1, …, φ_m that are computed together, because each one's recurrence needs the others'.

    With y_i = φ_i(x) and w_i = φ_i'(x), all truncated series, ∂y_{i,k} / ∂x_j = w_{i,k−j}: the adjoint is one
    correlation with w_i, however the recurrence computed y_i.

    Attributes:
        recurrence: (x [d + 1, *shape], order) -> m series of [order + 1, *shape].
        slopes: for each i, (x, outputs) -> w_i [≤ order + 1, *shape], differentiable in both.
    """

    recurrence: Callable[[Tensor, int], Coefficients]
    slopes: tuple[Callable[[Tensor, Coefficients], Tensor], ...]

    def __call__(self, x: Tensor, order: int) -> Coefficients:
        return applied(_Univariate, x, self, order) if differentiated(x) else self.recurrence(x, order)


class _Univariate(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, function: Univariate, order: int) -> Coefficients:
        return function.recurrence(x, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Univariate, int], outputs: Coefficients) -> None:
        x, ctx.function, ctx.order = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, *outputs)
        ctx.save_for_forward(x, *outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        x, *outputs = ctx.saved_tensors
        terms = [
            correlate(gradient, slope(x, tuple(outputs)), x.shape[0])
            for gradient, slope in zip(gradients, ctx.function.slopes, strict=True)
            if gradient is not None
        ]
        return (sum(terms[1:], terms[0]) if terms else None), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Coefficients:
        x, *outputs = ctx.saved_tensors
        return tuple(convolve(slope(x, tuple(outputs)), tangent, ctx.order) for slope in ctx.function.slopes)


def integral_row(x: Sequence[Tensor], w: Sequence[Tensor], k: int) -> Tensor:
    """Row k ≥ 1 of the series y with y' = w x': k y_k = Σ_j j x_j w_{k−j} (Griewank & Walther, § 13.2)."""
    lowest, highest = max(1, k - len(w) + 1), min(len(x) - 1, k)
    if highest < lowest:
        return torch.zeros_like(w[0])
    return sum_of_products((j / k, x[j], w[k - j]) for j in range(highest, lowest - 1, -1))
