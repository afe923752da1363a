"""The parts of a sweep: jobs, groups of jobs of one structure, and the results of a chunk of jobs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from descend.engine.experiment import Experiment
from descend.engine.numbers import Leaf
from descend.engine.result import Result
from descend.objectives.objective import Objective


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        index: its place in the sweep, from 0.
        overrides: the overrides that give the same run alone: `python run.py <overrides>`.
        swept: the text that each swept key takes.
    """

    index: int
    overrides: tuple[str, ...]
    swept: dict[str, str]


def setting_of(job: Job) -> tuple[str, ...]:
    """Return what tells a run's setting from the others of its objective: all swept texts but seed and objective."""
    return tuple(text for key, text in job.swept.items() if key not in ("seed", "objective"))


def several_settings(jobs: Sequence[Job]) -> bool:
    """Tell whether runs differ by more than seed and objective."""
    return len({setting_of(job) for job in jobs}) > 1


Typed = Sequence[bool | float | str]
"""Values of one type."""


def swept_columns(jobs: Sequence[Job]) -> dict[str, Typed]:
    """Return each swept key's values, [jobs], of one type: truth values, whole numbers, numbers, else the texts."""
    return {key: column([job.swept[key] for job in jobs]) for key in (jobs[0].swept if jobs else ())}


def column(texts: Sequence[str]) -> Typed:
    """Return texts as values of the narrowest type that holds them all."""
    values = {text: as_typed(text) for text in texts}
    kinds = {type(x) for x in values.values()}
    if kinds == {int, float}:
        return [float(values[text]) for text in texts]
    return [values[text] for text in texts] if len(kinds) == 1 else list(texts)


def as_typed(text: str) -> bool | float | str:
    """Return the truth value or number that a text writes, or the text."""
    try:
        read = json.loads({"True": "true", "False": "false"}.get(text, text))
    except ValueError:
        return text
    return read if isinstance(read, bool | int | float) else text


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

    def part(self, places: Sequence[int]) -> Self:
        """Return the group with the jobs at these places only."""
        return replace(
            self,
            jobs=tuple(self.jobs[i] for i in places),
            numbers={leaf: [values[i] for i in places] for leaf, values in self.numbers.items()},
            seeds=[self.seeds[i] for i in places],
            objectives=[self.objectives[i] for i in places],
        )


@dataclass(frozen=True)
class Chunk:
    """The results of some jobs of a group: complete, and stored as a whole.

    Attributes:
        results: the result of each job, in the order of `jobs`; their `blocks` are empty.
        curves: their records in long form, thinned where the sweep is large: run (the job's index), step, name, value.
        waits: whether it is not complete: some of its runs go on once they are ranked, from a checkpoint that has the
            curves, too.
    """

    jobs: tuple[Job, ...]
    results: tuple[Result, ...]
    curves: pl.DataFrame
    waits: bool = False
