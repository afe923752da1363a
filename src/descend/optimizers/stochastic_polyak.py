"""The stochastic Polyak step."""

from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.optimizers.polyak import Polyak
from descend.scalars import real, smaller
from descend.types import Loss, Params
from descend.vectors import dot, quotient


@dataclass(frozen=True)
class StochasticPolyak(Polyak):
    """x ← x − min((f(x) − f⋆) / (c ‖g‖²), lr) · g, where f is the loss on the batch, and f⋆ its least value.

    Loizou et al., "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for Fast Convergence" (AISTATS 2021):
    SPS_max; c = ½ is the least for which its theory of strongly convex functions holds. With c = 1 and f⋆ = 0 it is
    ALI-G (Berrada, Zisserman & Kumar, ICML 2020). A clipping of the gradient makes the step longer.

    Args:
        lr: the longest step in gradients, > 0.
        optimum: f⋆; where f(x) is below it, the step is 0. 0 suits a network that can fit its data.
        c: above 0; below 1 steps are longer than Polyak's.
    """

    c: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "c", above=0)

    def rate(self, params: Params, gradients: Params, loss: Loss) -> Tensor:
        wanted = quotient(self.gap(params, loss), self.c * real(dot(gradients, gradients)))
        return smaller(wanted, self.lr)
