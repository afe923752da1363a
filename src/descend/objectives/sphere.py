"""The sphere."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Sphere(TestFunction):
    """f(x) = Σᵢ xᵢ²: every direction alike.

    De Jong, "An analysis of the behavior of a class of genetic adaptive systems" (1975), F1, which gives the domain.
    """

    domain = ((-5.12, 5.12),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        return (x * x).sum()

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]
