"""Michalewicz's function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.test_function import TestFunction

# The minimiser of each variable (the function is a sum over variables), solved with mpmath to double precision.
LOWEST = (
    *(2.2029055201726093, 1.5707963267948966, 1.2849915705529245, 1.9230584698663629, 1.7204697725658413),
    *(1.5707963267948966, 1.454413971362379, 1.7560865209450263, 1.6557174168210291, 1.5707963267948966),
)


@dataclass(frozen=True)
class Michalewicz(TestFunction):
    """f(x) = −Σᵢ sin xᵢ sin²⁰(i xᵢ²/π): n! valleys, narrow and flat-floored.

    Michalewicz, "Genetic algorithms + data structures = evolution programs" (1992), with his steepness m = 10. The
    minimum within the domain is known here up to 10 dimensions.
    """

    domain = ((0.0, math.pi),)
    dims = (1, None)

    def value(self, x: Tensor) -> Tensor:
        index = torch.arange(1, self.dim + 1, dtype=x.dtype, device=x.device)
        return -(x.sin() * (index * x**2 / math.pi).sin() ** 20).sum()

    @property
    def minimum(self) -> float | None:
        if self.dim > len(LOWEST):
            return None
        return -sum(math.sin(x) * math.sin(i * x**2 / math.pi) ** 20 for i, x in enumerate(LOWEST[: self.dim], start=1))

    @property
    def minimizers(self) -> Sequence[Sequence[float]] | None:
        return None if self.dim > len(LOWEST) else [LOWEST[: self.dim]]
