"""Powell's singular function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class PowellSingular(SumOfSquares):
    """f(x) = Σ (a + 10b)² + 5 (c − d)² + (b − 2c)⁴ + 10 (a − d)⁴ over successive groups (a, b, c, d) of x.

    Powell, "An iterative method for finding stationary values of a function of several variables", The Computer Journal
    5 (1962); nos. 13 and 22 of Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7
    (1981), which gives the start.

    Args:
        dim: number of variables, a multiple of 4.
    """

    domain = ((-4.0, 5.0),)
    dims = (4, None)
    minimum = 0.0

    dim: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim % 4 != 0:
            raise ConfigurationError(f"PowellSingular has dim={self.dim}, but it needs a multiple of 4; change dim.")

    def value(self, x: Tensor) -> Tensor:
        a, b, c, d = x.reshape(-1, 4).unbind(dim=1)
        return ((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4).sum()

    def terms(self, x: Tensor) -> Tensor:
        a, b, c, d = x.reshape(-1, 4).unbind(dim=1)
        return torch.cat([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])

    def customary_start(self) -> Sequence[float]:
        return [3.0, -1.0, 0.0, 1.0] * (self.dim // 4)

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]
