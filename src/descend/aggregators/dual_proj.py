"""The mean of the gradients, projected so that it increases no loss (DualProj)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.complementarity import check_few
from descend.aggregators.dual_cone import project
from descend.aggregators.gramian import gramian
from descend.checks import check_number
from descend.types import State


@dataclass(frozen=True)
class DualProj(Aggregator):
    """Jᵀλ = π(1/m Σᵢ gᵢ), where π projects onto the dual cone {d : J d ≥ 0}.

    Lopez-Paz & Ranzato, "Gradient Episodic Memory for Continual Learning" (NeurIPS 2017), equation 11. TorchJD sets
    both small numbers to 1e-4, for a solver that needs a regular Gramian; see UPGrad.

    Args:
        norm_eps: squared norm of all gradients together up to which they count as zero, and the weights are 1/m; ≥ 0.
        reg_eps: relative regularisation of the Gramian, ≥ 0; with 0 no loss is increased to first order.
    """

    uses_jacobian: ClassVar[bool] = True

    norm_eps: float = 0.0
    reg_eps: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "norm_eps", at_least=0)
        check_number(self, "reg_eps", at_least=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        check_few(names, "dual_proj")
        return {}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        products = gramian(jacobian())
        mean = torch.full_like(products[:, :1], 1 / products.shape[0])
        return project(mean, products, self.norm_eps, self.reg_eps)[:, 0].to(losses.dtype), state
