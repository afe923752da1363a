"""Weights learned so that all losses fall at one relative rate, without their gradients (FAMO)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.learned import adam_state, learn
from descend.checks import check_number
from descend.graph.compat import pytree
from descend.types import State

# Keeps the logarithm of a loss finite; the authors' and TorchJD's.
EPSILON = 1e-8


@dataclass(frozen=True)
class Famo(Aggregator):
    """λᵢ = c zᵢ/Lᵢ with z = softmax(w), Σλᵢ = 1; w descends on Σᵢ zᵢ log(Lᵢ before / Lᵢ after the last step).

    Liu et al., "FAMO: Fast Adaptive Multitask Optimization" (NeurIPS 2023), Algorithm 2. The losses after a step are
    those that the next step finds: the same numbers where a step sees the whole data, and one evaluation less. The
    losses must stay above 0; below it the weights are NaN.

    Args:
        lr: learning rate of the Adam that learns w, > 0.
        weight_decay: the paper's γ ≥ 0, which keeps w near 0.
    """

    lr: float = 0.025
    weight_decay: float = 1e-3

    def __post_init__(self) -> None:
        check_number(self, "lr", above=0)
        check_number(self, "weight_decay", at_least=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        logits = torch.zeros_like(losses)
        one = torch.ones((), dtype=torch.float64, device=losses.device)
        # Numbers become tensors, so that the first step can leave the whole state as it is.
        begun = pytree.tree_map(lambda x: x if isinstance(x, Tensor) else x * one, adam_state(logits))
        return {
            "logits": logits,
            "before": losses.clone(),
            "started": torch.zeros_like(losses[0], dtype=torch.bool),
            "adam": begun,
        }

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        z = state["logits"].softmax(dim=0)
        fallen = (state["before"] + EPSILON).log() - (losses + EPSILON).log()
        gradient = z * (fallen - (z * fallen).sum())
        learned = learn(state["logits"], gradient, state["adam"], self.lr, self.weight_decay)
        # Nothing has fallen yet at the first step, which must not count as one of Adam's.
        logits, adam = pytree.tree_map(
            lambda new, old: torch.where(state["started"], new, old), learned, (state["logits"], state["adam"])
        )
        shares = logits.softmax(dim=0) / (losses + EPSILON)
        return shares / shares.sum(), {
            "logits": logits,
            "before": losses,
            "started": torch.ones_like(state["started"]),
            "adam": adam,
        }
