"""Which setting is best, by how much, and whether that may be luck."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from descend.output.report.naming import called
from descend.output.report.summary import Measure, all_settings, best_settings, choice_keys, loss_columns, setting_keys
from descend.statistics.estimates import LEVEL, bootstrap_interval, interquartile_mean, probability_of_improvement
from descend.statistics.paired import holm, paired_p, pairs_needed
from descend.statistics.pareto import hypervolume, pareto_front

MOST_SLICES = 100_000
"""Slices that a hypervolume is cut into at most: a second."""

BEST, TIE, WORSE, FEW = "best", "tie", "worse", "too few seeds"


@dataclass(frozen=True)
class SettingRow:
    """One setting. Its numbers are the measure's own, so that of an accuracy the highest median is the best.

    Attributes:
        name: what differs, as `rmsprop lr=0.01`.
        keys: the same by the swept keys.
        run: of its best run.
        n: how many runs it has.
        members: all of its runs.
        trials: of how many settings of the same choices it is the best.
        interval: of the interquartile mean, 95%; NaN where there are too few runs.
        improvement: the probability that a run of it is better than one of the next row; None of the last row,
            and where neither has runs that differ.
        p: of the paired test against the best row, corrected by Holm; None of the best row and where nothing pairs.
        verdict: `best`, `tie` (the data cannot tell it from the best), `worse`, or `too few seeds`.
        ended: how its runs ended.
        medians: of its test metrics and, of several, of its losses, by column; None where no run has it.
        front: whether no other setting's median losses dominate it; None of a single loss.
        volume: the share of the box around all runs that its choices' runs dominate; None of a single loss.
        reached: how many of its runs reached a target; None where there was none.
        ert: the steps that restarts would take to reach it, on average.
    """

    name: str
    keys: Mapping[str, Any]
    run: int
    n: int
    members: tuple[int, ...]
    trials: int
    median: float
    iqm: float
    interval: tuple[float, float]
    improvement: float | None
    p: float | None
    verdict: str
    ended: str
    medians: Mapping[str, float | None]
    front: bool | None = None
    volume: float | None = None
    reached: int | None = None
    ert: float | None = None


@dataclass(frozen=True)
class Comparison:
    """The settings of one objective, best first.

    Attributes:
        task: the objective, or "" where there is but one.
        measure: what they are compared by.
        rows: the best setting of each combination of choices, or the ten best of all.
        settings: how many there are in all.
        runs: the same.
        notes: what makes the comparison less fair than it looks, a sentence each.
    """

    task: str
    measure: Measure
    rows: tuple[SettingRow, ...]
    settings: int
    runs: int
    notes: tuple[str, ...] = ()


def compare(table: pl.DataFrame, swept: Sequence[str], measure: Measure, task: str = "") -> Comparison:
    """Compare the settings of one objective.

    Args:
        table: a row for each run.
        swept: the keys that differ, columns of `table`.
        measure: what runs are compared by.
        task: the objective's name.
    """
    settings = all_settings(table, swept, measure)
    best = best_settings(settings, swept)
    keys = [key for key in setting_keys(swept) if table[key].n_unique() > 1]
    results = [np.array(values) for values in best["results"]]
    tests = paired_tests(best)
    fronts = among_losses(table, settings, best, swept)
    rows = []
    for i, row in enumerate(best.iter_rows(named=True)):
        low, high = sorted(measure.sign * x for x in interval_of(results[i]))
        own = {key: row[key] for key in keys}
        rows.append(
            SettingRow(
                name=called(own) or "all runs",
                keys={key: row[key] for key in setting_keys(swept)},
                run=row["run"],
                n=row["runs"],
                members=tuple(row["members"]),
                trials=row["trials"],
                median=measure.sign * row["value"],
                iqm=measure.sign * float(interquartile_mean(results[i])),
                interval=(low, high),
                improvement=improvement_over(results[i], results[i + 1]) if i + 1 < len(results) else None,
                p=tests[i].p,
                verdict=tests[i].verdict,
                ended=row["ended"],
                medians={name: row[name] for name in best.columns if name.startswith(("metrics.", "losses."))},
                front=fronts[i][0],
                volume=fronts[i][1],
            )
        )
    return Comparison(task, measure, tuple(rows), len(settings), len(table))


@dataclass(frozen=True)
class PairedResult:
    """What a paired test says of a row: its corrected p, None where there is none, and the verdict."""

    p: float | None
    verdict: str


def paired_tests(best: pl.DataFrame) -> list[PairedResult]:
    """Test each setting against the first by the seeds they share; Holm's correction is over all of them.

    Seeds that change nothing are one run, however often it was made.
    """
    rows = [dict(zip(seeds, results, strict=True)) for seeds, results in best.select("seeds", "results").iter_rows()]
    first, others = rows[0], rows[1:]
    shared = [sorted(first.keys() & other.keys()) for other in others]
    ours = [np.array([first[seed] for seed in seeds]) for seeds in shared]
    theirs = [np.array([other[seed] for seed in seeds]) for other, seeds in zip(others, shared, strict=True)]
    pairs = [independent(a, b) for a, b in zip(ours, theirs, strict=True)]
    needed = pairs_needed(len(others)) if others else 0
    p_values = [paired_p(a, b) if n >= needed else math.nan for a, b, n in zip(ours, theirs, pairs, strict=True)]
    corrected = holm(np.nan_to_num(p_values, nan=1.0))
    tested = [PairedResult(None, BEST)]
    for a, b, p, raw in zip(ours, theirs, corrected.tolist(), p_values, strict=True):
        if math.isnan(raw):
            tested.append(PairedResult(None, FEW))
        else:
            better = probability_of_improvement(a, b) > 0.5
            tested.append(PairedResult(p, WORSE if better and p <= LEVEL else TIE))
    return tested


def improvement_over(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    """Return the probability that a run of ours is better than one of theirs; None where there is one run of each."""
    if len(set(ours)) == len(set(theirs)) == 1:
        return None
    return probability_of_improvement(ours, theirs)


def interval_of(results: np.ndarray) -> tuple[float, float]:
    """Return the interval of a setting's interquartile mean; NaN where its seeds change nothing."""
    return bootstrap_interval([results]) if len(set(results)) > 1 else (math.nan, math.nan)


def independent(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Return how many pairs of runs say something of their own: repetitions of one result are one."""
    many = len(ours)
    return min(many, 1) if many > 1 and len(set(ours)) == len(set(theirs)) == 1 else many


def among_losses(
    table: pl.DataFrame, settings: pl.DataFrame, best: pl.DataFrame, swept: Sequence[str]
) -> list[tuple[bool | None, float | None]]:
    """Return for each of the best settings whether it is on the Pareto front of all, and its choices' hypervolume.

    The hypervolume is that of all runs of the same choices (the whole front that a method found), as a share of the box
    between the lowest losses of all runs and the highest, which is a tenth larger so that the ends count.
    """
    losses = [name for name in loss_columns(table) if name in settings.columns]
    if not losses:
        return [(None, None)] * len(best)
    medians = settings.select(losses).cast(pl.Float64).fill_null(np.inf).to_numpy()
    runs_on_front = set(settings["run"].filter(pl.Series(pareto_front(medians))).to_list())
    points = table.select(losses).cast(pl.Float64).fill_null(np.inf).to_numpy()
    finite = points[np.isfinite(points).all(axis=1)]
    choices = choice_keys(settings, swept) or setting_keys(swept)
    found: list[tuple[bool | None, float | None]] = []
    for row in best.iter_rows(named=True):
        own = np.ones(len(table), bool)
        for key in choices:
            own &= table[key].eq_missing(row[key]).to_numpy()
        volume = None if not len(finite) else share_dominated(points[own], finite.min(axis=0), finite.max(axis=0))
        found.append((row["run"] in runs_on_front, volume))
    return found


def share_dominated(points: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> float | None:
    """Return the share of the box from `lowest` to a tenth beyond `highest` that points [n, m] dominate.

    None where the front has so many points of so many losses that it would take minutes.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        width = np.where(highest > lowest, highest - lowest, 1.0)
        scaled = (points - lowest) / width
    front = scaled[pareto_front(scaled)]
    if len(front) ** (len(width) - 1) > MOST_SLICES:
        return None
    return hypervolume(front, np.full(len(width), 1.1)) / 1.1 ** len(width)
