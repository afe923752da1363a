"""Settings that a sampler of Optuna chooses: asked for, run as one stack and told, a batch at a time."""

import inspect
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.output.report.measure import chosen_measure
from descend.output.report.summary import Measure, with_rank
from descend.sweeps.job import Job
from descend.sweeps.journal import Journal
from descend.sweeps.space import Axes

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study as OptunaStudy

FILE = "study.log"
"""Where the study is kept, in the sweep's folder, unless its storage is named."""

NEEDS_GRID = ("GridSampler", "BruteForceSampler", "PartialFixedSampler")
"""Samplers that go through a grid and end the study by themselves, as `sweep=grid` does, or wrap another sampler."""


@dataclass(frozen=True)
class Study:
    """How settings are asked for.

    A setting is a trial of Optuna's; with swept seeds it has a run for each, and is told the median of these. What is
    told is to be minimised: the negative of a measure of which the highest is best. A setting whose runs diverged or
    failed is told infinity.

    Args:
        points: how many settings are tried, ≥ 1.
        batch: how many are asked for at a time, ≥ 1: a sampler learns between two batches only.
        sampler: a class of `optuna.samplers`.
        options: its arguments, save `seed`.
        storage: the URL of a database, in which machines share the study; None: a journal in the sweep's folder.
        name: of the study there.
        seed: of the draws. The sampler of each batch has a seed of its own, so that a sweep that is resumed draws what
            it would have drawn.
    """

    points: int = 256
    batch: int = 64
    sampler: str = "TPESampler"
    options: Mapping[str, Any] = field(default_factory=dict)
    storage: str | None = None
    name: str = "descend"
    seed: int = 0

    def __post_init__(self) -> None:
        check_number(self, "points", at_least=1)
        check_number(self, "batch", at_least=1)
        check_number(self, "seed", at_least=0)
        self.sampler_of(0)

    def named(self, rank: str | None) -> list[str]:
        """Return what tells a sweep from one that asks for other settings; `points` may be raised on resuming."""
        own = {name: value for name, value in vars(self).items() if name != "points"}
        return [f"sweep.{name}={value}" for name, value in {**own, "rank": rank}.items()]

    def sampler_of(self, batch: int) -> "BaseSampler":
        """Return the sampler that draws a batch.

        Raises:
            ConfigurationError: Optuna is not installed, has no such sampler, or that refuses its options.
        """
        samplers = import_optuna().samplers
        known = [name for name in samplers.__all__ if takes_seed(getattr(samplers, name))]
        if self.sampler not in known:
            raise ConfigurationError(f"sweep.sampler is {self.sampler!r}, but it must be one of {', '.join(known)}.")
        [seed] = np.random.SeedSequence([self.seed, batch]).generate_state(1).tolist()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", import_optuna().exceptions.ExperimentalWarning)
                return getattr(samplers, self.sampler)(seed=seed, **self.options)
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigurationError(f"{self.sampler} of Optuna refused sweep.options: {error}; mend them.") from error

    def opened(self, folder: Path) -> "tuple[OptunaStudy, Callable[[], None]]":
        """Return the study, new if there is none yet, and a function that writes it to disk.

        Args:
            folder: of the sweep.

        Raises:
            ConfigurationError: its storage cannot be opened.
        """
        optuna = import_optuna()
        if self.storage is None:
            journal = Journal(folder / FILE)
            storage = optuna.storages.JournalStorage(journal)
            return optuna.create_study(storage=storage, study_name=self.name, load_if_exists=True), journal.save
        try:
            return optuna.create_study(storage=self.storage, study_name=self.name, load_if_exists=True), lambda: None
        except Exception as error:  # the drivers of databases each have their own
            raise ConfigurationError(
                f"sweep.storage is {self.storage}, but it cannot be opened ({str(error).splitlines()[0]}); see to its "
                "URL, and to the driver of its database."
            ) from error

    def ask(self, study: "OptunaStudy", axes: Axes, batch: int, count: int) -> list[tuple[int, dict[str, str]]]:
        """Return for each of `count` new settings of a batch the number of its trial, and the texts of its keys.

        Raises:
            ConfigurationError: the sampler cannot draw them.
        """
        optuna = import_optuna()
        spaces = {
            key: optuna.distributions.FloatDistribution(low, high, log=log)
            for key, (low, high, log) in axes.intervals.items()
        } | {key: optuna.distributions.CategoricalDistribution(texts) for key, texts in axes.choices.items()}
        study.sampler = self.sampler_of(batch)
        try:
            trials = [study.ask(spaces) for _ in range(count)]
        except ImportError as error:
            raise ConfigurationError(f"{self.sampler} of Optuna needs a package more: {error}.") from error
        except ValueError as error:
            raise ConfigurationError(
                f"{self.sampler} of Optuna cannot draw these settings, or the study {self.name} had others before: "
                f"{error}; choose another sweep.sampler, or another sweep.name."
            ) from error
        return [(trial.number, {key: text_of_value(trial.params[key]) for key in spaces}) for trial in trials]


def tell_values(study: "OptunaStudy", values: Mapping[int, float], measure: Measure) -> None:
    """Tell how settings did, by the number of their trials; what was told already stays."""
    study.set_user_attr("measure", f"{'-' if measure.highest else ''}{measure.label}")
    for number, value in values.items():
        study.tell(number, value, skip_if_finished=True)


def import_optuna() -> Any:
    """Return Optuna, which says nothing of every trial.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigurationError(
            f"sweep=optuna needs the package optuna ({error}); install it with: pip install 'descend[optuna]'."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def takes_seed(kind: Any) -> bool:
    """Tell whether a class of Optuna's is a sampler that draws by a seed without end."""
    if not inspect.isclass(kind) or inspect.isabstract(kind) or kind.__name__ in NEEDS_GRID:
        return False
    return "seed" in inspect.signature(kind).parameters


def text_of_value(value: Any) -> str:
    """Return a value as an override has it: a number exact, so that a run alone gets the same."""
    return repr(value) if isinstance(value, float) else value


def values_told(
    table: pl.DataFrame, jobs: Sequence[Job], members: int, rank: str | None
) -> tuple[list[float], Measure]:
    """Return the value that each setting is told, and the measure that it is of.

    Args:
        table: a row for each run.
        jobs: the runs, those of a setting beside each other.
        members: how many runs a setting has.
        rank: see `chosen_measure`.
    """
    measure = chosen_measure(table, rank)
    ranked = dict(with_rank(table, measure).select("run", "ranked").iter_rows())
    parts = [jobs[at : at + members] for at in range(0, len(jobs), members)]
    return [statistics.median(ranked[job.index] for job in part) for part in parts], measure
