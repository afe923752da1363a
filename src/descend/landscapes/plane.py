"""A plane in the space of all parameters, and the projection of points on it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.errors import ConfigurationError

DEGENERATE = 1e-4
"""Below this ratio of its second singular value to the first, a plane is a line, but for rounding in float32."""


@dataclass(frozen=True)
class Plane:
    """The points origin + a d₁ + b d₂, in float64 on the CPU.

    Args:
        origin: [n].
        directions: d₁ and d₂, [2, n], of any lengths and angle.
        labels: the names of the directions, for the axes of a picture.

    Raises:
        ConfigurationError: the directions span no plane.
    """

    origin: Tensor
    directions: Tensor
    labels: tuple[str, str]

    def __post_init__(self) -> None:
        sizes = torch.linalg.svdvals(self.directions)
        if not sizes[1] > DEGENERATE * sizes[0]:
            raise ConfigurationError(
                f"The directions of the plane ({' and '.join(self.labels)}) are parallel, or zero: they span no plane. "
                "Choose another plane: plane=pca, hessian or random."
            )

    def points(self, coordinates: Tensor) -> Tensor:
        """Return the points [k, n], float64, at coordinates [k, 2]."""
        return self.origin + coordinates @ self.directions

    def coordinates(self, points: Tensor) -> Tensor:
        """Return the coordinates [k, 2], float64, of the projections of points [k, n] on the plane."""
        return torch.linalg.lstsq(self.directions.T, (points - self.origin).T).solution.T

    def distances(self, points: Tensor) -> Tensor:
        """Return the distances [k] of points [k, n] from the plane."""
        return torch.linalg.vector_norm(points - self.points(self.coordinates(points)), dim=1)


def pca_plane(points: Tensor) -> Plane:
    """Return the plane of the two principal components of points, float64 [k, n].

    No other plane has a smaller mean of the squared distances to the points.

    Raises:
        ConfigurationError: there are fewer than three points, or they lie on a line.
    """
    if len(points) < 3:
        raise ConfigurationError(
            f"A plane of principal components needs 3 snapshots of the parameters, but {len(points)} "
            f"{'was' if len(points) == 1 else 'were'} kept: make the run again, alone, with checkpoint.snapshots=64, "
            "or choose plane=hessian or plane=random."
        )
    mean = points.mean(0)
    _, sizes, rows = torch.linalg.svd(points - mean, full_matrices=False)
    if not sizes[1] > DEGENERATE * sizes[0]:
        raise ConfigurationError(
            "The path lies on a line, so its principal components span no plane; choose plane=hessian or plane=random."
        )
    shares = (sizes**2 / (sizes**2).sum()).tolist()
    labels = tuple(f"component {i + 1} ({shares[i]:.1%} of the snapshots' variance)" for i in range(2))
    return Plane(mean, rows[:2], (labels[0], labels[1]))
