"""From the overrides of a multirun to jobs: Hydra's whole grammar, and intervals."""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.sweeps.job import Job

MOST_RUNS = 1_000_000
"""A plan of more runs than this must be confirmed by `sweep.yes=true`."""


@dataclass(frozen=True)
class Sampling(ABC):
    """Points in the unit cube, from which intervals take their values.

    Args:
        points: how many, ≥ 1; along each interval for a grid, in all for the others. None where no interval is swept.
    """

    points: int | None = None

    def __post_init__(self) -> None:
        if self.points is not None:
            check_number(self, "points", at_least=1)

    def count(self, points: int, dimensions: int) -> int:
        """Return how many points `unit` will make."""
        return points

    @abstractmethod
    def unit(self, points: int, dimensions: int) -> np.ndarray:
        """Return points in [0, 1]^dimensions, float64 [n, dimensions]."""


@dataclass(frozen=True)
class Grid(Sampling):
    """`points` values along each interval, ends included, and every combination of them."""

    def count(self, points: int, dimensions: int) -> int:
        return points**dimensions

    def unit(self, points: int, dimensions: int) -> np.ndarray:
        axis = np.linspace(0.0, 1.0, points) if points != 1 else np.array([0.5])
        return np.array(list(itertools.product(axis, repeat=dimensions)))


@dataclass(frozen=True)
class Random(Sampling):
    """`points` points drawn uniformly and independently.

    Args:
        seed: of the draw.
    """

    seed: int = 0

    def unit(self, points: int, dimensions: int) -> np.ndarray:
        return np.random.default_rng(self.seed).random((points, dimensions))


@dataclass(frozen=True)
class Sobol(Sampling):
    """The first `points` points of a scrambled Sobol sequence, which fill the cube evenly (Owen 1998).

    Args:
        seed: of the scrambling.
    """

    seed: int = 0

    def unit(self, points: int, dimensions: int) -> np.ndarray:
        from torch.quasirandom import SobolEngine

        return SobolEngine(dimensions, scramble=True, seed=self.seed).draw(points).double().numpy()


