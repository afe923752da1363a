"""SAM and ASAM: the gradient at the worst point nearby."""

from dataclasses import dataclass

from descend.checks import check_number
from descend.derivatives.gradient import gradient
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.wrappers.wrapper import Wrapper
from descend.scalars import ratio, real
from descend.types import Loss, Params, State
from descend.vectors import norm

TINY = 1e-12
"""Keeps a gradient of zero from being divided by zero; as in the authors' code."""


@dataclass(frozen=True)
class SAM(Wrapper):
    """The optimizer inside is given the gradient at x + ρ T²g / ‖T g‖₂; T is 1, or |x| where `adaptive`.

    Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization" (ICLR 2021), algorithm 1;
    adaptive: Kwon et al., "ASAM" (ICML 2021), section 3. A step costs a second gradient, on the same batch and draws; a
    clipping changes the first alone.

    Args:
        rho: ρ ≥ 0.
        adaptive: measure the neighbourhood in units of the parameters, entry by entry.
    """

    rho: float = 0.05
    adaptive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "rho", at_least=0)

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        found = super().evaluations(steps, state)
        return found | {name: found.get(name, 0) + steps for name in ("function", "gradient")}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        weighted, along = gradients, gradients
        if self.adaptive:
            weighted = {name: x.abs() * gradients[name] for name, x in params.items()}
            along = {name: x.abs() * weighted[name] for name, x in params.items()}
        scale = ratio(self.rho, real(norm(weighted)) + TINY)
        there = {name: add_scaled(x, along[name], scale) for name, x in params.items()}
        new, inner = self.inner.step(params, gradient(loss, there), state["inner"], loss)
        return new, {"inner": inner}
