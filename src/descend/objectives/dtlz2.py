"""A front that is a piece of the unit sphere."""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.pareto_problem import ParetoProblem


@dataclass(frozen=True)
class Dtlz2(ParetoProblem):
    """f = (1 + g) u with g = Σ_{i≥m} (xᵢ − ½)² and the point u on the unit sphere at the angles πx₁/2, …, πx_{m−1}/2.

    Deb, Thiele, Laumanns & Zitzler, "Scalable Test Problems for Evolutionary Multiobjective Optimization" (2005),
    section 6.7.2. Pareto set: xᵢ = ½ for i ≥ m; front: Σⱼ fⱼ² = 1 with fⱼ ≥ 0. A weighted sum is least at a corner.

    A step over an edge of the angles (x₁ = 0 or 1) ends at a point where one loss has its minimum, 0, and the gradient
    0. Such a point is Pareto stationary, though only weakly optimal: `min_norm` stays there, because the shortest
    combination of the gradients is 0. With Adam it reaches such a point from nearly every start, because the angles
    move as fast as the other variables; sums of the losses move on to the Pareto set.

    Args:
        m: number of losses, 2 or 3.
        dim: number of variables, at least m; m + 9 in the paper.
    """

    domain = ((0.0, 1.0),)
    dims = (2, None)
    boxed = True

    dim: int = 11
    m: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.m not in (2, 3):
            raise ConfigurationError(f"Dtlz2 has m={self.m}, but its front is known here for 2 or 3 losses; change m.")
        if self.dim < self.m:
            raise ConfigurationError(f"Dtlz2 has dim={self.dim}, but {self.m} losses need at least {self.m} variables.")

    def values(self, x: Tensor) -> tuple[Tensor, ...]:
        radius = 1 + ((x[self.m - 1 :] - 0.5) ** 2).sum()
        angles = x[: self.m - 1] * (pi / 2)
        cosines, sines = angles.cos(), angles.sin()
        if self.m == 2:
            return radius * cosines[0], radius * sines[0]
        return radius * cosines[0] * cosines[1], radius * cosines[0] * sines[1], radius * sines[0]

    def customary_start(self) -> list[float]:
        return [0.6 if i < self.m - 1 else 0.9 for i in range(self.dim)]

    def pareto_set(self, count: int) -> Tensor:
        """Return `count` points; for three losses the largest square grid that fits, its last point repeated."""
        points = torch.full((count, self.dim), 0.5, dtype=torch.float64, device="cpu")
        if self.m == 2:
            points[:, 0] = torch.linspace(0, 1, count, dtype=torch.float64, device="cpu")
            return points
        side = int(count**0.5)
        line = torch.linspace(0, 1, side, dtype=torch.float64, device="cpu")
        grid = torch.cartesian_prod(line, line)
        points[:, :2] = torch.cat([grid, grid[-1:].expand(count - side**2, 2)])
        return points
