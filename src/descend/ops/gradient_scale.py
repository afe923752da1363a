"""The identity whose gradient is multiplied by a factor."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.ops.elementwise import Elementwise
from descend.ops.op import Op, scalar_like


class ScaleGradient(Elementwise):
    """y = x with dy/dx taken to be the given factor."""

    @staticmethod
    def forward(x: Tensor, factor: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def derivative(x: Tensor, y: Tensor, factor: Tensor) -> Tensor:
        return factor


@dataclass(frozen=True)
class GradientScale(Op):
    """y = x; its derivative is taken to be `factor`, so gradients pass multiplied by it.

    A factor of 1/number of consumers balances a shared trunk against its heads (Ganin et al. 2016, section 4, for
    negative factors; MuZero, Schrittwieser et al. 2020, appendix G, for 1/2).
    """

    factor: float = 0.5

    declines_gradcheck: ClassVar[str | None] = (
        "The derivative of the identity is 1; this op takes it to be the given factor by design."
    )

    def __call__(self, x: Tensor) -> Tensor:
        return ScaleGradient.apply(x, scalar_like(self.factor, x))