def jobs(overrides: Sequence[str], sampling: Sampling, config_loader: Any = None, most: int | None = None) -> list[Job]:
    """Return the jobs of a multirun, in the order in which Hydra's basic sweeper makes them: the last key fastest.

    Args:
        overrides: as on the command line; a later override of a key replaces an earlier one.
        config_loader: Hydra's, for `glob`.
        most: of more jobs none is made; None where any number will do.

    Raises:
        ConfigurationError: an interval without points, a sweep over nothing, or over more than `most`.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    parsed = {override.get_key_element(): override for override in parser.parse_overrides(list(overrides))}
    intervals = {key: o for key, o in parsed.items() if o.is_interval_sweep()}
    choices = [list(options(key, o, most)) for key, o in parsed.items() if key not in intervals]
    points = sampling.count(points_between(intervals, sampling), len(intervals)) if intervals else 1
    runs = math.prod(map(len, choices)) * points
    if most is not None and runs > most:
        counted = "" if any(len(texts) > most for texts in choices) else f"{runs:,} runs, "
        raise ConfigurationError(f"The sweep has {counted}more than {most:,}; add sweep.yes=true if that is meant.")
    sampled = [list(zip(intervals, row, strict=True)) for row in sampled_rows(intervals, sampling)]
    order = list(parsed)
    made = []
    for index, (fixed, drawn) in enumerate(itertools.product(itertools.product(*choices), sampled)):
        texts = dict([*fixed, *drawn])
        swept = {key: texts[key] for key in order if parsed[key].is_sweep_override()}
        made.append(Job(index, tuple(f"{key}={texts[key]}" for key in order), swept))
    if not made:
        raise ConfigurationError("The sweep is empty: one of the swept keys has no values; give it at least one.")
    return made


@dataclass(frozen=True)
class Axes:
    """What a sweep varies, for a sampler that asks for settings as results come in.

    Attributes:
        keys: all that are given, in their order.
        fixed: the texts of those that are the same for all runs.
        intervals: the ends of those that are numbers of an interval, and whether it is tagged `log`.
        choices: the texts of those that are one of several.
        seeds: the seeds that every setting is run with; empty where none is swept.
    """

    keys: tuple[str, ...]
    fixed: Mapping[str, str]
    intervals: Mapping[str, tuple[float, float, bool]]
    choices: Mapping[str, tuple[str, ...]]
    seeds: tuple[str, ...] = ()

    @property
    def members(self) -> int:
        """The number of runs that a setting has."""
        return max(1, len(self.seeds))

    def first(self) -> dict[str, str]:
        """Return one setting: the lower ends, and the first choices."""
        low = {key: repr(float(low)) for key, (low, _, _) in self.intervals.items()}
        return low | {key: texts[0] for key, texts in self.choices.items()}

    def jobs(self, settings: Sequence[Mapping[str, str]]) -> list[Job]:
        """Return the jobs of settings, the texts that they take by their keys; those of one beside each other."""
        made: list[Job] = []
        for setting in settings:
            for seed in self.seeds or ("",):
                own = {**setting, "seed": seed} if seed else dict(setting)
                texts = {key: own.get(key, self.fixed.get(key, "")) for key in self.keys}
                swept = {key: texts[key] for key in self.keys if key in own}
                made.append(Job(len(made), tuple(f"{key}={value}" for key, value in texts.items()), swept))
        return made


def axes_of(overrides: Sequence[str], config_loader: Any = None) -> Axes:
    """Return what a multirun varies.

    Raises:
        ConfigurationError: nothing but the seed, or the objective.
    """
    parser = OverridesParser.create(config_loader=config_loader)
    parsed = {override.get_key_element(): override for override in parser.parse_overrides(list(overrides))}
    intervals = {key: interval(o) for key, o in parsed.items() if o.is_interval_sweep()}
    others = {key: o for key, o in parsed.items() if key not in intervals}
    texts = {key: tuple(text for _, text in options(key, o, MOST_RUNS)) for key, o in others.items()}
    choices = {key: texts[key] for key, o in others.items() if o.is_sweep_override()}
    seeds = choices.pop("seed", ())
    if "objective" in choices:
        raise ConfigurationError(
            "sweep=optuna looks for the best setting of one objective, but the objective is swept; give it one value."
        )
    if not intervals and not choices:
        raise ConfigurationError(
            "sweep=optuna has nothing to choose; sweep over another key than seed, as optimizer.lr='interval(0.1,1)'."
        )
    fixed = {key: value for key, (value, *_) in texts.items() if not others[key].is_sweep_override()}
    return Axes(tuple(parsed), fixed, intervals, choices, seeds)


def options(key: str, override: Override, most: int | None) -> list[tuple[str, str]]:
    """Return the (key, text) pairs a key takes; no more than one too many, for a range may have any number."""
    if not override.is_sweep_override():
        return [(key, override.get_value_element_as_str())]
    texts = itertools.islice(override.sweep_string_iterator(), None if most is None else most + 1)
    return [(key, text) for text in texts]


def points_between(intervals: dict[str, Override], sampling: Sampling) -> int:
    """Return the number of points that the sampling is given for intervals.

    Raises:
        ConfigurationError: none is set.
    """
    if sampling.points is None:
        key = next(iter(intervals))
        raise ConfigurationError(f"{key} sweeps an interval, but no number of points is set; add sweep.points=64, say.")
    return sampling.points


def sampled_rows(intervals: dict[str, Override], sampling: Sampling) -> list[list[str]]:
    """Return a row of values for each sampled point: exact in text, so that a run alone gets the same number."""
    if not intervals:
        return [[]]
    columns = []
    units = sampling.unit(points_between(intervals, sampling), len(intervals))
    for override, unit in zip(intervals.values(), units.T, strict=True):
        low, high, logarithmic = interval(override)
        # Written so that the ends come out exactly.
        columns.append(low ** (1 - unit) * high**unit if logarithmic else low * (1 - unit) + high * unit)
    return [[repr(float(x)) for x in row] for row in np.array(columns).T]


def interval(override: Override) -> tuple[float, float, bool]:
    """Return an interval's ends, and whether it is tagged `log`.

    Raises:
        ConfigurationError: it is, and its ends have no logarithm.
    """
    sweep: Any = override.value()  # an IntervalSweep, with the ends that Hydra's grammar demands
    if "log" in sweep.tags and min(sweep.start, sweep.end) <= 0:
        raise ConfigurationError(f"interval({sweep.start},{sweep.end}) is tagged log, but its ends must be above 0.")
    return float(sweep.start), float(sweep.end), "log" in sweep.tags
