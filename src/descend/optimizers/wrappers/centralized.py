"""Gradient centralization."""

from dataclasses import dataclass

from descend.optimizers.wrappers.wrapper import Wrapper
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Centralized(Wrapper):
    """The optimizer inside is given g − mean(g), the mean of each output's entries; of matrices and convolutions alone.

    Yong et al., "Gradient Centralization: A New Optimization Technique for Deep Neural Networks" (ECCV 2020), equation
    1: the mean over all axes of a parameter but its first.
    """

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        centred = {
            name: g - g.mean(dim=tuple(range(1, g.dim())), keepdim=True) if g.dim() > 1 else g
            for name, g in gradients.items()
        }
        new, inner = self.inner.step(params, centred, state["inner"], loss)
        return new, {"inner": inner}
