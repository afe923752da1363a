"""The mean of the gradients, each first projected so that it conflicts with no other (UPGrad)."""

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
class UPGrad(Aggregator):
    """Jᵀλ = 1/m Σᵢ π(gᵢ), where π projects onto the dual cone {d : J d ≥ 0}.

    Quinton & Rey, "Jacobian Descent for Multi-Objective Optimization" (2024), equation 5. TorchJD sets both small
    numbers to 1e-4, for a solver that needs a regular Gramian. Ours does not, and the direction then vanishes where it
    should: on the CAGrad toy the regularised method drifts along the Pareto set instead of resting on it.

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
        check_few(names, "upgrad")
        return {}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        products = gramian(jacobian())
        m = products.shape[0]
        preferences = torch.eye(m, dtype=products.dtype, device=products.device) / m
        projected = project(preferences, products, self.norm_eps, self.reg_eps)
        return projected.sum(dim=1).to(losses.dtype), state
