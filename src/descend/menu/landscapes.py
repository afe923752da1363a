"""The landscape around runs, made of the files in their folders."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.flat import ravel
from descend.devices import is_out_of_memory
from descend.engine.placement import choose_threads, computing
from descend.errors import ConfigurationError
from descend.landscapes.directions import SCALES, hessian_rows, random_rows, scaled_rows
from descend.landscapes.landscape import Landscape, Terrain, landscape_in
from descend.landscapes.plane import Plane, pca_plane
from descend.landscapes.track import Trajectory
from descend.menu.kept_run import KeptRun
from descend.vectors import numel

MOST_POINTS = 1000
"""The most points along an axis: a picture has no more pixels."""


@dataclass(frozen=True)
class View:
    """The settings of a landscape.

    Args:
        plane: `pca`, the principal components of the runs' paths; `hessian`, through the end of the first run along the
            eigenvectors of the two largest eigenvalues; or `random`, through that end along two normal directions.
        points: points of the grid along each axis, from 2 to 1,000.
        examples: training examples over which the loss is taken, always the same ones, ≥ 1; all where there are fewer.
        scale: the scale of the directions of `hessian` and `random`: `filter`, see `filter_normalised`, or `whole`, see
            `whole_normalised`; None is `filter`.

    Raises:
        ConfigurationError: a value is none of these.
    """

    plane: str = "pca"
    points: int = 41
    examples: int = 1000
    scale: str | None = None

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise ConfigurationError(f"plane is {self.plane!r}, but it must be one of {', '.join(PLANES)}.")
        check_whole("points", self.points, 2, MOST_POINTS)
        check_whole("examples", self.examples, 1)
        if self.scale is not None and self.plane == "pca":
            raise ConfigurationError("scale is given, but plane=pca has the scale of the path; remove it.")
        if self.scale not in (None, *SCALES):
            raise ConfigurationError(f"scale is {self.scale!r}, but it must be {' or '.join(SCALES)}.")

    @property
    def scaling(self) -> str:
        """The scale of the directions: `scale`, or by default `filter`."""
        return self.scale or "filter"


def check_whole(name: str, value: Any, least: int, most: float = math.inf) -> None:
    """Require a whole number within bounds.

    Raises:
        ConfigurationError: the value is not such a number.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        upper = "" if most == math.inf else f" and at most {most:,}"
        raise ConfigurationError(f"{name} is {value!r}, but it must be a whole number of at least {least}{upper}.")


def landscape_of(folders: Sequence[Path], view: View, progress: Callable[[int], None] = lambda done: None) -> Landscape:
    """Return the landscape around the first of several runs, with the paths of all of them.

    Args:
        folders: the folders of the runs.
        progress: called with the number of points of the grid that were just computed.

    Raises:
        ConfigurationError: a folder holds no run whose parameters can be read; the runs have different objectives;
            there is no such plane; or memory is too small.
    """
    runs = {str(folder): KeptRun(folder) for folder in folders}
    first = next(iter(runs.values()))
    for run in runs.values():
        first.require_alike(run)
    if view.plane == "pca" and not any(run.has_path for run in runs.values()):
        raise first.without_path()
    trajectories = {name: run.trajectory for name, run in runs.items()}
    if numel(first.params) < 2:
        raise ConfigurationError("A plane needs two parameters, but the run has only one; its curve is in its records.")
    threads = choose_threads(first.experiment.threads, numel(first.params) * view.examples)
    reach = 0.0 if view.plane == "pca" else 1.0
    try:
        with computing(threads, ravel(first.params).device):
            terrain = first.terrain(view.examples)
            plane = PLANES[view.plane](view, terrain, list(trajectories.values()))
            return landscape_in(plane, terrain, trajectories, view.points, reach, progress)
    except Exception as error:  # torch has no single class for it
        if not is_out_of_memory(error):
            raise
        raise ConfigurationError(
            f"The landscape of {folders[0]} does not fit into memory; take fewer examples, as examples=100."
        ) from error


def along_components(view: View, terrain: Terrain, trajectories: Sequence[Trajectory]) -> Plane:
    """Return the plane of the principal components of all snapshots."""
    return pca_plane(torch.cat([trajectory.points for trajectory in trajectories]))


def along_random(view: View, terrain: Terrain, trajectories: Sequence[Trajectory]) -> Plane:
    """Return the plane through the end along two random directions, the same at each call."""
    rows = scaled_rows(random_rows(terrain.params, fixed_generator()), terrain.params, SCALES[view.scaling])
    return through_end(terrain, rows, [f"random direction {i}, {view.scaling}-normalised" for i in (1, 2)])


def along_eigenvectors(view: View, terrain: Terrain, trajectories: Sequence[Trajectory]) -> Plane:
    """Return the plane through the end along the eigenvectors of the two largest eigenvalues of the Hessian.

    Scaling by filters turns the directions, which are then no longer eigenvectors; the labels give the cosines.
    """
    found, values = hessian_rows(terrain.loss, terrain.params, fixed_generator())
    rows = scaled_rows(found, terrain.params, SCALES[view.scaling])
    cosines = torch.cosine_similarity(found, rows).tolist()
    turned = [f", filter-normalised: cosine {x:.2f}" if view.scaling == "filter" else "" for x in cosines]
    labels = [f"eigenvector of λ = {value:.4g}{how}" for value, how in zip(values.tolist(), turned, strict=True)]
    return through_end(terrain, rows, labels)


def fixed_generator() -> torch.Generator:
    """Return a generator with a fixed seed, so that the same landscape is drawn each time."""
    return torch.Generator(device="cpu").manual_seed(0)


def through_end(terrain: Terrain, rows: Tensor, labels: Sequence[str]) -> Plane:
    """Return the plane through the end of the first run along two directions [2, n]."""
    return Plane(ravel(terrain.params).double().cpu(), rows.double().cpu(), (labels[0], labels[1]))


PLANES = {"pca": along_components, "hessian": along_eigenvectors, "random": along_random}
