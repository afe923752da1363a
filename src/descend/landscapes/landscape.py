"""The loss over a plane through the parameters of a network, and the paths of runs in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from descend.derivatives.flat import unravel
from descend.errors import ConfigurationError
from descend.landscapes.grid import heights
from descend.landscapes.picture import landscape_figure
from descend.landscapes.plane import Plane
from descend.landscapes.track import Track, Trajectory
from descend.output.pictures.figure import png
from descend.output.pictures.path import window
from descend.types import Loss, Params

if TYPE_CHECKING:
    from descend.output.pictures.canvas import Picture


@dataclass(frozen=True)
class Terrain:
    """A loss whose landscape is drawn.

    Attributes:
        loss: a function of the parameters.
        params: the parameters at the end of the run; the loss takes such names, shapes, dtype and device.
        name: a description of the loss, for the picture.
    """

    loss: Loss
    params: Params
    name: str

    def at(self, point: Tensor) -> float:
        """Return the loss at a point [n]."""
        with torch.no_grad():
            return float(self.loss(unravel(self.placed(point), self.params)))

    def placed(self, points: Tensor) -> Tensor:
        """Return points [..., n] in the dtype and on the device of the parameters."""
        return points.to(next(iter(self.params.values())))


@dataclass(frozen=True)
class Landscape:
    """The loss over a plane.

    Attributes:
        labels: the labels of the plane's two axes.
        loss: a description of the loss.
        across, up: the coordinates of the grid along the axes, float64 [points].
        heights: the loss at the points of the grid, float64 [up, across]; may be infinite or NaN.
        tracks: the paths of the runs by name; the loss is that of the first run.
        end: the loss at the first path's last snapshot.
        projected: the loss at the point of the plane that is nearest to this snapshot.
    """

    labels: tuple[str, str]
    loss: str
    across: np.ndarray
    up: np.ndarray
    heights: np.ndarray
    tracks: dict[str, Track]
    end: float
    projected: float

    def plot(self) -> "Picture":
        """Return a figure with the contours of the loss and the paths of the runs."""
        title = [self.loss, *self.residuals]
        return landscape_figure(self.across, self.up, self.heights, self.tracks, self.labels, title)

    def _repr_png_(self) -> bytes:
        return png(self.plot())

    @property
    def residuals(self) -> list[str]:
        """Phrases that say how far each path lies outside of the plane, and how that changes the loss at the end."""
        found = [f"{name}: {track.residual}" for name, track in self.tracks.items()]
        if len(found) == 1:
            found = [track.residual for track in self.tracks.values()]
        return [*found, f"loss at the end {self.end:.4g}, at its projection on the plane {self.projected:.4g}"]

    def arrays(self) -> dict[str, Any]:
        """Return all numbers by name, for `landscape-<plane>.npz`; the names of a path's numbers end with its place."""
        found = {
            **{name: getattr(self, name) for name in ("across", "up", "heights", "end", "projected")},
            "labels": np.array(self.labels),
            "runs": np.array(list(self.tracks)),
        }
        for i, track in enumerate(self.tracks.values()):
            found |= {f"{name}/{i}": getattr(track, name) for name in ("steps", "coordinates", "outside", "left_out")}
        return found


def landscape_in(
    plane: Plane,
    terrain: Terrain,
    trajectories: Mapping[str, Trajectory],
    points: int,
    reach: float = 0.0,
    progress: Callable[[int], None] = lambda done: None,
) -> Landscape:
    """Return the loss over the part of a plane where the paths of runs are.

    Args:
        trajectories: the paths by the names of their runs; the loss at the end is that of the first run.
        points: points of the grid along each axis.
        reach: the grid reaches at least this far from the plane's origin, on each side.
        progress: called with the number of points of the grid that were just computed.

    Raises:
        ConfigurationError: the loss is finite nowhere on the grid.
    """
    tracks = {run: Track.of(trajectory, plane) for run, trajectory in trajectories.items()}
    seen = np.concatenate([track.coordinates for track in tracks.values()])
    corners = [(-reach, -reach), (reach, reach)] if reach else []
    across, up = (np.linspace(low, high, points) for low, high in window(seen, np.reshape(corners, (-1, 2))))
    grid = torch.from_numpy(np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2))

    def at(start: int, stop: int) -> Tensor:
        return terrain.placed(plane.points(grid[start:stop]))

    found = heights(terrain.loss, terrain.params, at, len(grid), progress)
    if not found.isfinite().any():
        raise ConfigurationError("The loss is finite nowhere in this plane, so there is nothing to draw.")
    end = next(iter(trajectories.values())).points[-1:]
    return Landscape(
        labels=plane.labels,
        loss=terrain.name,
        across=across,
        up=up,
        heights=found.numpy().reshape(points, points),
        tracks=tracks,
        end=terrain.at(end[0]),
        projected=terrain.at(plane.points(plane.coordinates(end))[0]),
    )
