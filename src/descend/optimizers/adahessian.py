"""AdaHessian."""

from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.optimizers.arithmetic import add_quotient, moving_average, moving_square
from descend.optimizers.hutchinson import diagonal_estimate, random_signs
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import cast, ratio
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class AdaHessian(MomentMethod):
    """Adam with the Hessian's diagonal in place of the gradient in the second moment:

    D = z ⊙ ∇²f(x) z with zᵢ = ±1 drawn at each step, m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)D²,
    x ← (1 − lr · λ)x − lr · m̂ / (v̂^(k/2) + ε), with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Yao et al., "AdaHessian: An Adaptive Second Order Optimizer for Machine Learning" (AAAI 2021), Algorithm 1. A step
    costs a second gradient and a Hessian-vector product.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
        hessian_power: k, in (0, 1].
        averaged: in a convolution's kernel, replace |D| by its mean over the window (the paper's section 3.2).
    """

    lr: float = 0.15
    eps: float = 1e-4
    hessian_power: float = 1.0
    averaged: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "hessian_power", above=0, at_most=1)

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"function": steps, "gradient": steps, "hvp": steps}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        powers = self.powers(state)
        rate = ratio(self.lr, 1 - powers["power1"])
        found = diagonal_estimate(loss, params, random_signs(params))
        new, first, second = {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            first[name] = moving_average(state["first"][name], gradients[name], beta1)
            second[name] = moving_square(state["second"][name], self.smoothed(found[name]), beta2)
            corrected = second[name] / cast(1 - powers["power2"], x)
            scale = corrected ** cast(self.hessian_power / 2, x) + cast(self.eps, x)
            new[name] = add_quotient(x, first[name], scale, -rate)
        return new, state | powers | {"first": first, "second": second}

    def smoothed(self, diagonal: Tensor) -> Tensor:
        """Return |D|, [out, in, …], averaged over the window of a convolution."""
        if not self.averaged or diagonal.dim() < 3:
            return diagonal
        window = tuple(range(2, diagonal.dim()))
        return diagonal.abs().mean(window, keepdim=True).expand_as(diagonal)
