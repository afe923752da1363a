"""Whether two settings differ, judged by the runs that they have in common (the same seed, the same task)."""

import math

import numpy as np

from descend.statistics.estimates import LEVEL


def paired_p(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test (Wilcoxon 1945); equal pairs are left out.

    It asks for no distribution, and a run that failed (infinite) is only the worst rank: two such runs are equal.

    Args:
        ours, theirs: float64 [n], the results of pairs.

    Returns:
        1 where no pair differs.
    """
    with np.errstate(invalid="ignore"):
        differences = np.where(ours == theirs, 0.0, ours - theirs)
    differences = differences[differences != 0]
    if not differences.size:
        return 1.0
    from scipy.stats import wilcoxon  # a second to import, which a sweep of one seed does without

    return float(wilcoxon(differences).pvalue)


def pairs_needed(comparisons: int) -> int:
    """Return how many pairs each of so many comparisons needs before any can be significant by Holm's correction.

    n pairs have their smallest p-value where all differences have one sign: 2 of 2ⁿ cases.
    """
    return 1 + math.ceil(math.log2(comparisons / LEVEL))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return p-values corrected for their number: the i-th smallest of m times m − i + 1, never falling (Holm 1979).

    Args:
        p_values: float64 [m].
    """
    order = np.argsort(p_values, kind="stable")
    m = len(p_values)
    raised = np.maximum.accumulate(p_values[order] * (m - np.arange(m)))
    corrected = np.empty(m)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected
