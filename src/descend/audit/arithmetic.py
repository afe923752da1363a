"""The elementary functions of numbers that are not floats: mpmath's, with many digits, and sympy's symbols."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

Array = np.ndarray
"""An array of dtype object that holds the other numbers."""

ELEMENTARY = (
    *("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("asinh", "acosh", "atanh", "erf"),
)
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


class Untranslated(Exception):
    """An operation that the other numbers lack, or that is not written here."""


class Arithmetic:
    """The meaning of torch's elementwise functions of one and of two arguments, by name, for another kind of number.

    Args:
        functions: the module or context with exp, log, tanh and the like.
        number: makes a number from a Python float, exactly.
        decides: whether two numbers can be compared; symbols cannot, so they have no max, abs or round.
    """

    def __init__(self, functions: Any, number: Callable[[float], Any], decides: bool) -> None:
        self.number, self.decides = number, decides
        exp, log, sqrt = functions.exp, functions.log, functions.sqrt
        zero, one, two, ten = (number(value) for value in (0.0, 1.0, 2.0, 10.0))
        self.unary: dict[str, Callable[[Any], Any]] = {
            **{name: getattr(functions, name) for name in ELEMENTARY},
            "neg": operator.neg,
            "reciprocal": lambda x: one / x,
            "rsqrt": lambda x: one / sqrt(x),
            "expm1": lambda x: exp(x) - one,
            "log1p": lambda x: log(one + x),
            "log2": lambda x: log(x) / log(two),
            "log10": lambda x: log(x) / log(ten),
            "sigmoid": lambda x: one / (one + exp(-x)),
        }
        self.binary: dict[str, Callable[[Any, Any], Any]] = {
            "mul": operator.mul,
            "div": operator.truediv,
            "pow": operator.pow,
            "hypot": lambda x, y: sqrt(x * x + y * y),
        }
        if decides:
            self.unary |= {"relu": lambda x: max(x, zero), "abs": abs, "sign": functions.sign}
            self.unary |= {"round": functions.nint, "floor": functions.floor, "ceil": functions.ceil}
            self.unary |= {"trunc": lambda x: functions.sign(x) * functions.floor(abs(x))}
            self.unary |= {"erfc": functions.erfc, "digamma": functions.digamma, "lgamma": functions.loggamma}
            self.binary |= {"maximum": max, "minimum": min}
            self.binary |= {name: getattr(operator, name) for name in COMPARISONS}

    def array(self, value: Array | Tensor | float) -> Array:
        """A tensor or number as an array of these numbers."""
        if isinstance(value, np.ndarray):
            return value
        plain = value.double().numpy(force=True) if isinstance(value, Tensor) else np.asarray(value, dtype=float)
        return elementwise(lambda x: self.number(float(x)), plain)


def elementwise(function: Callable[..., Any], *arrays: Array) -> Array:
    """`function` of each element, broadcast."""
    result = np.frompyfunc(function, len(arrays), 1)(*arrays)
    return np.asarray(result, dtype=object)
