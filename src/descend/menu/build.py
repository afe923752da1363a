"""From a composed configuration to an experiment and its trackers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from descend.aggregators.aggregator import Aggregator
from descend.engine.checkpoint import Every
from descend.engine.experiment import Experiment
from descend.engine.stopping import Stopping
from descend.errors import ConfigurationError
from descend.menu.compose import about
from descend.menu.fields import short, unknown
from descend.menu.make import checked_fields, checked_node, imported, make, retargeted
from descend.menu.schema import Checkpoint, Evaluating, Menu
from descend.menu.values import resolved
from descend.metrics.metric import Metric
from descend.objectives.objective import Objective
from descend.optimizers.clipping import Clipping
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.wrappers.wrapper import Wrapper
from descend.output.sinks.trackers import Tracker
from descend.schedules.schedule import Schedule

NOT_NEEDED = ("metrics", "derivatives", "tracker", "sweep", "claims", "checkpoint", "evaluate", "wrap")
"""Top-level keys that may be missing."""

MOST_THREADS = 1024

SETTINGS = ("steps", "seed", "dtype", "device", "threads", "accumulate", "precision", "compile")
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
    given = as_plain(config)
    parts = {group: make(group, retargeted(group, given[group], overrides), base) for group, base in PARTS.items()}
    for name, node in table("wrap", given).items():
        if node:
            wrapper = make(f"wrap.{name}", retargeted(f"wrap.{name}", node, overrides), Wrapper)
            parts["optimizer"] = dataclasses.replace(wrapper, inner=parts["optimizer"])
    nodes = {f"metrics.{name}": node for name, node in table("metrics", given).items()}
    # `order` is no metric: the others refer to it.
    asked = {name: node for name, node in table("derivatives", given).items() if name != "order"}
    nodes |= {f"derivatives.{name}": node for name, node in asked.items()}
    metrics = {path: make(path, node, Metric) for path, node in nodes.items() if node}
    stop = checked_fields("stop", Stopping, table("stop", given))
    settings = checked_fields("", Menu, {name: given[name] for name in SETTINGS})
    check_op(config, given, overrides)
    check_evaluate(config, given, overrides)
    if isinstance(settings["threads"], int) and settings["threads"] > MOST_THREADS:
        raise ConfigurationError(f"threads is {settings['threads']:,}, but torch takes {MOST_THREADS:,} at most.")
    if settings["compile"] not in ("auto", True, False):
        raise ConfigurationError(f"compile is {settings['compile']!r}, but it must be auto, true or false.")
    values = tuple(table("claims", given))
    return Experiment(**parts, metrics=metrics, stop=Stopping(**stop), values=values, **settings)


def check_op(config: DictConfig, given: Mapping[str, Any], overrides: list[str]) -> None:
    """Require that the op is right, and that one which was asked for is in use: an objective takes it by `${op}`.

    Raises:
        ConfigurationError: naming the field of the op, or the override that would have no effect.
    """
    checked_node("op", given["op"])
    asked = [text for text in overrides if about(text, "op")]
    if asked and "${op" not in str(OmegaConf.to_container(config.objective, resolve=False)):
        raise ConfigurationError(
            f"{short(asked[0])} is given, but the objective takes no op; choose one that does, as digits_mlp or "
            "op_at_point, or remove it."
        )


def check_evaluate(config: DictConfig, given: Mapping[str, Any], overrides: list[str]) -> None:
    """Require that what `evaluate` asks for is right, and that a metric takes it.

    Raises:
        ConfigurationError: naming the field, or the override that would have no effect.
    """
    checked_fields("evaluate", Evaluating, table("evaluate", given))
    asked = [text for text in overrides if about(text, "evaluate")]
    if asked and "${evaluate" not in str(OmegaConf.to_container(config.metrics, resolve=False)):
        raise ConfigurationError(
            f"{short(asked[0])} is given, but the metrics hold no test_metrics that would take it; choose "
            "metrics=default, or remove it."
        )


def table(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node that is a mapping, empty where it is null.

    Raises:
        ConfigurationError: it is something else.
    """
    node = given[key]
    if node is not None and not isinstance(node, dict):
        raise ConfigurationError(f"{key} is {short(repr(node))}, but it must have names with values; see --cfg job.")
    return node or {}


def as_plain(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration as plain dicts, lists and numbers.

    Raises:
        ConfigurationError: the menu has no such top-level key, or one that every run needs was taken away.
    """
    container = resolved(config)
    known = [field.name for field in dataclasses.fields(Menu)]
    for key in container:
        if key not in known:
            raise ConfigurationError(unknown(str(key), str(key), known, "the menu has"))
    container = dict.fromkeys(NOT_NEEDED) | container
    for key in known:
        if key not in container:
            raise ConfigurationError(f"{key} was removed, but every run needs it; remove ~{key}, or set it.")
    return container


def trackers(config: DictConfig) -> dict[str, Tracker]:
    """Return the trackers that the configuration names, each waiting for the run's folder.

    Raises:
        ConfigurationError: one is no class with the methods `write` and `close`, or is not made by `_partial_: true`.
    """
    nodes = table("tracker", {"tracker": resolved(config.get("tracker"))})
    made = {}
    for name, node in nodes.items():
        path = f"tracker.{name}"
        if not node:
            continue
        target = imported(path, node["_target_"]) if isinstance(node, dict) and "_target_" in node else None
        if target is not None and not all(hasattr(target, method) for method in ("write", "close")):
            raise ConfigurationError(
                f"{path}._target_ is {short(str(node['_target_']))}, but a tracker is a class with the methods "
                "write and close; name one, as descend.output.sinks.parquet.Parquet."
            )
        if target is not None and node.get("_partial_") is not True:
            raise ConfigurationError(f"{path} waits for the run's folder, so it needs _partial_: true; add that.")
        made[name] = make(path, node, object)
    return made


def checkpoints(config: DictConfig) -> Every:
    """Return how often the configuration wants a checkpoint.

    Raises:
        ConfigurationError: `checkpoint.every` is none of what it may be, or there is a field that does not exist.
    """
    node = table("checkpoint", {"checkpoint": resolved(config.get("checkpoint"))})
    return Every.of(checked_fields("checkpoint", Checkpoint, node).get("every", Checkpoint.every))


def snapshots(config: DictConfig) -> int | None:
    """Return the most snapshots of the parameters that a run keeps by its configuration; None where it says `auto`.

    Raises:
        ConfigurationError: `checkpoint.snapshots` is neither `auto` nor a whole number of at least 0.
    """
    node = table("checkpoint", {"checkpoint": resolved(config.get("checkpoint"))})
    asked = node.get("snapshots", Checkpoint.snapshots)
    if asked == "auto":
        return None
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 0:
        raise ConfigurationError(
            f"checkpoint.snapshots is {asked!r}, but it must be auto, or the most that are kept (64, say; 0 for none)."
        )
    return asked
