"""The contract of test problems with several losses of one vector, whose best compromises are known."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.objectives.test_function import TestFunction
from descend.types import Batch, Losses, Params

POINTS = 2001
"""Points of a Pareto set; a distance is measured to the nearest of them."""
MARKED = 200
"""Points of a Pareto set that a picture shows."""


@dataclass(frozen=True)
class ParetoProblem(TestFunction):
    """Losses f1, f2… of one vector `x` of shape [dim], and the points where none can fall without another rising.

    Attributes:
        boxed: whether the problem is defined only on its domain. The losses of a point outside are then those of the
            nearest point inside, so that a step over the edge ends on the edge.
    """

    boxed: ClassVar[bool] = False

    @abstractmethod
    def values(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the losses of a point of shape [dim], each of shape []."""

    @abstractmethod
    def pareto_set(self, count: int) -> Tensor:
        """Return Pareto optimal points spread over the whole set, float64 on the CPU, shape [count, dim]."""

    def pareto_front(self, count: int) -> Tensor:
        """Return the losses at `pareto_set(count)`, shape [count, m]."""
        return torch.stack([torch.stack(self.values(x)) for x in self.pareto_set(count)])

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        """Return the distance from the point whose losses are reported to the nearest of `POINTS` of the Pareto set."""
        x = self.in_box(params["x"])
        points = self.pareto_set(POINTS).to(dtype=x.dtype, device=x.device)
        return {"pareto_distance": torch.linalg.vector_norm(points - x, dim=1).amin()}

    def best_points(self) -> Sequence[Sequence[float]]:
        return self.pareto_set(MARKED).tolist()

    def value(self, x: Tensor) -> Tensor:
        return torch.stack(tuple(self.losses({"x": x}, None).values())).sum()

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {f"f{i}": value for i, value in enumerate(self.values(self.in_box(params["x"])), start=1)}

    def in_box(self, x: Tensor) -> Tensor:
        """Return the point at which the losses of x are computed: the nearest in the box if `boxed`, else x."""
        return x.clamp(*self.domain[0]) if self.boxed else x
