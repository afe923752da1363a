"""Mixed partial derivatives of a network u(points), all those a differential equation asks for in one call."""

import itertools
import math
from collections.abc import Callable, Iterable
from fractions import Fraction

import torch
from torch import Tensor

from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.orders import gradient_of_sum, right_at_any_order
from descend.derivatives.series import expand, root
from descend.errors import ConfigurationError

Field = Callable[[Tensor], Tensor]
"""u: points [n, d] -> values [n, outputs]; row i of the result depends on row i of the points alone."""

MultiIndex = tuple[int, ...]
"""How often to differentiate in each coordinate: (2, 1) is ∂³u/∂x²∂t for points (x, t)."""

NESTED_UP_TO = 2
"""The highest order at which nested reverse mode is the faster (benchmarks/high_orders.py)."""


def auto_partials(u: Field, points: Tensor, indices: Iterable[MultiIndex]) -> dict[MultiIndex, Tensor]:
    """Several partial derivatives of u, by the route that is faster at the highest order among them.

    Args:
        u: maps points [n, d] to values [n, outputs].
        points: [n, d].
        indices: those wanted, each of d numbers ≥ 0; (0, …, 0) is u itself.

    Returns:
        For each index, [n, outputs]; differentiable in the parameters of u.

    Raises:
        ConfigurationError: for an index that does not have d numbers ≥ 0.
    """
    indices = _checked(points, indices)
    highest = max(map(sum, indices), default=0)
    return (nested_partials if highest <= NESTED_UP_TO else taylor_partials)(u, points, indices)


def nested_partials(u: Field, points: Tensor, indices: Iterable[MultiIndex]) -> dict[MultiIndex, Tensor]:
    """`auto_partials` by nested reverse mode: one backward pass per output and derivative, shared where they can be."""
    indices = _checked(points, indices)
    zero = (0,) * points.shape[1]
    with torch.enable_grad(), right_at_any_order(max(map(sum, indices), default=0)):
        points = root(points)
        values = u(points)
        if any(sum(index) > 1 for index in indices):
            require_twice_differentiable(values)
        columns = {zero: values.unbind(1)}
        gradients: dict[MultiIndex, list[Tensor]] = {}
        for index in sorted({each for wanted in indices for each in _ancestors(wanted)}, key=sum):
            axis, parent = _parent(index)
            if parent not in gradients:
                gradients[parent] = [gradient_of_sum(column, points, create_graph=True) for column in columns[parent]]
            columns[index] = [gradient[:, axis] for gradient in gradients[parent]]
    return {index: torch.stack(columns[index], 1) for index in indices}


def taylor_partials(u: Field, points: Tensor, indices: Iterable[MultiIndex]) -> dict[MultiIndex, Tensor]:
    """`auto_partials` by one truncated Taylor series for each of a few directions, and polarisation.

    A mixed derivative is a combination of directional ones (`polarisation`). Directions are shared: u, u_x, u_xx and
    u_xxx come from a single series along x.
    """
    indices = _checked(points, indices)
    formulas = {index: polarisation(index) for index in indices}
    orders: dict[MultiIndex, int] = {}
    for index, formula in formulas.items():
        for ray in formula:
            orders[ray] = max(orders.get(ray, 1), sum(index))
    rows = {ray: expand(u, points, _direction(ray, points), order) for ray, order in orders.items()}
    return {
        index: sum(float(weight) * rows[ray][sum(index)] for ray, weight in formula.items())
        for index, formula in formulas.items()
    }


def polarisation(index: MultiIndex) -> dict[MultiIndex, Fraction]:
    """Weights w_r with ∂^index u = Σ_r w_r c_m(r), c_m(r) the m-th Taylor coefficient along r and m = |index|.

    Kan (2008), From moments of sum to moments of product, J. Multivariate Anal. 99, Proposition 1, with
    ∂^index for the product and (r · ∂)^m = m! c_m(r) for the powers of sums:
    ∂^α = (1/m!) Σ_v (−1)^|v| Π_i C(α_i, v_i) ((α/2 − v) · ∂)^m over 0 ≤ v ≤ α. Rays that differ by a factor are one.
    """
    order = sum(index)
    if order == 0:
        return {(1,) + (0,) * (len(index) - 1): Fraction(1)}
    weights: dict[MultiIndex, Fraction] = {}
    for v in itertools.product(*(range(n + 1) for n in index)):
        doubled = tuple(n - 2 * each for n, each in zip(index, v, strict=True))
        if not any(doubled):
            continue
        ray, length = _primitive(doubled)
        count = math.prod(math.comb(n, each) for n, each in zip(index, v, strict=True))
        weights[ray] = weights.get(ray, Fraction(0)) + (-1) ** sum(v) * count * Fraction(length, 2) ** order
    return weights


def _primitive(vector: MultiIndex) -> tuple[MultiIndex, int]:
    """The shortest whole vector on the same line, first non-zero entry positive, and the factor to `vector`."""
    factor = math.gcd(*vector) * (1 if next(n for n in vector if n) > 0 else -1)
    return tuple(n // factor for n in vector), factor


def _direction(ray: MultiIndex, points: Tensor) -> Tensor:
    # Built from numbers, not copied from a list, so that it can be traced.
    return torch.stack([torch.full_like(points[:, i], n) for i, n in enumerate(ray)], 1)


def _parent(index: MultiIndex) -> tuple[int, MultiIndex]:
    """The last axis differentiated in, and the index before it was."""
    axis = max(i for i, n in enumerate(index) if n)
    return axis, (*index[:axis], index[axis] - 1, *index[axis + 1 :])


def _ancestors(index: MultiIndex) -> Iterable[MultiIndex]:
    """`index` and all before it, the zero index left out."""
    while any(index):
        yield index
        index = _parent(index)[1]


def _checked(points: Tensor, indices: Iterable[MultiIndex]) -> list[MultiIndex]:
    indices = [tuple(index) for index in indices]
    for index in indices:
        if len(index) != points.shape[1] or any(n < 0 for n in index):
            raise ConfigurationError(
                f"The partial derivative {index} was asked for at points of {points.shape[1]} coordinates. Give one "
                "number, 0 or more, for each coordinate: how often to differentiate in it."
            )
    return indices
