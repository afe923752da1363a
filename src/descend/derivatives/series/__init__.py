"""Truncated Taylor arithmetic: ordinary torch code, evaluated on series instead of numbers."""

from descend.derivatives.series import (  # noqa: F401, each registers its rules
    activations,
    arithmetic,
    elementwise,
    gradient,
    joint,
    linear,
    losses,
    matrices,
    normalisation,
    piecewise,
    products,
    reductions,
    special,
)
from descend.derivatives.series.expansion import expand
from descend.derivatives.series.fused import decomposed, twice_differentiable
from descend.derivatives.series.gradient import as_root
from descend.derivatives.series.series import Series

__all__ = ["Series", "as_root", "decomposed", "expand", "twice_differentiable"]
