"""A user's autograd.Function applied to a series: its own backward, differentiated again, gives the coefficients.

Function.apply bypasses torch's function protocol. Without this file it would run the user's forward on the series,
operation by operation, and ignore the user's backward: silently wrong for a straight-through estimator.

A Function whose backward is not linear in its incoming gradient is not the derivative of any function, so it has no
series. Such a Function says so in a sentence, `declines_series`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from descend.derivatives.series.fallback import differentiate_nested
from descend.derivatives.series.series import deepest_variable
from descend.errors import ConfigurationError
from descend.graph.compat import SingleLevelFunction


def _apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
    original = super(SingleLevelFunction, cls).apply
    t = deepest_variable((args, kwargs))
    if t is None:
        return original(*args, **kwargs)
    if cls.__dict__.get("declines_series"):
        raise ConfigurationError(f"{cls.__qualname__} has no Taylor series: {cls.declines_series}")
    return differentiate_nested(t, _named(cls), args, kwargs, own_derivative=True)


def _named(cls: Any) -> Callable:
    def apply(*args: Any, **kwargs: Any) -> Any:
        return cls.apply(*args, **kwargs)

    apply.__qualname__ = f"{cls.__qualname__}.apply"
    return apply


@contextmanager
def custom_functions_intercepted() -> Iterator[None]:
    """In this context `apply` of every autograd.Function, even one bound earlier, differentiates series by nesting."""
    before = SingleLevelFunction.__dict__.get("apply")
    SingleLevelFunction.apply = classmethod(_apply)
    try:
        yield
    finally:
        if before is None:
            del SingleLevelFunction.apply
        else:
            SingleLevelFunction.apply = before
