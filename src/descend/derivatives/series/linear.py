"""Functions linear in their tensor argument: the coefficients go through one by one, or all in one call."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series.rules import decomposition, functions_named, getter, primitive
from descend.derivatives.series.series import Series, Variable
from descend.graph.compat import pytree


def rowwise(t: Variable, func: Callable[[Tensor], Any], rows: Tensor) -> Any:
    """`func` of each coefficient, whatever tree of tensors it returns, stacked into series again."""
    results = [func(row) for row in rows.unbind(0)]
    return pytree.tree_map(lambda *leaves: t.series(torch.stack(leaves)), *results)


def _linear_in_first(func: Callable) -> Callable[..., Any]:
    def rule(t: Variable, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = pytree.tree_map(t.constant_term, (args, kwargs))
        if t.owns(x):
            return rowwise(t, lambda row: func(row, *args, **kwargs), x.coefficients)
        return func(x, *args, **kwargs)

    return rule


_SHAPES = (
    *("permute", "movedim", "moveaxis", "swapaxes", "swapdims", "expand", "expand_as", "repeat", "tile", "flatten"),
    *("unflatten", "ravel", "broadcast_to", "repeat_interleave", "view_as", "reshape_as", "flip", "fliplr", "flipud"),
    *("roll", "rot90", "contiguous", "clone", "to", "type_as", "double", "float", "cpu", "adjoint"),
    *("atleast_1d", "atleast_2d", "atleast_3d", "view_as_real", "view_as_complex", "real", "imag"),
)
_PARTS = (
    *("unbind", "split", "chunk", "tensor_split", "split_with_sizes", "narrow", "select", "gather", "index_select"),
    *("take", "take_along_dim", "masked_select", "diag", "diagonal", "diag_embed", "tril", "triu", "unfold"),
)
_SUMS = (
    *("cumsum", "trace", "sum_to_size", "pixel_shuffle", "pixel_unshuffle", "interpolate", "fold"),
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d"),
)

for function in functions_named(*_SHAPES, *_PARTS, *_SUMS):
    primitive(function)(_linear_in_first(function))
for transform in (torch.fft.fft, torch.fft.ifft, torch.fft.rfft, torch.fft.irfft, torch.fft.fft2, torch.fft.ifft2):
    primitive(transform)(_linear_in_first(transform))


@primitive(*functions_named("reshape", "view"))
def reshape(t: Variable, x: Series, *sizes: Any, shape: Any = None) -> Tensor:
    """The same entries in another shape."""
    shape = sizes if shape is None else shape
    shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
    return t.series(x.coefficients.reshape(x.coefficients.shape[0], *shape))


@primitive(*functions_named("transpose"))
def transpose(t: Variable, x: Series, dim0: int, dim1: int) -> Tensor:
    """Two axes swapped."""
    return t.series(x.coefficients.transpose(_axis(x, dim0), _axis(x, dim1)))


@primitive(*functions_named("t"), getter("T"))
def reverse_axes(t: Variable, x: Series) -> Tensor:
    """The axes in reverse order."""
    return t.series(x.coefficients.permute(0, *range(x.dim(), 0, -1)))


@primitive(getter("real"))
def real_rule(t: Variable, x: Series) -> Tensor:
    """The real part."""
    return t.series(x.coefficients.real)


@primitive(getter("imag"))
def imaginary(t: Variable, x: Series) -> Tensor:
    """The imaginary part."""
    return t.series(x.coefficients.imag)


@primitive(getter("mT"))
def matrix_transpose(t: Variable, x: Series) -> Tensor:
    """The last two axes swapped."""
    return t.series(x.coefficients.mT)


@primitive(*functions_named("unsqueeze"))
def unsqueeze(t: Variable, x: Series, dim: int) -> Tensor:
    """A new axis of length one."""
    return t.series(x.coefficients.unsqueeze(dim + 1 if dim >= 0 else dim))


@primitive(*functions_named("squeeze"))
def squeeze(t: Variable, x: Series, dim: Any = None) -> Tensor:
    """Axes of length one left out."""
    if dim is None:
        return t.series(x.coefficients.reshape(x.coefficients.shape[0], *(n for n in x.shape if n != 1)))
    return t.series(x.coefficients.squeeze(_axes(x, dim))) if dim != () else x


@primitive(Tensor.__getitem__)
def getitem(t: Variable, x: Series, index: Any) -> Tensor:
    """x[index]; tensors in the index select by torch's own rules, row by row."""
    parts = index if isinstance(index, tuple) else (index,)
    if all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts):
        return t.series(x.coefficients[(slice(None), *parts)])
    return rowwise(t, lambda row: row[index], x.coefficients)


@decomposition(F.embedding)
def embedding(indices: Tensor, weight: Tensor, padding_idx: int | None = None, *args: Any, **kwargs: Any) -> Tensor:
    """Rows of the weight; the one at `padding_idx` counts as a constant. Renormalised rows are left to torch."""
    if kwargs.get("max_norm") is not None or args:
        return NotImplemented
    rows = weight[indices]
    if padding_idx is None:
        return rows
    padding = (indices == padding_idx % weight.shape[0]).unsqueeze(-1)
    return torch.where(padding, rows.detach(), rows)


@primitive(*functions_named("sum"))
def sum_rule(
    t: Variable, x: Series, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """Sum over some axes, or all."""
    axes = _axes(x, dim)
    return t.series(x.coefficients.sum(axes, keepdim, dtype=dtype) if axes else x.coefficients)


@primitive(*functions_named("mean"))
def mean(t: Variable, x: Series, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Tensor:
    """Mean over some axes, or all."""
    axes = _axes(x, dim)
    return t.series(x.coefficients.mean(axes, keepdim, dtype=dtype) if axes else x.coefficients)


def _axis(x: Tensor, dim: int) -> int:
    return dim % max(x.dim(), 1) + 1


def _axes(x: Tensor, dim: Any) -> tuple[int, ...]:
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(1, x.dim() + 1))
    return tuple(_axis(x, each) for each in ((dim,) if isinstance(dim, int) else dim)) if x.dim() else ()
