"""What a sweep is made of: jobs, groups of jobs of one structure, and the outcomes of a chunk of them."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from descend.objectives.objective import Objective
from descend.training.experiment import Experiment
from descend.training.result import Result

Leaf = tuple[str | int, ...]
"""Where a number stands in an experiment: attribute names and tuple indices, such as ("optimizer", "betas", 0)."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        index: its place in the sweep, from 0.
        overrides: the overrides that give the same run alone: `python run.py <overrides>`.
        swept: the value of each swept key, as Python values.
    """

    index: int
    overrides: tuple[str, ...]
    swept: dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Jobs that differ in numbers only, and so run as one program.

    Attributes:
        jobs: the jobs, [runs].
        template: the experiment of the first job.
        numbers: for each leaf that differs between the jobs, its value in each, [runs].
        seeds: the seed of each job, [runs].
        objectives: the objective of each job, [runs], from which its start is drawn; one object where nothing differs.
        serial: why the jobs run one after the other instead, in words; None where they are stacked.
    """

    jobs: tuple[Job, ...]
    template: Experiment
    numbers: dict[Leaf, list[float]]
    seeds: list[int]
    objectives: list[Objective]
    serial: str | None = None


@dataclass(frozen=True)
class Chunk:
    """What some jobs of a group left: it is complete, and is stored as a whole.

    Attributes:
        results: the result of each job, in the order of `jobs`; their `blocks` are empty.
        curves: their records in long form, thinned where the sweep is large: run (the job's index), step, name, value.
    """

    jobs: tuple[Job, ...]
    results: tuple[Result, ...]
    curves: pl.DataFrame
