"""The path of a run through the space of its parameters, and its projection on a plane."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from descend.landscapes.plane import Plane


@dataclass(frozen=True)
class Trajectory:
    """The finite snapshots of one run.

    Attributes:
        steps: the step of each snapshot, [k].
        points: the parameters there, [k, n], on the CPU.
        left_out: the number of snapshots that were not finite.
    """

    steps: np.ndarray
    points: Tensor
    left_out: int

    @classmethod
    def of(cls, steps: Sequence[int], points: Tensor) -> "Trajectory":
        """Return the trajectory of a run with these snapshots [k, n]."""
        finite = points.isfinite().all(dim=1)
        return cls(np.array(steps)[finite.numpy()], points[finite], int((~finite).sum()))


@dataclass(frozen=True)
class Track:
    """The projection of a run's path on a plane.

    Attributes:
        steps: the step of each snapshot, [k].
        coordinates: the coordinates of the snapshots' projections, float64 [k, 2].
        outside: each snapshot's distance from the plane, as a share of the path's extent, which is the largest distance
            of a snapshot from the last one; float64 [k]. It is 0 where there is only one snapshot.
        left_out: the number of snapshots that were not finite.
    """

    steps: np.ndarray
    coordinates: np.ndarray
    outside: np.ndarray
    left_out: int

    @classmethod
    def of(cls, trajectory: Trajectory, plane: Plane) -> "Track":
        """Return the projection of a run's path on a plane."""
        points = trajectory.points.double()
        extent = torch.linalg.vector_norm(points - points[-1], dim=1).max()
        outside = plane.distances(points) / (extent if extent else 1)
        return cls(trajectory.steps, plane.coordinates(points).numpy(), outside.numpy(), trajectory.left_out)

    @property
    def residual(self) -> str:
        """A phrase that says how far the path lies outside of the plane."""
        if len(self.steps) == 1:
            return "no path, because no snapshots were kept"
        most, last = self.outside.max(), self.outside[-1]
        return f"path outside of the plane by up to {most:.1%} of its extent, at its end by {last:.1%}"
