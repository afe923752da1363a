"""Mixed partial derivatives of a network u(points); one call computes all that a differential equation needs."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.orders import gradient_of_sum, right_at_any_order
from descend.derivatives.polarisation import MultiIndex, directions, polarisation
from descend.derivatives.series import as_root, expand
from descend.errors import ConfigurationError

Field = Callable[[Tensor], Tensor]
"""u: points [n, d] -> values [n, outputs]; row i of the result depends on row i of the points alone."""


def auto_partials(u: Field, points: Tensor, indices: Iterable[MultiIndex]) -> dict[MultiIndex, Tensor]:
    """Several partial derivatives of u, by the route that is cheaper for this set of them.

    Nested reverse mode is cheaper up to the second order, and at the third where mixed derivatives need several
    directions; from the fourth on it costs a multiple of the series (benchmarks/high_orders.py).

    Args:
        u: maps points [n, d] to values [n, outputs].
        points: [n, d].
        indices: the derivatives wanted, each of d numbers ≥ 0; (0, …, 0) is u itself.

    Returns:
        For each index, [n, outputs]; differentiable in the parameters of u.

    Raises:
        ConfigurationError: for an index that does not have d numbers ≥ 0, values not of shape [n, outputs], and an
            operation that cannot be differentiated so often.
    """
    indices = _checked(points, indices)
    # In units of one order of one series; each nested pass costs 2.4 times the one before. Fitted to tanh MLPs.
    series = sum(directions(indices).values())
    nested = 0.75 + sum(0.22 * 2.4 ** (sum(parent) + 1) for parent in _parents(indices))
    return (taylor_partials if series < nested else nested_partials)(u, points, indices)


def nested_partials(u: Field, points: Tensor, indices: Iterable[MultiIndex]) -> dict[MultiIndex, Tensor]:
    """`auto_partials` by nested reverse mode: one backward pass per output and derivative, shared where they can be."""
    indices = _checked(points, indices)
    with torch.enable_grad(), right_at_any_order(max(map(sum, indices), default=0)):
        points = as_root(points)
        values = _evaluated(u, points)
        if any(sum(index) > 1 for index in indices):
            require_twice_differentiable(values)
        columns: dict[MultiIndex, tuple[Tensor, ...]] = {(0,) * points.shape[1]: values.unbind(1)}
        for parent in _parents(indices):
            gradients = [gradient_of_sum(column, points, create_graph=True) for column in columns[parent]]
            for axis in range(points.shape[1]):
                columns[_raised(parent, axis)] = tuple(gradient[:, axis] for gradient in gradients)
    return {index: torch.stack(columns[index], 1) for index in indices}


def taylor_partials(u: Field, points: Tensor, indices: Iterable[MultiIndex]) -> dict[MultiIndex, Tensor]:
    """`auto_partials` by one truncated Taylor series for each of a few directions, and polarisation.

    A mixed derivative is a combination of directional ones (`polarisation`). Directions are shared: u, u_x, u_xx and
    u_xxx come from a single series along x.
    """
    indices = _checked(points, indices)
    rows = {
        ray: expand(lambda x: _evaluated(u, x), points, _direction(ray, points), order)
        for ray, order in directions(indices).items()
    }
    return {
        index: sum(float(weight) * rows[ray][sum(index)] for ray, weight in polarisation(index).items())
        for index in indices
    }


def _direction(ray: MultiIndex, points: Tensor) -> Tensor:
    # Built from numbers, not copied from a list, so that it can be traced.
    return torch.stack([torch.full_like(points[:, i], n) for i, n in enumerate(ray)], 1)


def _parents(indices: Iterable[MultiIndex]) -> list[MultiIndex]:
    """Every index whose gradient the nested route takes, lower orders first.

    The parent of an index lowers its last entry that is not zero: u_xxt comes from u_xx, which is often wanted itself.
    """
    parents = set()
    for index in indices:
        while any(index):
            axis = max(i for i, n in enumerate(index) if n)
            index = (*index[:axis], index[axis] - 1, *index[axis + 1 :])
            parents.add(index)
    return sorted(parents, key=lambda index: (sum(index), index))


def _raised(index: MultiIndex, axis: int) -> MultiIndex:
    return (*index[:axis], index[axis] + 1, *index[axis + 1 :])


def _evaluated(u: Field, points: Tensor) -> Tensor:
    values = u(points)
    if values.dim() != 2 or len(values) != len(points):
        raise ConfigurationError(
            f"The function returned values of shape {list(values.shape)} at points of shape {list(points.shape)}. "
            f"Partial derivatives are taken of values of shape [{len(points)}, outputs], one row for each point."
        )
    return values


def _checked(points: Tensor, indices: Iterable[MultiIndex]) -> list[MultiIndex]:
    indices = [tuple(index) for index in indices]
    for index in indices:
        if len(index) != points.shape[1] or any(n < 0 for n in index):
            raise ConfigurationError(
                f"The partial derivative {index} was asked for at points of {points.shape[1]} coordinates. Give one "
                "number, 0 or more, for each coordinate: how often to differentiate in it."
            )
    return indices
