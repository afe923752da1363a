"""Weights learned as the losses' homoscedastic uncertainties."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.learned import adam_state, learn
from descend.checks import check_number
from descend.types import State


@dataclass(frozen=True)
class Uncertainty(Aggregator):
    """λᵢ = ½ exp(−sᵢ), where the log-variances s minimise Σᵢ ½ exp(−sᵢ) Lᵢ + ½ sᵢ along with the parameters.

    Kendall, Gal & Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and Semantics"
    (CVPR 2018), equation 10, from s = 0.

    Args:
        lr: learning rate of the Adam that learns s, > 0.
    """

    lr: float = 1e-2

    def __post_init__(self) -> None:
        check_number(self, "lr", above=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        log_variances = torch.zeros_like(losses)
        return {"log_variances": log_variances, "adam": adam_state(log_variances)}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        weights = 0.5 * (-state["log_variances"]).exp()
        gradient = 0.5 - weights * losses
        log_variances, adam = learn(state["log_variances"], gradient, state["adam"], self.lr)
        return weights, {"log_variances": log_variances, "adam": adam}
