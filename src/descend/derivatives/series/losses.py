"""Loss functions of torch.nn.functional, rewritten in functions that have a series."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series.rules import decomposition

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum, "none": lambda loss: loss}


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    return _REDUCTIONS[reduction](loss)


@decomposition(F.mse_loss)
def mse_loss(x: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None, **_: Any) -> Tensor:
    """(x − target)²."""
    return NotImplemented if weight is not None else _reduced((x - target) ** 2, reduction)


@decomposition(F.l1_loss)
def l1_loss(x: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None, **_: Any) -> Tensor:
    """|x − target|."""
    return NotImplemented if weight is not None else _reduced(torch.abs(x - target), reduction)


@decomposition(F.huber_loss)
def huber_loss(
    x: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d²/2 for |d| < delta, delta (|d| − delta/2) beyond, d = x − target."""
    if weight is not None:
        return NotImplemented
    difference = x - target
    far = torch.abs(difference)
    return _reduced(torch.where(far < delta, 0.5 * difference**2, delta * (far - 0.5 * delta)), reduction)


@decomposition(F.smooth_l1_loss)
def smooth_l1_loss(x: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0, **_: Any) -> Tensor:
    """huber_loss / beta."""
    if beta == 0:
        return l1_loss(x, target, reduction=reduction)
    return huber_loss(x, target, reduction=reduction, delta=beta) / beta


@decomposition(F.binary_cross_entropy)
def binary_cross_entropy(
    x: Tensor, target: Tensor, *, weight: Tensor | None = None, reduction: str = "mean", **_: Any
) -> Tensor:
    """−target log x − (1 − target) log(1 − x), each logarithm at least −100, as in torch."""
    present, absent = (torch.clamp(log, min=-100) for log in (torch.log(x), torch.log1p(-x)))
    loss = -target * present - (1 - target) * absent
    return _reduced(loss if weight is None else loss * weight, reduction)


@decomposition(F.binary_cross_entropy_with_logits)
def binary_cross_entropy_with_logits(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """(1 − target) x + (1 + (pos_weight − 1) target) softplus(−x)."""
    positive = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    loss = (1 - target) * x - positive * F.logsigmoid(x)
    return _reduced(loss if weight is None else loss * weight, reduction)


@decomposition(F.cross_entropy)
def cross_entropy(
    x: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **_: Any,
) -> Tensor:
    """nll_loss(log_softmax(x), target) for classes by number; other forms are left to nested differentiation."""
    if label_smoothing or target.is_floating_point():
        return NotImplemented
    logits = F.log_softmax(x, dim=1 if x.dim() > 1 else 0)
    return F.nll_loss(logits, target, weight=weight, ignore_index=ignore_index, reduction=reduction)
