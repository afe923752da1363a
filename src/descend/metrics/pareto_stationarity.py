"""How far a point is from one where no loss can fall without another rising."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.aggregators.stationarity import comparable, stationarity
from descend.metrics.metric import Metric
from descend.types import Observation
from descend.vectors import quotient


@dataclass(frozen=True)
class ParetoStationarity(Metric):
    """min ‖Jᵀw‖₂ over the simplex, where there are two to ten losses: 0 at Pareto stationary points and nowhere else.

    Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization", Comptes Rendus Mathématique
    350 (2012), Definition 1. `pareto/relative_stationarity` is divided by the smallest ‖gᵢ‖, which it never exceeds: it
    is 1 where one gradient alone is the shortest combination, and falls with the conflict.
    """

    uses_jacobian: ClassVar[bool] = True

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        if not comparable(observation.losses):
            return {}
        shortest, least, _ = stationarity(observation.jacobian())
        return {"pareto/stationarity": shortest, "pareto/relative_stationarity": quotient(shortest, least)}
