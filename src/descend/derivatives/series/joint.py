"""Functions linear in several tensors together, such as concatenation: row k of the result takes row k of each."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.series.rules import functions_named, primitive
from descend.derivatives.series.series import Variable
from descend.graph.compat import pytree


def _row(t: Variable, value: Any, k: int) -> Any:
    """x_k of a series; of a constant, itself for k = 0 and zero after."""
    if t.owns(value):
        rows = value.coefficients
        return rows[k] if k < rows.shape[0] else torch.zeros_like(rows[0])
    if k == 0 or value is None:
        return value
    return torch.zeros_like(value) if isinstance(value, Tensor) else type(value)(0)


def _jointly_linear(func: Callable, positions: range | tuple[int, ...], names: tuple[str, ...]) -> Callable[..., Any]:
    def rule(t: Variable, *args: Any, **kwargs: Any) -> Any:
        linear: dict[int | str, Any] = {i: arg for i, arg in enumerate(args) if i in positions}
        linear |= {name: arg for name, arg in kwargs.items() if name in names}
        fixed = {key: arg for key, arg in (dict(enumerate(args)) | kwargs).items() if key not in linear}
        if any(map(t.owns, pytree.tree_leaves(fixed))):
            return NotImplemented

        def at(k: int) -> Any:
            every = fixed | pytree.tree_map(lambda value: _row(t, value, k), linear)
            return func(*(every[i] for i in range(len(args))), **{name: every[name] for name in kwargs})

        count = max(each.coefficients.shape[0] for each in pytree.tree_leaves(linear) if t.owns(each))
        return pytree.tree_map(lambda *rows: t.series(torch.stack(rows)), *map(at, range(count)))

    return rule


_LISTS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack")
_TENSORS = ("block_diag", "meshgrid", "broadcast_tensors")
_SCATTERED = ("scatter", "scatter_add", "index_add", "index_copy")

for names, positions, keywords in (
    (_LISTS, (0,), ("tensors",)),
    (_TENSORS, range(sys.maxsize), ()),
    (("where",), (1, 2), ("self", "input", "other")),
    (("masked_fill",), (0, 2), ("value",)),
    (("masked_scatter", "index_put"), (0, 2), ("source", "values")),
    (_SCATTERED, (0, 3), ("src", "source", "value")),
    (("slice_scatter", "select_scatter", "diagonal_scatter"), (0, 1), ("src",)),
    (("pad",), (0, 3), ("value",)),
    (("diff",), (0, 3, 4), ("prepend", "append")),
    (("nll_loss",), (0,), ()),
):
    for function in functions_named(*names):
        primitive(function)(_jointly_linear(function, positions, keywords))
