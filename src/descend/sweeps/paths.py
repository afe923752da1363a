"""The paths of a sweep on one function of two numbers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from descend.metrics.parameter_values import names
from descend.output.pictures.paths import paths_picture
from descend.output.report.naming import called
from descend.sweeps.job import Group, Job, as_typed
from descend.sweeps.store import Store
from descend.vectors import numel

MOST_PANELS, MOST_PATHS = 12, 8


def sweep_paths(groups: Sequence[Group], store: Store) -> bytes | None:
    """Draw the paths over the contours of the losses: a panel for each choice, in it a path for each start or seed.

    Returns:
        A PNG file; None where the runs minimise different functions, or one not of two numbers, or where their
        parameters are not recorded, or are too many to tell apart.
    """
    template = groups[0].template
    objective, params = template.objective, template.objective.init(template.generator())
    if numel(params) != 2 or not one_function(groups):
        return None
    jobs = sorted((job for group in groups for job in group.jobs), key=lambda job: job.index)
    chosen: dict[str, list[int]] = {}
    done = store.done()
    for job in jobs:
        if job.index in done:
            chosen.setdefault(choice(job, objective.start_fields), []).append(job.index)
    if not chosen or len(chosen) > MOST_PANELS or max(map(len, chosen.values())) > MOST_PATHS:
        return None  # before the curves are read, which may be many
    found = points(store, names(params))
    panels = {title: [found[run] for run in runs if run in found] for title, runs in chosen.items()}
    panels = {title: paths for title, paths in panels.items() if paths}
    if not panels:
        return None
    return paths_picture(lambda point: objective.losses(point, None), params, panels, objective.best_points())


def one_function(groups: Sequence[Group]) -> bool:
    """Tell whether the objectives of all runs differ in their start alone."""
    first: Any = groups[0].template.objective
    starts = {field: getattr(first, field) for field in first.start_fields}
    same = [type(g.template.objective) is type(first) for g in groups]
    moved = any(leaf[0] == "objective" for group in groups for leaf in group.numbers)
    return all(same) and not moved and all(replace(g.template.objective, **starts) == first for g in groups)  # type: ignore[type-var]


def choice(job: Job, start_fields: Sequence[str]) -> str:
    """Return what is swept of a run, start and seed left out: `pcgrad`, `adam lr=0.1`."""
    left_out = {"seed", *(f"objective.{field}" for field in start_fields)}
    return called({key: as_typed(text) for key, text in job.swept.items() if key not in left_out})


def points(store: Store, labels: Sequence[str]) -> dict[int, np.ndarray]:
    """Return the recorded points of each run, [k, 2], up to where it leaves the finite numbers."""
    rows = store.curves().filter(pl.col("name").is_in(labels)).collect()
    if rows["name"].n_unique() < len(labels):
        return {}
    wide = rows.pivot("name", index=["run", "step"], values="value").sort("run", "step").drop_nulls()
    wide = wide.filter(pl.all_horizontal(pl.col(*labels).is_finite()))
    return {run: part.select(labels).to_numpy() for (run,), part in wide.partition_by("run", as_dict=True).items()}
