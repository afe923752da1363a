"""MARS: AdamW on gradients of reduced variance."""

from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_quotient, add_scaled, root_plus
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import ratio, root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class MARS(MomentMethod):
    """c = g + γ β₁/(1−β₁) (g − g'), c ← c / max(1, ‖c‖), then AdamW's update with c in place of g.

    g' is the gradient of the step before, 0 at the first; the norm is that of each parameter. Yuan et al., "MARS:
    Unleashing the Power of Variance Reduction for Training Large Models" (ICML 2025), MARS-AdamW in the
    approximate form, which costs no second gradient. The defaults are those of the authors' code,
    AGI-Arena/MARS, which leaves vectors to AdamW unless `optimize_1d`; here they are treated alike.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
        gamma: γ ≥ 0, how much of the correction is made.
    """

    lr: float = 3e-3
    betas: tuple[float, float] = (0.95, 0.99)
    gamma: float = 0.025

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "gamma", at_least=0)

    def init(self, params: Params) -> State:
        return super().init(params) | {"previous": {name: torch.zeros_like(x) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        powers = self.powers(state)
        correction = root(1 - powers["power2"])
        rate, eps = self.lr * ratio(correction, 1 - powers["power1"]), self.eps * correction
        share = self.gamma * ratio(self.betas[0], 1 - self.betas[0])
        new, first, second, previous = {}, {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            g = gradients[name]
            corrected = add_scaled(g, g - state["previous"][name], share)
            cut = corrected / torch.linalg.vector_norm(corrected).clamp(min=1)
            first[name], second[name] = self.averages(name, cut, state)
            new[name] = add_quotient(x, first[name], root_plus(second[name], eps), -rate)
            previous[name] = g.clone()
        return new, state | powers | {"first": first, "second": second, "previous": previous}
