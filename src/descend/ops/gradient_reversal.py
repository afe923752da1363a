"""The identity whose gradient changes sign."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.ops.gradient_scale import ScaleGradient
from descend.ops.op import Op, scalar_like


@dataclass(frozen=True)
class GradientReversal(Op):
    """y = x; its derivative is taken to be −`strength`: layers after it minimise the loss, layers before maximise it.

    Ganin & Lempitsky 2015, "Unsupervised Domain Adaptation by Backpropagation", section 3, where strength is λ.
    """

    strength: float = 1.0

    declines_gradcheck: ClassVar[str | None] = (
        "The derivative of the identity is 1; a gradient reversal takes it to be negative by design."
    )

    def __call__(self, x: Tensor) -> Tensor:
        return ScaleGradient.apply(x, -scalar_like(self.strength, x))
