"""The contract of methods that try a point at each step, and take or leave it at the next."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.parts.few import require_few
from descend.types import Loss, Params, State


class Attempt(NamedTuple):
    """A trial, to be compared with the point from which it was made.

    Attributes:
        counts: whether its length tells how far the minimum is, because the method chose that length, bool [].
        point, value: the point from which it was made, [n], and the function there, [].
        promised: by how much the method expected the function to fall, [].
    """

    counts: Tensor
    point: Tensor
    value: Tensor
    promised: Tensor


@dataclass(frozen=True)
class Trying(Optimizer):
    """The parameters are a trial point: a step sees the value and the gradient there and returns the next trial.

    So a search is flattened into the steps of a run: each step costs one evaluation, whatever it decides, and runs
    stack. It is for one function, not for batches, which change it from step to step.

    Its state has the point it stands at as `standing`, [n], with the value `level` and the gradient's length `slope`
    there, [] each.

    Attributes:
        matrix: what a method with a matrix of all parameters does with it, and what to use instead where they are too
            many for one; None of others.
    """

    matrix: ClassVar[tuple[str, str] | None] = None

    def before_first_point(self, params: Params) -> State:
        """Return where a run stands before its first point is seen.

        Raises:
            ConfigurationError: the parameters are too many for the method's matrix.
        """
        if self.matrix is not None:
            require_few(self, params, *self.matrix)
        point = ravel(params).clone()
        infinite = torch.full_like(point[0], torch.inf)
        return {"standing": point, "level": infinite, "slope": infinite.clone()}

    @property
    def line_search(self) -> bool:
        return True

    @property
    def has_other_points(self) -> bool:
        return True

    @property
    def tries_points(self) -> bool:
        return True

    def reported(self, params: Params, state: State) -> Params:
        return unravel(state["standing"], params)

    def evaluated(self, params: Params, gradients: Params, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Return ∇f [n], its length [] and f [] at a trial.

        f is returned as infinite where ∇f is not finite, as when a formula overflows inside although its value is
        finite: no method could go on from there.
        """
        gradient = ravel(gradients)
        length = torch.linalg.vector_norm(gradient)
        return gradient, length, torch.where(length.isfinite(), loss(params), torch.inf)

    def reported_values(self, state: State) -> tuple[Tensor, Tensor]:
        return state["level"], state["slope"]

    @abstractmethod
    def attempt(self, before: State, after: State) -> Attempt:
        """Return the attempt of the step between two states."""

    def changes(self, params: Params, value: Tensor, before: State, after: State) -> dict[str, Tensor]:
        """Return maxᵢ |x⁺ᵢ − xᵢ| / max(|x⁺ᵢ|, |xᵢ|) as `xtol`, max(|f⁺ − f|, promised) / max(|f⁺|, |f|) as `ftol`.

        The first is the test of Dennis & Schnabel, "Numerical methods for unconstrained optimization and nonlinear
        equations" (1983), section 7.2: it does not depend on the units of a parameter, and an entry that goes to 0
        never passes it. The second is that of MINPACK's lmder (Moré, "The Levenberg-Marquardt algorithm: implementation
        and theory", 1978). Both are infinite where the trial does not count.
        """
        made, trial = self.attempt(before, after), ravel(params)
        change = torch.maximum((value - made.value).abs(), made.promised)
        found = {
            "xtol": relative_change(trial - made.point, trial, made.point),
            "ftol": relative_change(change, value, made.value),
        }
        return {name: torch.where(made.counts & x.isfinite(), x, torch.inf) for name, x in found.items()}


def relative_change(change: Tensor, *sizes: Tensor) -> Tensor:
    """Return the largest ratio of an entry's |change| to the larger of its two sizes, []; 0 if nothing changes."""
    largest = torch.maximum(*(x.abs() for x in sizes))
    return torch.where(change == 0, 0, change.abs() / largest).amax()
