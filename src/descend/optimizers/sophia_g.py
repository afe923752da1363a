"""Sophia-G."""

from dataclasses import dataclass
from typing import Self

from descend.derivatives.gradient import gradient
from descend.optimizers.parts.outputs import drawn_of, network_of
from descend.optimizers.sophia import Sophia
from descend.types import Composed, Loss, Params, State


@dataclass(frozen=True)
class SophiaG(Sophia):
    """m ← β₁m + (1−β₁)g, x ← (1 − lr · λ)x − lr · clip(m / max(γh, ε)), each entry clipped to [−1, 1], where

    h ← β₂h + (1−β₂) n ĝ ⊙ ĝ at the first step and once in `every` steps after it, with ĝ the gradient at n labels drawn
    from the model's own distribution. The mean of n ĝ ⊙ ĝ is the diagonal of the Gauss-Newton matrix.

    Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training" (ICLR 2024),
    Algorithms 3 and 2. It needs a softmax with its cross-entropy, or a squared error; penalties of the parameters enter
    g alone. Where the curvature is small, the sign of m moves the parameters. An estimate costs a second gradient, on
    the step's batch; the other steps make none.

    Args:
        lr: learning rate, > 0: the longest way of an entry in a step.
        betas: decay of m and h, each in [0, 1).
        gamma: γ > 0; the larger, the more entries are clipped less.
        eps: ε > 0.
        weight_decay: λ ≥ 0, decoupled.
        every: steps from one estimate of the curvature to the next, ≥ 1.

    Raises:
        ConfigurationError: by `attached`, for a loss not known to be a −log p.
    """

    gamma: float = 0.05

    @property
    def needs_outputs(self) -> bool:
        return True

    def attached(self, network: Composed, params: Params) -> Self:
        drawn_of(network)
        return self

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return dict.fromkeys(("function", "gradient"), -(-steps // self.every))

    def estimate(self, loss: Loss, params: Params) -> Params:
        network = network_of(loss)
        drawn = drawn_of(network)
        return {name: g * g for name, g in gradient(lambda at: drawn(network.outputs(at)), params).items()}
