"""Decoupled weight decay around any optimizer."""

from dataclasses import dataclass

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.optimizers.weight_decay import decayed
from descend.optimizers.wrappers.wrapper import Wrapper
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Decay(Wrapper):
    """x ← (1 − lr · λ) x, then the step of the optimizer inside, whose gradient stays that of the losses.

    Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (ICLR 2019), algorithm 2; around Adam it is AdamW.

    Args:
        weight_decay: λ ≥ 0.
    """

    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "weight_decay", at_least=0)
        if isinstance(self.inner.rates, dict):
            raise ConfigurationError(
                "Decay needs one learning rate, but the groups of its optimizer have their own; give each group's "
                "optimizer a weight_decay, or set the lr of all groups."
            )

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        rate = self.inner.rates
        assert not isinstance(rate, dict)  # as was checked
        new, inner = self.inner.step(decayed(params, self.weight_decay, rate), gradients, state["inner"], loss)
        return new, {"inner": inner}
