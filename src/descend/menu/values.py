"""The values of a composed configuration, in the types that fields want."""

import typing
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from descend.menu.compose import composing
from descend.menu.fields import fits, is_union

EXACT = 2**53
"""Whole numbers up to this one are exact in float64; torch takes no larger ones than 2**63 where it wants a number."""


class Environment(str):
    """A text that an environment variable gave: a number where one is expected."""


def resolved(config: Any) -> Any:
    """Return a configuration, or a node of one, as plain dicts, lists and values, its interpolations followed.

    Raises:
        ConfigurationError: an interpolation leads nowhere, or a value is missing.
    """
    if not OmegaConf.is_config(config):
        return config
    with composing():
        raw = OmegaConf.to_container(config, resolve=False)
        found: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        return marked(raw, found)


def marked(raw: Any, found: Any) -> Any:
    """Return the values found, with the texts among them marked that an environment variable gave."""
    if isinstance(found, dict) and isinstance(raw, dict):
        return {key: marked(raw[key], value) for key, value in found.items()}
    if isinstance(found, list) and isinstance(raw, list):
        return [marked(*pair) for pair in zip(raw, found, strict=True)]
    return Environment(found) if isinstance(found, str) and "${oc.env:" in str(raw) else found


def as_annotated(value: Any, hint: Any) -> Any:
    """Return a value as a field annotated `hint` wants it, where it is that value in another type.

    A text of the environment is read as it would be on the command line; a whole number that torch cannot take becomes
    a float where one is expected.
    """
    if isinstance(value, Environment):
        read = typed(value)
        return as_annotated(read, hint) if fits(read, hint) else str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > EXACT and takes_float(hint):
        try:
            return float(value)
        except OverflowError:
            return value
    if isinstance(value, list) and isinstance(typing.get_origin(hint), type):
        return elements(value, hint)
    return value


def elements(values: Sequence[Any], hint: Any) -> list[Any]:
    """Return the elements of a list as an annotation of a sequence wants them."""
    arguments = typing.get_args(hint)
    if len(arguments) == len(values) and Ellipsis not in arguments:
        return [as_annotated(*pair) for pair in zip(values, arguments, strict=True)]
    return [as_annotated(value, arguments[0]) for value in values] if arguments else list(values)


def typed(text: str) -> Any:
    """Return what a text would be as a value on the command line; the text where it cannot be read."""
    try:
        return OverridesParser.create().parse_override(f"x={text}").value()
    except HydraException:
        return str(text)


def takes_float(hint: Any) -> bool:
    """Tell whether a number in a field is a float."""
    return hint is float or (is_union(hint) and float in typing.get_args(hint) and int not in typing.get_args(hint))
