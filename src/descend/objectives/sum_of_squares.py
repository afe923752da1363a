"""The contract of classic test functions that are sums of squares."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.least_squares import LeastSquares
from descend.objectives.test_function import TestFunction
from descend.types import Batch, Params


@dataclass(frozen=True)
class SumOfSquares(TestFunction, LeastSquares):
    """A function f(x) = Σ rᵢ(x)² of one vector.

    A function defines its own `value`, equal to the sum, where its published formula is cheaper than the terms.
    """

    @abstractmethod
    def terms(self, x: Tensor) -> Tensor:
        """Return r(x), shape [m], of the point `x`, shape [dim]."""

    def value(self, x: Tensor) -> Tensor:
        terms = self.terms(x)
        return (terms * terms).sum()

    def residuals(self, params: Params, batch: Batch) -> Tensor:
        return self.terms(params["x"])
