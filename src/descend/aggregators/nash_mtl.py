"""The Nash bargaining solution between the losses (Nash-MTL), solved through torchjd."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.torchjd_extra import import_torchjd, weigh
from descend.checks import check_number
from descend.types import State


@dataclass(frozen=True)
class NashMtl(Aggregator):
    """λ > 0 with G λ ∝ 1/λ, elementwise: the direction whose gains for the losses have the greatest product.

    Navon et al., "Multi-Task Learning as a Bargaining Game" (ICML 2022), Algorithm 1. Solved by successive convex
    problems from the λ of the step before. A loss without a gradient has nothing to gain: it keeps its λ, and the
    others bargain.

    Args:
        max_norm: ‖Jᵀλ‖ is cut to this, ≥ 0; 0 leaves it as it is.
        optim_niter: convex problems solved at each step, at most.

    Attributes:
        solvers: torchjd's weightings, by number of losses.
    """

    batchable: ClassVar[bool] = False
    uses_jacobian: ClassVar[bool] = True
    solvers: ClassVar[dict[int, Any]]

    max_norm: float = 1.0
    optim_niter: int = 20

    def __post_init__(self) -> None:
        check_number(self, "max_norm", at_least=0)
        check_number(self, "optim_niter", at_least=1)
        import_torchjd("torchjd.aggregation", "nash_mtl")
        object.__setattr__(self, "solvers", {})

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        return {"solution": torch.ones_like(losses)}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        # A single loss bargains with nobody, and cvxpy refuses that problem.
        if losses.shape[0] == 1:
            return torch.ones_like(losses), state
        matrix = jacobian()
        moved = matrix.any(dim=1)
        found, kept = state["solution"].clone(), state["solution"].clone()
        found[moved], kept[moved] = self._bargain(matrix[moved], losses[moved], kept[moved])
        return found, {"solution": kept}

    def _bargain(self, matrix: Tensor, losses: Tensor, solution: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of losses that all have a gradient, and the solution before it was cut."""
        if len(losses) < 2:
            alone = 1 / torch.linalg.vector_norm(matrix, dim=1)  # G λ = 1/λ of one loss; its direction has length 1
            return (alone * min(self.max_norm, 1.0) if self.max_norm else alone), alone
        weighting = self._solver(len(losses))
        # torchjd keeps the last solution to start from; it is the only memory it has, and the state's here.
        weighting.prvs_alpha = solution.to(device="cpu", dtype=torch.float64).numpy()
        return weigh(weighting, matrix, losses), torch.from_numpy(weighting.prvs_alpha).to(losses)

    def _solver(self, m: int) -> Any:
        """Return torchjd's weighting for m losses, whose convex problem takes long to set up and is kept."""
        if m not in self.solvers:
            nash = import_torchjd("torchjd.aggregation", "nash_mtl").NashMTL
            self.solvers[m] = nash(m, max_norm=self.max_norm, optim_niter=self.optim_niter).weighting
        return self.solvers[m]
