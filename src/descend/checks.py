"""Range checks for the fields of configured objects, each failing in one whole sentence."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from descend.errors import ConfigurationError


def check_number(
    owner: Any,
    field: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> None:
    """Require that `owner.field` is a number within the stated bounds.

    Raises:
        ConfigurationError: naming the class, the field, the value found and the range expected.
    """
    value = getattr(owner, field)
    check_value(f"{type(owner).__name__}.{field}", value, above=above, at_least=at_least, below=below, at_most=at_most)


def check_pair(owner: Any, field: str, **bounds: float) -> None:
    """Require that `owner.field` is two numbers, each within the bounds of `check_number`, and keep it as a tuple."""
    value = getattr(owner, field)
    name = f"{type(owner).__name__}.{field}"
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise ConfigurationError(f"{name} is {value!r}, but it must be a pair of numbers; write {field}: [a, b].")
    for i, element in enumerate(value):
        check_value(f"{name}[{i}]", element, **bounds)
    object.__setattr__(owner, field, tuple(value))


def check_value(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> None:
    """Like `check_number`, for a value that is not a field of its own (an element of a pair, say)."""
    # A sweep checks every number of every run: what is right passes without a text being made.
    number = type(value) is float or (isinstance(value, Real) and not isinstance(value, bool))
    if (
        number
        and (above is None or value > above)
        and (at_least is None or value >= at_least)
        and (below is None or value < below)
        and (at_most is None or value <= at_most)
    ):
        return
    bounds = {"above": above, "at least": at_least, "below": below, "at most": at_most}
    expected = " and ".join(f"{text} {bound}" for text, bound in bounds.items() if bound is not None) or "a number"
    raise ConfigurationError(f"{name} is {value!r}, but it must be {expected}; change that value.")
