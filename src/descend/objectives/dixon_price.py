"""Dixon and Price's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class DixonPrice(SumOfSquares):
    """f(x) = (x₁ − 1)² + Σᵢ₌₂ⁿ i (2xᵢ² − xᵢ₋₁)², lowest where xᵢ = 2^(2^(1−i) − 1), the last of either sign.

    Dixon & Price, "The truncated Newton method for sparse unconstrained optimisation using automatic differentiation",
    Journal of Optimization Theory and Applications 60 (1989).
    """

    domain = ((-10.0, 10.0),)
    dims = (2, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        index = torch.arange(2, self.dim + 1, dtype=x.dtype, device=x.device)
        return (x[0] - 1) ** 2 + (index * (2 * x[1:] ** 2 - x[:-1]) ** 2).sum()

    def terms(self, x: Tensor) -> Tensor:
        index = torch.arange(2, self.dim + 1, dtype=x.dtype, device=x.device)
        return torch.cat([x[:1] - 1, index.sqrt() * (2 * x[1:] ** 2 - x[:-1])])

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        lowest = [2 ** (2.0 ** (1 - i) - 1) for i in range(1, self.dim + 1)]
        return [lowest, [*lowest[:-1], -lowest[-1]]]
