"""The stopping rules against a loop over single steps that applies them one after the other."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descend.engine.stopping import Stopping, Verdict, Watch
from descend.errors import ConfigurationError


def naive(rule: Stopping, values: list[float], norms: list[float], moves: list[float]) -> tuple[str, int] | None:
    """Return the status and the step at which a rule ends the run."""
    lowest, since = math.inf, 0
    for step, (value, norm, move) in enumerate(zip(values, norms, moves, strict=True)):
        if not math.isfinite(value):
            return "diverged", step
        if rule.value is not None and value <= rule.value:
            return "converged", step
        if rule.gradient_norm is not None and norm <= rule.gradient_norm:
            return "converged", step
        if rule.xtol is not None and move <= rule.xtol:
            return "converged", step
        if rule.plateau is not None:
            if lowest == math.inf or value < lowest - rule.plateau_tolerance * abs(lowest):
                lowest, since = value, step
            elif step - since >= rule.plateau:
                return "finished", step
    return None


def by_blocks(
    rule: Stopping, values: list[float], sizes: dict[str, list[float]], cuts: list[int]
) -> tuple[Verdict | None, Watch]:
    watch, edges = Watch(), sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    for begin, end in pairwise(edges):
        own = {name: np.array(x[begin:end]) for name, x in sizes.items()}
        found = rule.first(np.arange(begin, end), np.array(values[begin:end]), own, watch)
        if found is not None:
            return found, watch
    return None, watch


NUMBERS = st.floats(-3, 3).map(lambda x: round(x, 1))
VALUES = st.one_of(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([math.nan, math.inf, -math.inf]))
RULES = st.builds(
    Stopping,
    value=st.none() | NUMBERS,
    gradient_norm=st.none() | st.floats(0, 1),
    xtol=st.none() | st.floats(0, 1),
    plateau=st.none() | st.integers(1, 6),
    plateau_tolerance=st.sampled_from([0.0, 0.1, 0.5]),
)


SIZES = st.floats(0, 3)
STEPS = st.lists(st.tuples(VALUES, SIZES, SIZES | st.just(math.inf)), min_size=1, max_size=25)


@given(RULES, STEPS, st.lists(st.integers(1, 24)))
def test_in_blocks_as_step_by_step(rule: Stopping, steps: list[tuple[float, float, float]], cuts: list[int]) -> None:
    values, norms, moves = ([each[i] for each in steps] for i in (0, 1, 2))
    expected = naive(rule, values, norms, moves)
    found, watch = by_blocks(rule, values, {"gradient_norm": norms, "xtol": moves}, cuts)
    assert (None if found is None else (found.status, found.step)) == expected
    seen = values if expected is None else values[: expected[1] + 1]
    assert watch.best == min((x for x in seen if math.isfinite(x)), default=math.inf)


def test_reasons_name_quantity_bound_and_step() -> None:
    def reason(rule: Stopping, values: list[float], sizes: list[float]) -> str:
        own = {name: np.array(sizes) for name in rule.bounds}
        verdict = rule.first(np.arange(7, 7 + len(values)), np.array(values), own, Watch())
        assert verdict is not None
        return verdict.reason

    text = reason(Stopping(value=0.5), [2.0, 0.25], [9.0, 9.0])
    assert text == "the total fell to 0.25, at most 0.5, at step 8"
    text = reason(Stopping(gradient_norm=0.5), [2.0, 2.0], [9.0, 0.5])
    assert text == "the gradient norm fell to 0.5, at most 0.5, at step 8"
    text = reason(Stopping(ftol=1e-8), [2.0, 2.0], [9.0, 1e-9])
    assert text == "the relative change of the total fell to 1e-09, at most 1e-08, at step 8"
    assert reason(Stopping(), [2.0, math.nan], [9.0, 9.0]) == "the total became nan at step 8"


@pytest.mark.parametrize(
    "fields",
    [
        {"gradient_norm": -1.0},
        {"xtol": -1e-8},
        {"ftol": -1e-8},
        {"seconds": 0.0},
        {"plateau": 0},
        {"plateau_tolerance": -0.1},
        {"value": "low"},
    ],
)
def test_rules_out_of_range(fields: dict) -> None:
    with pytest.raises(ConfigurationError, match=f"Stopping.{next(iter(fields))} is"):
        Stopping(**fields)
