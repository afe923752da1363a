"""Mixed partial derivatives as combinations of directional ones."""

import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from functools import cache

MultiIndex = tuple[int, ...]
"""How often to differentiate in each coordinate: (2, 1) is ∂³u/∂x²∂t for points (x, t)."""


@cache
def polarisation(index: MultiIndex) -> dict[MultiIndex, Fraction]:
    """Weights w_r with ∂^index u = Σ_r w_r c_m(r), c_m(r) the m-th Taylor coefficient along r and m = |index|.

    Kan (2008), From moments of sum to moments of product, J. Multivariate Anal. 99, Proposition 1, with ∂^index for
    the product and (r · ∂)^m = m! c_m(r) for the powers of sums:
    ∂^α = (1/m!) Σ_v (−1)^|v| Π_i C(α_i, v_i) ((α/2 − v) · ∂)^m over 0 ≤ v ≤ α. Rays on the same line are merged.
    """
    order = sum(index)
    if order == 0:
        return {(1,) + (0,) * (len(index) - 1): Fraction(1)}
    weights: dict[MultiIndex, Fraction] = {}
    for v in itertools.product(*(range(n + 1) for n in index)):
        doubled = tuple(n - 2 * each for n, each in zip(index, v, strict=True))
        if any(doubled):
            ray, length = _primitive(doubled)
            count = math.prod(math.comb(n, each) for n, each in zip(index, v, strict=True))
            weights[ray] = weights.get(ray, Fraction(0)) + (-1) ** sum(v) * count * Fraction(length, 2) ** order
    return weights


def directions(indices: Iterable[MultiIndex]) -> dict[MultiIndex, int]:
    """Every ray that some index needs, with the highest order needed along it."""
    orders: dict[MultiIndex, int] = {}
    for index in indices:
        for ray in polarisation(index):
            orders[ray] = max(orders.get(ray, 1), sum(index))
    return orders


def _primitive(vector: MultiIndex) -> tuple[MultiIndex, int]:
    """The shortest whole vector on the same line, first non-zero entry positive, and the factor to `vector`."""
    factor = math.gcd(*vector) * (1 if next(n for n in vector if n) > 0 else -1)
    return tuple(n // factor for n in vector), factor
