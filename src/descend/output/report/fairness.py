"""What makes a comparison less fair than it looks, in sentences."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import polars as pl

from descend.output.report.comparison import FEW, Comparison
from descend.output.report.naming import short_names
from descend.output.report.summary import Measure, all_settings, choice_keys, is_numeric, setting_keys
from descend.statistics.paired import pairs_needed

FEWEST_VALUES = 3
"""A number that takes fewer values was not tuned over an interval."""

MOST_NAMED = 5

Rates = Callable[[Sequence[int]], dict[int, float]]
"""Returns the learning rate that runs began with, of those that recorded it."""


def notes(comparison: Comparison, table: pl.DataFrame, swept: Sequence[str], rates: Rates) -> tuple[str, ...]:
    """Return what a reader must know before they believe a comparison.

    Args:
        comparison: of these runs.
        table: a row for each run of one objective.
        swept: the keys that differ.
        rates: asked only where no rate was swept.
    """
    settings = all_settings(table, swept, comparison.measure)
    found = [
        *on_test_set(comparison.measure, table),
        *seeds_that_change_nothing(settings),
        *too_few_seeds(comparison),
        *unequal_trials(comparison),
        *unequal_steps(comparison, table),
        *at_the_edge(comparison, settings, swept),
        *untuned_rates(comparison, swept, rates),
        *chosen_among_many(comparison),
        *unlike_machines(table),
    ]
    return tuple(found)


def on_test_set(measure: Measure, table: pl.DataFrame) -> Iterator[str]:
    """A winner that was picked by test results looks better there than it is. Only data have a test loss."""
    if measure.label.startswith("test/") and any(name.startswith("metrics.test_") for name in table.columns):
        yield (
            f"ranked by {measure.label}, on the test set: the winner's own number there is too good; "
            "rank by a validation metric (objective.data.validation_fraction=0.1) and read the test set last"
        )


def seeds_that_change_nothing(settings: pl.DataFrame) -> Iterator[str]:
    """Several seeds with one result are one run."""
    repeated = settings.filter(pl.col("runs") > 1)
    same = repeated.filter(pl.col("results").list.n_unique() == 1, pl.col("value").is_finite())
    if len(same):
        which = "every setting" if len(same) == len(settings) else f"{len(same)} of {len(settings)} settings"
        yield f"seeds change nothing in {which}: all runs of one ended alike, which is one run; is the start fixed?"


def too_few_seeds(comparison: Comparison) -> Iterator[str]:
    """A test needs as many pairs as its correction asks for."""
    few = sum(row.verdict == FEW for row in comparison.rows)
    if few:
        others = len(comparison.rows) - 1
        needed = pairs_needed(others)
        yield f"too few seeds to tell {few} of {others} from the best; seed='range(0,{needed})' may do"


def unequal_trials(comparison: Comparison) -> Iterator[str]:
    """Who was tuned more has the better luck."""
    counts = {row.name: row.trials for row in comparison.rows}
    if len(set(counts.values())) > 1:
        yield f"unequal numbers of settings tried: {each_number(counts)}"
    seeds = {row.name: row.n for row in comparison.rows}
    if len(set(seeds.values())) > 1:
        yield f"unequal numbers of runs: {each_number(seeds)}"


def unequal_steps(comparison: Comparison, table: pl.DataFrame) -> Iterator[str]:
    """Compare what settings were given to spend: the most steps that a run of each made, and gradients for a step."""
    finished = table.filter(pl.col("status") == "finished", pl.col("steps") > 0)
    own = {row.name: finished.filter(pl.col("run").is_in(list(row.members))) for row in comparison.rows}
    own = {name: runs for name, runs in own.items() if len(runs)}
    steps = {name: runs["steps"].to_list() for name, runs in own.items()}
    if len({max(each) for each in steps.values()}) > 1:
        yield f"unequal steps: {each_number({name: max(each) for name, each in steps.items()})}"
    if own and "evaluations.gradient" in table.columns:
        each = {name: (runs["evaluations.gradient"].sum() or 0) / sum(steps[name]) for name, runs in own.items()}
        if max(each.values()) > 1.5 * min(each.values()):
            yield f"a step does not cost the same; gradients for each: {each_number(each, '.2g')}"


def at_the_edge(comparison: Comparison, settings: pl.DataFrame, swept: Sequence[str]) -> Iterator[str]:
    """The best value may lie beyond the last that was tried."""
    choices = choice_keys(settings, swept)
    numbers = [key for key in setting_keys(swept) if is_numeric(settings[key])]
    short = short_names(numbers)
    found: list[str] = []
    for row in comparison.rows if choices else comparison.rows[:1]:
        own = settings.filter([pl.col(key).eq_missing(row.keys[key]) for key in choices]) if choices else settings
        for key in numbers:
            tried = own[key].cast(pl.Float64).drop_nulls().unique().sort()
            value = row.keys[key]
            if len(tried) >= FEWEST_VALUES and value is not None and float(value) in (tried[0], tried[-1]):
                found.append(f"{row.name} ({'lowest' if float(value) == tried[0] else 'highest'} {short[key]})")
    if found:
        more = ", …" if len(found) > MOST_NAMED else ""
        yield f"best at the edge of what was tried, widen the interval: {', '.join(found[:MOST_NAMED])}{more}"


def untuned_rates(comparison: Comparison, swept: Sequence[str], rates: Rates) -> Iterator[str]:
    """Defaults were chosen for other problems: a method may have lost by its default alone."""
    if any(key.endswith(".lr") for key in swept) or "optimizer" not in swept:
        return
    found = rates([row.run for row in comparison.rows])
    by_name = {row.name: found[row.run] for row in comparison.rows if row.run in found}
    if len(set(by_name.values())) > 1:
        yield f"default learning rates differ, and none was tuned: {each_number(by_name, 'g')}"


def chosen_among_many(comparison: Comparison) -> Iterator[str]:
    """The best of many by the runs that judge it is partly luck."""
    most = max(row.trials for row in comparison.rows)
    repeated = any(row.n > 1 for row in comparison.rows)
    if repeated and most > 1:
        yield f"each row is the best of up to {most:,} settings by the same runs: confirm it with new seeds"


def unlike_machines(table: pl.DataFrame) -> Iterator[str]:
    """Precision and device change results."""
    for key in ("dtype", "device"):
        column = f"provenance.{key}"
        found = table[column].drop_nulls().unique().sort().to_list() if column in table.columns else []
        if len(found) > 1:
            yield f"runs differ in {key}: {', '.join(found)}"


def each_number(numbers: Mapping[str, float], form: str = ",") -> str:
    """Return numbers by name, or the lowest and the highest of many."""
    if len(numbers) > MOST_NAMED:
        low, high = min(numbers, key=numbers.__getitem__), max(numbers, key=numbers.__getitem__)
        numbers = {f"from {low}": numbers[low], f"to {high}": numbers[high]}
    return ", ".join(f"{name} {format(number, form)}" for name, number in numbers.items())


def rates_in(curves: pl.LazyFrame) -> Rates:
    """Return what reads the rates that runs began with from their records."""

    def rates(runs: Sequence[int]) -> dict[int, float]:
        rows = curves.filter(
            (pl.col("name") == "learning_rate") & (pl.col("step") == 0) & pl.col("run").is_in(list(runs))
        )
        return {run: value for run, value in rows.select("run", "value").collect().iter_rows()}

    return rates
