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
    problems from the λ of the step before.

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
        weighting = self._solver(losses.shape[0])
        # torchjd keeps the last solution to start from; it is the only memory it has, and the state's here.
        weighting.prvs_alpha = state["solution"].to(device="cpu", dtype=torch.float64).numpy()
        weights = weigh(weighting, jacobian(), losses)
        return weights, {"solution": torch.from_numpy(weighting.prvs_alpha).to(losses)}

    def _solver(self, m: int) -> Any:
        """Return torchjd's weighting for m losses, whose convex problem takes long to set up and is kept."""
        if m not in self.solvers:
            nash = import_torchjd("torchjd.aggregation", "nash_mtl").NashMTL
            self.solvers[m] = nash(m, max_norm=self.max_norm, optim_niter=self.optim_niter).weighting
        return self.solvers[m]
