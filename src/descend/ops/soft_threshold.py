"""Every number moves towards zero and stops there."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.op import Op, scalar_like


@dataclass(frozen=True)
class SoftThreshold(Op):
    """y = sign(x)·max(|x| − `threshold`, 0): the proximal map of threshold·‖x‖₁; its derivative at the kinks is 0.

    Donoho 1995, "De-noising by soft-thresholding", section 1.
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_number(self, "threshold", at_least=0)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (-self.threshold, self.threshold)

    def __call__(self, x: Tensor) -> Tensor:
        threshold = scalar_like(self.threshold, x)
        return x - torch.clamp(x, -threshold, threshold)
