"""Torch functions that need no series: those that only look at the shape, and those with no derivative to carry."""

from descend.derivatives.series.rules import functions_named, getter

_PROPERTIES = (
    *("shape", "dtype", "device", "ndim", "layout", "grad", "grad_fn", "is_leaf", "is_sparse", "is_nested"),
    *("is_quantized", "is_meta", "is_cpu", "is_cuda", "itemsize", "nbytes", "output_nr"),
)
_SHAPE = ("size", "dim", "ndimension", "numel", "nelement", "__len__", "stride", "is_contiguous", "get_device")
_DTYPE = ("is_floating_point", "is_complex", "is_signed", "result_type", "can_cast", "element_size", "__hash__")

METADATA = {
    *map(getter, _PROPERTIES),
    *functions_named(*_SHAPE, *_DTYPE),
}
"""Answered from the shape, dtype and device of x_0."""

_STEPS = ("sign", "sgn", "signbit", "floor", "ceil", "round", "trunc", "fix", "heaviside", "floor_divide")
_ORDER = ("argmax", "argmin", "argsort", "searchsorted", "bucketize", "count_nonzero", "nonzero")
_COMPARISONS = (
    *("eq", "ne", "lt", "le", "gt", "ge", "isclose", "equal", "allclose", "greater", "greater_equal"),
    *("less", "less_equal", "not_equal", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"),
)
_TESTS = (
    *("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "any", "all", "is_nonzero", "logical_not"),
    *("logical_and", "logical_or", "logical_xor", "__floordiv__", "__rfloordiv__", "__contains__"),
)
_PYTHON = ("item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__index__", "__repr__", "__format__")
_NEW = (
    *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "randint_like"),
    *("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "bernoulli"),
)

CONSTANT = {
    getter("data"),
    *functions_named("detach", *_STEPS, *_ORDER, *_COMPARISONS, *_TESTS, *_PYTHON, *_NEW),
}
"""Computed on x_0 alone: piecewise constant functions, whose derivative is 0, and functions that detach on purpose."""
