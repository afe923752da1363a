"""Cautious updates: no entry moves against its own gradient."""

from dataclasses import dataclass

from descend.optimizers.wrappers.wrapper import Wrapper
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Cautious(Wrapper):
    """Of the update u of the optimizer inside only the entries with u g < 0 are made, n / (count + 1) times as far.

    n is the number of entries of a parameter, count that of those made. Liang et al., "Cautious Optimizers: Improving
    Training with One Line of Code" (2024), algorithm 1, where u is the method's step against the gradient. It is the
    whole update that is looked at, a weight decay of the optimizer inside included.
    """

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        moved, inner = self.inner.step(params, gradients, state["inner"], loss)
        new = {}
        for name, x in params.items():
            update = moved[name] - x
            made = (update * gradients[name] < 0).to(x.dtype)
            new[name] = x + update * made * (x.numel() / (made.sum() + 1))
        return new, {"inner": inner}
