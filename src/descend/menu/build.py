"""From a composed configuration to an experiment and its trackers."""

import dataclasses
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from descend.aggregators.aggregator import Aggregator
from descend.engine.experiment import Experiment
from descend.engine.stopping import Stopping
from descend.errors import ConfigurationError
from descend.menu.fields import check_fields, unknown
from descend.menu.schema import Menu
from descend.metrics.metric import Metric
from descend.objectives.objective import Objective
from descend.optimizers.clipping import Clipping
from descend.optimizers.optimizer import Optimizer
from descend.output.sinks.trackers import Tracker
from descend.schedules.schedule import Schedule

SETTINGS = ("steps", "seed", "dtype", "device", "threads", "compile")
PARTS = {
    "objective": Objective,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "clip": Clipping,
    "aggregator": Aggregator,
}


def build(config: DictConfig, overrides: list[str]) -> Experiment:
    """Return the experiment that a composed configuration describes.

    Args:
        config: the whole configuration, without the `hydra` node.
        overrides: the overrides it was composed with. Where one of them sets a group's `_target_`, only the fields set
            by other overrides go with it: the rest belong to the class it replaced.

    Raises:
        ConfigurationError: a field does not exist, has a value of the wrong type, or was refused by its class.
    """
    given = plain(config)
    parts = {group: make(group, retargeted(group, given[group], overrides), base) for group, base in PARTS.items()}
    nodes = {f"metrics.{name}": node for name, node in (given["metrics"] or {}).items()}
    # `order` is no metric: the others refer to it.
    asked = {name: node for name, node in (given["derivatives"] or {}).items() if name != "order"}
    nodes |= {f"derivatives.{name}": node for name, node in asked.items()}
    metrics = {path: make(path, node, Metric) for path, node in nodes.items() if node}
    check_fields("stop", Stopping, given["stop"])
    settings = {name: given[name] for name in SETTINGS}
    values = tuple(given["claims"])
    return Experiment(**parts, metrics=metrics, stop=Stopping(**given["stop"]), values=values, **settings)


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain dicts, lists and numbers.

    Raises:
        ConfigurationError: the menu has no such top-level key.
    """
    container: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    known = [field.name for field in dataclasses.fields(Menu)]
    for key in container:
        if key not in known:
            raise ConfigurationError(unknown(key, key, known, "the menu has"))
    return container


def trackers(config: DictConfig) -> dict[str, Tracker]:
    """Return the trackers that the configuration names, each waiting for the run's folder."""
    given: Any = OmegaConf.to_container(config.tracker, resolve=True)
    return {name: make(f"tracker.{name}", node, object) for name, node in given.items() if node}


def retargeted(group: str, node: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """Return a group's node, without the fields of a class that an override of `_target_` replaced."""
    keys = {override.lstrip("+").split("=", 1)[0] for override in overrides}
    if f"{group}._target_" not in keys:
        return node
    set_by_user = {key.removeprefix(f"{group}.").split(".")[0] for key in keys if key.startswith(f"{group}.")}
    return {name: value for name, value in node.items() if name in set_by_user}


def make(path: str, node: Any, base: type) -> Any:
    """Return the object that a node's `_target_` names, which must be a `base`, made of the node's other fields."""
    check_node(path, node)
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigurationError(f"{path} names no class; give it one: {path}._target_=module.Class.")
    target = named(path, node["_target_"])
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


def check_node(path: str, value: Any) -> None:
    """Hold every node inside `value` that names a class against the fields of that class."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            check_node(f"{path}[{i}]", item)
    if isinstance(value, Mapping):
        if "_target_" in value:
            given = {name: item for name, item in value.items() if not name.startswith("_")}
            check_fields(path, named(path, value["_target_"]), given)
        for name, item in value.items():
            check_node(f"{path}.{name}", item)


def named(path: str, target: Any) -> Any:
    """Return the class or function of a dotted name."""
    module, _, name = str(target).rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:  # a user's own module may raise anything
        raise ConfigurationError(
            f"{path}._target_ is {target!r}, but importing that raised {type(error).__name__}: {error}; "
            "check its spelling, and that its file lies in the folder you are in or on PYTHONPATH."
        ) from error


def explain(path: str, error: BaseException) -> str:
    """Return the sentence of a failed instantiation: our own where there is one, else the root of it all."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, ConfigurationError):
        cause = cause.__cause__
    if isinstance(cause, ConfigurationError):
        return str(cause)
    reason = " ".join(str(cause).split()).rstrip(".")
    return f"{path} could not be made: {type(cause).__name__}: {reason}; check its fields."
