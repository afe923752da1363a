"""Each gradient loses what conflicts with the others, one after the other (PCGrad)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.draws import uniform
from descend.aggregators.gramian import gramian
from descend.checks import check_number
from descend.types import State


def pcgrad_weights(products: Tensor, orders: Tensor) -> Tensor:
    """Return λ, shape [m], for a Gramian of shape [m, m] when gradient i meets the others in the order `orders[i]`.

    Args:
        products: G = J Jᵀ, shape [m, m].
        orders: a permutation of 0…m−1 in each row, int64, shape [m, m]; its own index in a row is skipped.
    """
    m = products.shape[0]
    identity = torch.eye(m, dtype=products.dtype, device=products.device)
    squares = products.diagonal()
    inverse = torch.where(squares > 0, 1 / squares, torch.zeros_like(squares))
    places = torch.arange(m, dtype=torch.int64, device=products.device)
    weights = identity
    for s in range(m):
        # Row i picks out the gradient that i meets now, and nothing where that is itself.
        met = (orders[:, s, None] == places).to(products.dtype) * (1 - identity)
        conflict = ((met @ products) * weights).sum(dim=1).clamp(max=0)
        weights = weights - met * conflict[:, None] * inverse
    return weights.sum(dim=0)


@dataclass(frozen=True)
class PCGrad(Aggregator):
    """dᵢ ← dᵢ − min(dᵢ·gⱼ, 0)/‖gⱼ‖² gⱼ for all j ≠ i in random order, from dᵢ = gᵢ; Jᵀλ = Σᵢ dᵢ.

    Yu et al., "Gradient Surgery for Multi-Task Learning" (NeurIPS 2020), Algorithm 1. The orders are drawn by a counter
    in the state and the seed, so that a step taken again meets the same ones.

    Args:
        seed: chooses the sequence of orders; with two losses there is only one.
    """

    uses_jacobian: ClassVar[bool] = True

    seed: int = 0

    def __post_init__(self) -> None:
        check_number(self, "seed", at_least=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        return {"step": torch.zeros_like(losses[0], dtype=torch.int64)}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        products = gramian(jacobian())
        orders = uniform(self.seed, state["step"], tuple(products.shape)).argsort(dim=1)
        return pcgrad_weights(products, orders).to(losses.dtype), {"step": state["step"] + 1}
