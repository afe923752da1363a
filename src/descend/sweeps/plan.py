"""What a sweep will do: its jobs in groups that run as one program each."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

from descend.aggregators.aggregator import Aggregator
from descend.engine.check import losses_at
from descend.engine.experiment import Experiment
from descend.engine.streams import begin
from descend.errors import ConfigurationError, Untraceable
from descend.menu.build import build
from descend.menu.by_hydra import config_loader
from descend.menu.compose import compose, composing
from descend.menu.source import MENU, Source
from descend.metrics.metric import Metric
from descend.objectives.objective import Objective
from descend.optimizers.clipping import Clipping
from descend.optimizers.optimizer import Optimizer
from descend.schedules.schedule import Schedule
from descend.sweeps.batch import bytes_of_one
from descend.sweeps.group import groups
from descend.sweeps.halving import check_several
from descend.sweeps.job import Group, Job
from descend.sweeps.settings import Settings
from descend.sweeps.space import MOST_RUNS, jobs

# Curves of more numbers than MOST_NUMBERS are thinned to THINNED: they would fill memory, and no picture shows them.
MOST_NUMBERS = 20_000_000
THINNED = 4_000_000


@dataclass(frozen=True)
class Plan:
    """What a sweep will do: its jobs, in groups, how often curves are recorded, and where jobs are composed from.

    Attributes:
        jobs: all jobs that are known so far, each at its index.
        more: how many jobs will be added later.
        processes: how many processes on this machine carry out such plans at the same time.
    """

    jobs: list[Job]
    groups: list[Group]
    stride: int
    source: Source = MENU
    processes: int = 1
    more: int = 0

    @property
    def own(self) -> list[Job]:
        """The jobs of its groups in order; with Optuna they are one batch of all jobs."""
        return sorted((job for group in self.groups for job in group.jobs), key=lambda job: job.index)


PARTS = (Objective, Optimizer, Aggregator, Schedule, Clipping, Metric)


def plan(overrides: Sequence[str], settings: Settings, source: Source = MENU) -> Plan:
    """Return the plan of a multirun.

    Raises:
        ConfigurationError: anything is wrong with any run of it.
    """
    with composing():
        made = jobs(overrides, settings.sampling, config_loader(source), None if settings.yes else MOST_RUNS)
    if settings.halving is not None:
        check_several(made)
    return planned(made, settings, source)


def planned(made: list[Job], settings: Settings, source: Source = MENU) -> Plan:
    """Return the plan of jobs; raises as `plan` does."""
    found = groups(made, partial(built, source=source))
    if settings.memory is not None:
        check_memory(found, settings.memory)
    if settings.halving is not None:
        settings.halving.check(min(group.template.steps for group in found))
    if settings.halving is not None or settings.study is not None:
        check_one_measure(found, settings.rank)
    numbers = sum(len(group.jobs) * (group.template.steps + 1) for group in found)
    return Plan(made, found, 1 if numbers <= MOST_NUMBERS else 8 * -(-numbers // (8 * THINNED)), source)


def check_one_measure(groups: Sequence[Group], rank: str | None) -> None:
    """Require that runs which are ranked while a sweep goes have one loss, or that the user says what ranks them.

    Raises:
        ConfigurationError: several losses, and no `sweep.rank`.
    """
    for group in groups if rank is None else ():
        one = begin(group.template, group.seeds[:1], group.objectives[:1], own=False)
        names = list(losses_at(one.experiment, one.origin.of_run(0)).losses)
        if len(names) > 1:
            raise ConfigurationError(
                f"{type(group.template.objective).__name__} has several losses ({', '.join(names)}), and this "
                f"sweep ranks its settings by one number; say by which: sweep.rank=loss/{names[0]}, or "
                "sweep.rank='sum of losses'."
            )


def built(overrides: Sequence[str], source: Source = MENU) -> Experiment:
    """Return the experiment of a run of its own with these overrides.

    Raises:
        ConfigurationError: it cannot be built, or a part of it is no dataclass: a sweep could not set its fields.
    """
    experiment = build(compose(overrides, source=source), list(overrides))
    for field in fields(experiment):
        check_dataclass(field.name, getattr(experiment, field.name))
    for name, metric in experiment.metrics.items():
        check_dataclass(name, metric)
    return experiment


def check_dataclass(name: str, part: Any) -> None:
    """Require that a part of an experiment is a dataclass, if it is a part.

    Raises:
        ConfigurationError: naming its class.
    """
    if isinstance(part, PARTS) and not is_dataclass(part):
        raise ConfigurationError(
            f"{name} is a {type(part).__name__}, which is not a dataclass, and a sweep compares and sets fields; put "
            f"@dataclass(frozen=True) above class {type(part).__name__}."
        )


def check_memory(groups: Sequence[Group], memory: int) -> None:
    """Raise ConfigurationError where a single run of a group takes more than the memory allowed."""
    for group in groups:
        if group.serial is not None:
            continue
        try:
            one = bytes_of_one(group)
        except Untraceable:
            continue  # its runs go one by one, and each tells what is wrong
        if one > memory:
            raise ConfigurationError(
                f"sweep.memory allows {memory:,} bytes, but one run ({' '.join(group.jobs[0].overrides)}) may take "
                f"{one:,}; allow more, or choose a smaller problem."
            )
