"""The landscape around runs, of what they left in their folders."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.flat import ravel
from descend.devices import is_out_of_memory
from descend.errors import ConfigurationError
from descend.landscapes.directions import SCALES, hessian_rows, random_rows, scaled_rows
from descend.landscapes.landscape import Landscape, Terrain, landscape_in
from descend.landscapes.plane import Plane, pca_plane
from descend.landscapes.track import Trajectory
from descend.menu.kept_run import KeptRun
from descend.vectors import numel

PLANES = ("pca", "hessian", "random")

MOST_POINTS = 1000
"""A picture has no more pixels along an axis."""


@dataclass(frozen=True)
class Asked:
    """What is asked for of a landscape.

    Args:
        plane: `pca`, of the runs' paths; `hessian`, along the eigenvectors of the two largest eigenvalues at the first
            run's end; or `random`, along two normal directions there.
        points: of the grid, along each axis, from 2 to 1,000.
        examples: training examples over which the loss is taken, always the same ones, ≥ 1; all where there are fewer.
        scale: of the directions of `hessian` and `random`: `filter`, see `filter_normalised`, or `whole`, as long as
            all parameters.

    Raises:
        ConfigurationError: a value is none of these.
    """

    plane: str = "pca"
    points: int = 41
    examples: int = 1000
    scale: str | None = None

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise ConfigurationError(
                f"plane is {self.plane!r}, but it must be {', '.join(PLANES[:-1])} or {PLANES[-1]}."
            )
        check_whole("points", self.points, 2, MOST_POINTS)
        check_whole("examples", self.examples, 1)
        if self.scale is not None and self.plane == "pca":
            raise ConfigurationError("scale is given, but plane=pca has the scale of the path; remove it.")
        if self.scale not in (None, *SCALES):
            raise ConfigurationError(f"scale is {self.scale!r}, but it must be {' or '.join(SCALES)}.")


def check_whole(name: str, value: Any, least: int, most: float = math.inf) -> None:
    """Require a whole number within bounds.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        upper = "" if most == math.inf else f" and at most {most:,}"
        raise ConfigurationError(f"{name} is {value!r}, but it must be a whole number of at least {least}{upper}.")


def landscape_of(
    folders: Sequence[Path], asked: Asked, progress: Callable[[int], None] = lambda done: None
) -> Landscape:
    """Return the landscape around the first of some runs, with the paths of all of them.

    Args:
        progress: told how many points of the grid were done, each time.

    Raises:
        ConfigurationError: a folder holds no run whose parameters can be read, or not all are of one objective; there
            is no such plane; or memory is too small.
    """
    runs = {str(folder): KeptRun(folder) for folder in folders}
    first = next(iter(runs.values()))
    for run in runs.values():
        first.require_alike(run)
    trajectories = {name: run.trajectory for name, run in runs.items()}
    try:
        terrain = first.terrain(asked.examples)
        plane = plane_of(asked, terrain, list(trajectories.values()))
        return landscape_in(plane, terrain, trajectories, asked.points, 0.0 if asked.plane == "pca" else 1.0, progress)
    except Exception as error:  # torch has no single class for it
        if not is_out_of_memory(error):
            raise
        raise ConfigurationError(
            f"The landscape of {folders[0]} does not fit into memory; take fewer examples, as examples=100."
        ) from error


def plane_of(asked: Asked, terrain: Terrain, trajectories: Sequence[Trajectory]) -> Plane:
    """Return the plane that is asked for, of runs, at the end of the first.

    Raises:
        ConfigurationError: there is none.
    """
    params, generator = terrain.params, torch.Generator(device="cpu").manual_seed(0)
    if numel(params) < 2:
        raise ConfigurationError("A plane needs two parameters, but the run has one; its curve is in its records.")
    if asked.plane == "pca":
        return pca_plane(torch.cat([trajectory.points for trajectory in trajectories]))
    scale = asked.scale or "filter"
    if asked.plane == "random":
        rows = scaled_rows(random_rows(params, generator), params, SCALES[scale])
        labels = [f"random direction {i}, {scale}-normalised" for i in (1, 2)]
    else:
        found, values = hessian_rows(terrain.loss, params, generator)
        rows = scaled_rows(found, params, SCALES[scale])
        labels = [eigenvector_label(*each, scale) for each in zip(values.tolist(), found, rows, strict=True)]
    return Plane(ravel(params).double().cpu(), rows.double().cpu(), (labels[0], labels[1]))


def eigenvector_label(value: float, vector: Tensor, drawn: Tensor, scale: str) -> str:
    """Return what an axis along an eigenvector is called; scaled by filters it is that vector no longer."""
    turned = f", {scale}-normalised: cosine {torch.cosine_similarity(vector, drawn, dim=0):.2f}"
    return f"eigenvector of λ = {value:.4g}{turned if scale == 'filter' else ''}"
