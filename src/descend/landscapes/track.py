"""The way of a run through the space of its parameters, and what of it is seen in a plane."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from descend.landscapes.plane import Plane


@dataclass(frozen=True)
class Trajectory:
    """The snapshots of one run, those left out that are not finite.

    Attributes:
        steps: how many were made at each, [k].
        points: the parameters there, [k, n], on the CPU.
        left_out: how many were not finite.
    """

    steps: np.ndarray
    points: Tensor
    left_out: int

    @classmethod
    def of(cls, steps: Sequence[int], points: Tensor) -> "Trajectory":
        """Return that of a run with these snapshots [k, n]."""
        finite = points.isfinite().all(dim=1)
        return cls(np.array(steps)[finite.numpy()], points[finite], int((~finite).sum()))


@dataclass(frozen=True)
class Track:
    """The path of a run as it is seen in a plane.

    Attributes:
        steps: how many were made at each snapshot, [k].
        coordinates: of the points of the plane nearest to the snapshots, float64 [k, 2].
        outside: how far each snapshot lies from the plane, as a share of the path's extent: of the largest distance of
            a snapshot from the last; float64 [k]. Where there is one snapshot alone it is 0.
        left_out: how many snapshots were not finite.
    """

    steps: np.ndarray
    coordinates: np.ndarray
    outside: np.ndarray
    left_out: int

    @classmethod
    def of(cls, trajectory: Trajectory, plane: Plane) -> "Track":
        """Return a run's path in a plane."""
        points = trajectory.points.double()
        extent = torch.linalg.vector_norm(points - points[-1], dim=1).max()
        outside = plane.distances(points) / (extent if extent else 1)
        return cls(trajectory.steps, plane.coordinates(points).numpy(), outside.numpy(), trajectory.left_out)

    @property
    def told(self) -> str:
        """How far the path lies outside of the plane, in words."""
        if len(self.steps) == 1:
            return "no path, for no snapshots were kept"
        most, last = self.outside.max(), self.outside[-1]
        return f"path outside of the plane by up to {most:.1%} of its extent, at its end by {last:.1%}"
