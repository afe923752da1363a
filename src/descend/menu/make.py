"""From a node of a configuration to the object that it describes: an objective, an optimizer, any part."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate

from descend.errors import ConfigurationError, never_exits
from descend.graph.generators import seeded
from descend.menu.fields import check_fields, fields, named_parts, part_classes, short
from descend.menu.values import as_annotated

DRAWN = 0
"""The seed of what the user's code draws while it is imported and made; that of a run decides its start."""


def retargeted(group: str, node: Any, overrides: list[str]) -> Any:
    """Return a group's node, without the fields of classes, at any depth, that an override of `_target_` replaced."""
    if not isinstance(node, Mapping):
        return node
    keys = {override.lstrip("+").split("=", 1)[0] for override in overrides}
    own = {key.removeprefix(f"{group}.").split(".")[0] for key in keys if key.startswith(f"{group}.")}
    if f"{group}._target_" in keys:
        node = {name: value for name, value in node.items() if name in own or name == "_partial_"}
    return {name: retargeted(f"{group}.{name}", value, overrides) for name, value in node.items()}


@seeded(DRAWN)
def make(path: str, node: Any, base: type) -> Any:
    """Return the object that a node's `_target_` names, which must be a `base`, made of the node's other fields.

    What the user's own code draws from the global generators while it is imported and made (data, say) is the same
    each time: the runs of a sweep, and a run that is resumed or loaded, have what the run alone has.
    """
    node = checked_node(path, node)
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigurationError(f"{path} names no class; give it one: {path}._target_=module.Class.")
    target = imported(path, node["_target_"])
    refusal = (
        f"{path}._target_ is {node['_target_']}, but only a subclass of {base.__module__}.{base.__name__} can stand "
        "there; let it inherit from that class."
    )
    if inspect.isclass(target) and not issubclass(target, base):
        raise ConfigurationError(refusal)
    try:
        made = instantiate(node, _convert_="all")
    except HydraException as error:
        raise ConfigurationError(explain(path, error)) from error
    if not isinstance(made, base):
        raise ConfigurationError(refusal)
    return made


def checked_node(path: str, value: Any) -> Any:
    """Return a node with its values as its class wants them, every class inside it held against its fields."""
    if isinstance(value, list):
        return [checked_node(f"{path}[{i}]", item) for i, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    inner = {name: checked_node(f"{path}.{name}", item) for name, item in value.items()}
    if "_target_" not in inner:
        return inner
    own = {name: item for name, item in inner.items() if not str(name).startswith("_")}
    return inner | checked_fields(path, imported(path, inner["_target_"]), own)


def checked_fields(path: str, target: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields given to a class or function, as it wants them.

    Raises:
        ConfigurationError: see `check_fields`.
    """
    hints = fields(target) or {}
    given = {name: with_class(f"{path}.{name}", value, hints.get(name, Any)) for name, value in given.items()}
    converted = {name: as_annotated(value, hints.get(name, Any)) for name, value in given.items()}
    check_fields(path, target, converted)
    for name, value in converted.items():
        hint = hints.get(name, Any)
        check_kind(f"{path}.{name}", value, part_classes(hint))
        for inner, part in value.items() if named_parts(hint) and isinstance(value, Mapping) else ():
            check_part(f"{path}.{name}.{inner}", part, named_parts(hint))
    return converted


def with_class(path: str, value: Any, hint: Any) -> Any:
    """Return parts of any name with the class of those that name none, where a single class can stand there."""
    kinds = named_parts(hint)
    if len(kinds) != 1 or inspect.isabstract(kinds[0]) or not isinstance(value, Mapping):
        return value
    known = {"_target_": f"{kinds[0].__module__}.{kinds[0].__qualname__}"}
    bare = {name for name, part in value.items() if isinstance(part, Mapping) and "_target_" not in part}
    return {
        name: checked_node(f"{path}.{name}", known | part) if name in bare else part for name, part in value.items()
    }


def check_part(path: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Require that a part of any name is null, or names a class of its kind.

    Raises:
        ConfigurationError: it names another, or none.
    """
    if isinstance(value, (*kinds, type(None))):
        return
    if not isinstance(value, Mapping) or "_target_" not in value:
        raise ConfigurationError(
            f"{path} is {short(repr(value))}, but it must name a class by its _target_, or be null; check its name."
        )
    check_kind(path, value, kinds)


def check_kind(path: str, value: Any, kinds: tuple[type, ...]) -> None:
    """Require that a node inside a part names a class of the kind that its field holds, if that is known.

    Raises:
        ConfigurationError: it names another, or a function.
    """
    if not kinds or not isinstance(value, Mapping) or "_target_" not in value:
        return
    target = imported(path, value["_target_"])
    if not inspect.isclass(target) or not issubclass(target, kinds):
        expected = " or ".join(f"{kind.__module__}.{kind.__name__}" for kind in kinds)
        raise ConfigurationError(
            f"{path}._target_ is {short(str(value['_target_']))}, but only a subclass of {expected} can stand there; "
            "let it inherit from that class."
        )


def imported(path: str, target: Any) -> Any:
    """Return the class or function of a dotted name."""
    module, _, name = str(target).rpartition(".")
    try:
        with never_exits():
            return getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's own module may raise anything
        raise ConfigurationError(
            f"{path}._target_ is {short(repr(target))}, but importing that raised {type(error).__name__}: {error}; "
            "check its spelling, and that its file lies in the folder you are in or on PYTHONPATH."
        ) from error


def explain(path: str, error: BaseException) -> str:
    """Return the sentence of a failed instantiation: our own where there is one, else the root of it all."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, ConfigurationError):
        cause = cause.__cause__
    if isinstance(cause, ConfigurationError):
        return str(cause)
    reason = short(" ".join(str(cause).split()).rstrip("."), 300)
    return f"{path} could not be made: {type(cause).__name__}: {reason}; check its fields."
