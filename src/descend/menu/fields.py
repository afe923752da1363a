"""A node of the menu held against the class it names, so that a mistake is told by its field."""

import dataclasses
import difflib
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from descend.errors import ConfigurationError

NUMBERS = (int, float)


def check_fields(path: str, target: Callable[..., Any], given: dict[str, Any]) -> None:
    """Require that every field given exists in the class or function `target` and holds a value of its type.

    Only fields annotated with plain types (bool, int, float, str, None and unions and sequences of them) are checked;
    a class checks its fields of other types itself.

    Raises:
        ConfigurationError: naming `path`, the field, what was found and what was expected.
    """
    hints = fields(target)
    for name, value in given.items():
        if not (value == math.inf and may_be_infinite(target, name)):
            check_finite(f"{path}.{name}" if path else name, value)
        if hints is not None and name not in hints:
            raise ConfigurationError(unknown(f"{path}.{name}", name, hints, f"{target.__name__} has the fields"))
        if hints is not None and not fits(value, hints[name]):
            raise ConfigurationError(
                f"{path}.{name} is {short(repr(value))}, but {target.__name__} expects {spelled(hints[name])} there; "
                "change that value."
            )


def may_be_infinite(target: Any, name: str) -> bool:
    """Tell whether a class says of a field that infinity means something there: all examples, say."""
    own = dataclasses.fields(target) if dataclasses.is_dataclass(target) else ()
    return any(field.name == name and field.metadata.get("infinite") for field in own)


def check_finite(path: str, value: Any) -> None:
    """Require that a number is one that a float or an int64 of torch holds; 1e400, say, is read as infinite.

    Raises:
        ConfigurationError: naming `path` and what was found.
    """
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            check_finite(f"{path}[{i}]", item)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"{path} is {value}, but it must be a finite number; change that value.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ConfigurationError(
            f"{path} is a whole number of {len(str(abs(value)))} digits, but whole numbers end at 2^63, about 9.2e18; "
            "change that value."
        )


def fields(target: Callable[..., Any]) -> dict[str, Any] | None:
    """Return the fields of a class or the parameters of a function with their types; None where any name is taken."""
    if dataclasses.is_dataclass(target):
        names = [field.name for field in dataclasses.fields(target) if field.init]
        return annotated(target, names)
    try:
        parameters = inspect.signature(target).parameters
    except (ValueError, TypeError):  # a function written in C, or nothing that can be called
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return annotated(target.__init__ if inspect.isclass(target) else target, list(parameters))


def annotated(owner: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the type of each name where it can be known: some annotations are there for type checkers alone."""
    try:
        hints = typing.get_type_hints(owner)
    except NameError:
        hints = {}
    return {name: hints.get(name, Any) for name in names}


def short(text: str, most: int = 80) -> str:
    """Return a text, cut where it is longer than a message should repeat."""
    return text if len(text) <= most else f"{text[:most]}…"


def unknown(path: str, name: str, known: Iterable[str], has: str) -> str:
    """Return a sentence on a name that does not exist, with the ones that do and the nearest of them."""
    known = sorted(set(known))
    path, name = short(path, 120), short(name)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    nearest = f" Did you mean {close[0]!r}?" if close else ""
    there = f"{has} {', '.join(known)}" if known else "nothing can be set there"
    return f"{path} does not exist: {there}.{nearest}"


def fits(value: Any, hint: Any) -> bool:
    """Tell whether a value read from YAML may stand in a field annotated `hint`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return any(fits(value, argument) for argument in arguments)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        pairs = zip(value, arguments, strict=False) if isinstance(value, list | tuple) else ()
        return isinstance(value, list | tuple) and len(value) == len(arguments) and all(fits(v, a) for v, a in pairs)
    if origin in (tuple, list, typing.get_origin(typing.Sequence[int])):
        return isinstance(value, list | tuple) and all(fits(item, arguments[0]) for item in value)
    if hint is float:
        return isinstance(value, NUMBERS) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint is type(None):
        return value is None
    if part_classes(hint):
        return not isinstance(value, bool | int | float | str | list | None)  # a node that names a class, or an object
    return True


def part_classes(hint: Any) -> tuple[type, ...]:
    """Return the classes among an annotation's that are parts of an experiment: dataclasses and abstract classes."""
    hints = typing.get_args(hint) if is_union(hint) else (hint,)
    return tuple(h for h in hints if inspect.isclass(h) and (dataclasses.is_dataclass(h) or inspect.isabstract(h)))


def named_parts(hint: Any) -> tuple[type, ...]:
    """Return the parts of an experiment that an annotation lets stand under any name: `Mapping[str, Part | None]`."""
    values = typing.get_args(hint)[1:] if typing.get_origin(hint) in (dict, Mapping) else ()
    return part_classes(values[0]) if values else ()


def is_union(hint: Any) -> bool:
    """Tell whether an annotation names several types."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def spelled(hint: Any) -> str:
    """Return a type annotation in words a user knows from YAML."""
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "null"}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_union(hint):
        return " or ".join(spelled(argument) for argument in arguments)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        return f"a list of {len(arguments)}: {', '.join(spelled(argument) for argument in arguments)}"
    if arguments:
        return f"a list with {spelled(arguments[0])} in each place"
    return names.get(hint, getattr(hint, "__name__", str(hint)))
