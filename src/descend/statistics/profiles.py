"""Solvers over a set of problems: how many they solve, within how much. A cost is infinite where one was not solved."""

import numpy as np


def ratios(costs: np.ndarray) -> np.ndarray:
    """Return each cost over the lowest of any solver on that problem; infinite where none solved it.

    Args:
        costs: float64 [solvers, problems], above 0.
    """
    with np.errstate(invalid="ignore"):
        found = costs / costs.min(axis=0)
    return np.where(np.isfinite(costs), found, np.inf)


def performance_profile(costs: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return ρ(τ): the share of problems that a solver solves within τ times the best solver's cost.

    Dolan & Moré 2002, eq. 2.1. It depends on which solvers are compared.

    Args:
        costs: float64 [solvers, problems], above 0.
        factors: float64 [t], each τ ≥ 1.

    Returns:
        float64 [solvers, t].
    """
    return (ratios(costs)[:, :, None] <= factors).mean(axis=1)


def data_profile(costs: np.ndarray, dimensions: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Return d(α): the share of problems solved within α gradients' worth, a gradient by differences being n + 1 costs.

    Moré & Wild 2009, eq. 2.7. It does not depend on the other solvers.

    Args:
        costs: evaluations, float64 [solvers, problems].
        dimensions: n, int64 [problems].
        budgets: float64 [b], each α.

    Returns:
        float64 [solvers, b].
    """
    return ((costs / (dimensions + 1))[:, :, None] <= budgets).mean(axis=1)


def algoperf_score(costs: np.ndarray, most: float = 4.0) -> np.ndarray:
    """Return the area under each performance profile up to `most`, over its width: ∫₁^most ρ(τ) dτ / (most − 1).

    Dahl et al. 2023, §5.4. The integral of a step function is a sum: each problem adds what is left of `most`.

    Args:
        costs: float64 [solvers, problems], above 0.

    Returns:
        float64 [solvers], between 0 and 1.
    """
    return (np.clip(most - ratios(costs), 0, None) / (most - 1)).mean(axis=1)
