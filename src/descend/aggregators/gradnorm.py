"""Weights learned so that all losses are trained at one rate (GradNorm)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.gramian import gramian
from descend.aggregators.learned import adam_state, learn
from descend.checks import check_number
from descend.scalars import power
from descend.types import State


@dataclass(frozen=True)
class GradNorm(Aggregator):
    """λ minimises Σᵢ |Gᵢ − Ḡ rᵢ^α| one step at a time, the targets held fixed, and is brought back to the sum m.

    Gᵢ = λᵢ‖gᵢ‖ with mean Ḡ; rᵢ is Lᵢ/Lᵢ(0) over its mean, the relative inverse training rate. Chen et al., "GradNorm:
    Gradient Normalization for Adaptive Loss Balancing in Deep Multitask Networks" (ICML 2018), equations 1 and 2 and
    Algorithm 1. Norms are over all parameters, where the paper takes the last shared layer to save time. The losses
    must stay above 0; otherwise the weights are NaN.

    Args:
        alpha: strength α of the pull towards one rate; 1.5 in the paper's main experiments.
        lr: learning rate of the Adam that learns λ, > 0; the paper's.
    """

    uses_jacobian: ClassVar[bool] = True

    alpha: float = 1.5
    lr: float = 0.025

    def __post_init__(self) -> None:
        check_number(self, "alpha", at_least=0)
        check_number(self, "lr", above=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        ones = torch.ones_like(losses)
        return {"weights": ones, "start": losses.clone(), "adam": adam_state(ones)}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        weights = state["weights"]
        norms = gramian(jacobian()).diagonal().sqrt().to(losses.dtype)
        lengths = weights * norms
        ratios = losses / state["start"]
        targets = lengths.mean() * power(ratios / ratios.mean(), self.alpha).to(losses.dtype)
        gradient = (lengths - targets).sign() * norms
        learned, adam = learn(weights, gradient, state["adam"], self.lr)
        rescaled = learned * (losses.shape[0] / learned.sum())
        return weights, {"weights": rescaled, "start": state["start"], "adam": adam}
