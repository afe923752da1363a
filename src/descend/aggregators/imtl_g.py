"""Equal projections onto all gradients (IMTL-G)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.gramian import finite_or_identity, gramian
from descend.types import State

# TorchJD's: weights that add up to less than this cannot be brought to the sum 1.
SMALLEST_SUM = 1e-12


@dataclass(frozen=True)
class ImtlG(Aggregator):
    """λ = G⁺d / 1ᵀG⁺d with dᵢ = ‖gᵢ‖: Jᵀλ has the same projection onto every gᵢ/‖gᵢ‖ where they are independent.

    Liu et al., "Towards Impartial Multi-task Learning" (ICLR 2021), equation 6, with the pseudo-inverse of Quinton &
    Rey (2024) for dependent gradients; 0 where the sum vanishes.
    """

    uses_jacobian: ClassVar[bool] = True

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        products, mark = finite_or_identity(gramian(jacobian()))
        v = torch.linalg.pinv(products) @ products.diagonal().sqrt()
        total = v.sum()
        small = total.abs() < SMALLEST_SUM
        weights = torch.where(small, torch.zeros_like(v), v / torch.where(small, torch.ones_like(total), total))
        return (weights + mark).to(losses.dtype), state
