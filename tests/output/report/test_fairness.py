"""What makes a comparison unfair is said, and nothing where it is fair."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from descend.output.report.comparison import compare
from descend.output.report.fairness import notes
from descend.output.report.summary import Measure

VALUE = Measure("value", "value")
NOISE = np.random.default_rng(0).normal(size=8) / 100
Rows = Sequence[tuple[str, float | None, int, float]]


def said(rows: Rows, measure: Measure = VALUE, rates: dict[str, float] | None = None, **columns: object) -> str:
    """The notes on runs (optimizer, rate, seed, value)."""
    names = ["optimizer", "optimizer.lr", "seed", "value"]
    frame = (
        pl.DataFrame(rows, schema=names, orient="row").with_row_index("run").with_columns(pl.col("run").cast(pl.Int64))
    )
    defaults = {"status": "finished", "steps": 100, "evaluations.gradient": 101, "metrics.test_loss": 1.0}
    frame = frame.with_columns(
        value if isinstance(value, pl.Series) else pl.lit(value).alias(name)
        for name, value in (defaults | columns).items()
    )
    swept = [name for name in names[:3] if frame[name].n_unique() > 1]
    own = dict(frame.select("run", "optimizer").iter_rows())

    def recorded(runs: Sequence[int]) -> dict[int, float]:
        return {run: rates[own[run]] for run in runs} if rates else {}

    return "\n".join(notes(compare(frame, swept, measure), frame, swept, recorded))


def runs(*optimizers: str, lr: float | None = None) -> Rows:
    return [
        (name, lr, seed, i + noise) for i, name in enumerate(optimizers) for seed, noise in enumerate(NOISE.tolist())
    ]


FAIR = runs("adam", "sgd")


def test_a_fair_comparison_is_left_alone() -> None:
    assert said(FAIR) == ""


def test_unequal_trials_and_runs() -> None:
    more = [("adam", lr, 0, 1.0 + lr) for lr in (0.1, 0.2, 0.3, 0.05)]
    text = said([*more, ("sgd", 0.1, 0, 3.0)])
    assert "unequal numbers of settings tried: adam lr=0.05 4, sgd lr=0.1 1" in text
    assert "unequal numbers of runs: adam 8, sgd 7" in said(FAIR[:-1])


def test_unequal_steps_and_costs() -> None:
    steps = pl.Series("steps", [100] * 8 + [200] * 8)
    assert "unequal steps: adam 100, sgd 200" in said(FAIR, steps=steps)
    gradients: dict[str, Any] = {"evaluations.gradient": pl.Series("evaluations.gradient", [101] * 8 + [2000] * 8)}
    assert "a step does not cost the same; gradients for each: adam 1, sgd 20" in said(FAIR, **gradients)


def test_default_rates_that_differ_where_none_was_tuned() -> None:
    rates = {"adam": 0.001, "sgd": 0.1}
    assert "default learning rates differ, and none was tuned: adam 0.001, sgd 0.1" in said(FAIR, rates=rates)
    assert said(FAIR, rates={"adam": 0.1, "sgd": 0.1}) == ""
    tuned = [(name, lr, seed, x + lr) for name, _, seed, x in FAIR for lr in (0.1, 0.2)]
    assert "default learning rates" not in said(tuned, rates=rates)


@pytest.mark.parametrize(("best", "end"), [(0.1, "lowest"), (0.3, "highest"), (0.2, None)])
def test_the_best_at_the_edge(best: float, end: str | None) -> None:
    text = said([("adam", lr, 0, (lr - best) ** 2) for lr in (0.1, 0.2, 0.3)])
    assert (f"lr={best:g} ({end} lr)" in text) if end else ("edge" not in text)


def test_seeds_that_change_nothing() -> None:
    same = [(name, lr, seed, 1.0) for name, lr, seed, _ in FAIR]
    assert "seeds change nothing in every setting" in said(same)
    assert "seeds change nothing in 1 of 2 settings" in said([*FAIR[:8], *same[8:]])


def test_a_metric_of_the_test_set() -> None:
    test = Measure("metrics.accuracy", "test/accuracy", highest=True)
    accuracy: dict[str, Any] = {"metrics.accuracy": pl.Series("metrics.accuracy", np.linspace(0, 1, 16))}
    assert "ranked by test/accuracy, on the test set" in said(FAIR, test, **accuracy)


def test_too_few_seeds_says_how_many_would_do() -> None:
    few = [row for row in FAIR if row[2] < 5]
    assert "too few seeds to tell 1 of 1 from the best; seed='range(0,6)' may do" in said(few)


def test_a_winner_among_many_settings() -> None:
    tuned = [(name, lr, seed, x + abs(lr - 0.2)) for name, _, seed, x in FAIR for lr in (0.1, 0.2, 0.3)]
    assert "each row is the best of up to 3 settings by the same runs" in said(tuned)


def test_machines_that_differ() -> None:
    dtype: dict[str, Any] = {"provenance.dtype": pl.Series("provenance.dtype", ["float32"] * 8 + ["float64"] * 8)}
    assert "runs differ in dtype: float32, float64" in said(FAIR, **dtype)
