"""Composing the menu by patching what Hydra once composed, which takes a hundredth of its time."""

import pickle
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from descend.menu import FOLDER, choices
from descend.menu.by_hydra import composed
from descend.menu.source import MENU, Source


@lru_cache
def pickled(overrides: tuple[str, ...], with_hydra: bool, source: Source = MENU) -> bytes:
    """Return what Hydra makes of `overrides`, as bytes to copy it from: read once in a process, as modules are."""
    return pickle.dumps(composed(overrides, with_hydra, source))


@lru_cache(maxsize=4096)
def parsed(override: str) -> Override:
    """Return an override as Hydra's grammar reads it."""
    return OverridesParser.create().parse_override(override)


@cache
def standing_alone(group: str, choice: str) -> DictConfig | None:
    """Return what a choice makes of its group's node, its inner choices as it has them.

    None where that is for Hydra: there is none of that name, it builds on others, or it goes elsewhere.
    """
    inner = inner_choices(group, choice)
    if inner is None:
        return None
    nodes = {key.removeprefix(f"{group}."): standing_alone(key, own) for key, own in inner.items()}
    own: Any = OmegaConf.to_container(OmegaConf.load(FOLDER / group / f"{choice}.yaml"))
    own.pop("defaults", None)
    return None if None in nodes.values() or nodes.keys() & own.keys() else OmegaConf.create({**nodes, **own})


@cache
def inner_choices(group: str, choice: str) -> Mapping[str, str] | None:
    """Return what a choice chooses inside its node, by the key of its group: {"objective.data": "digits"}.

    None where there is none of that name, or it builds on others or goes elsewhere.
    """
    if choice not in choices(FOLDER / group):
        return None
    text = (FOLDER / group / f"{choice}.yaml").read_text(encoding="utf-8")
    node = OmegaConf.create(text)
    if not isinstance(node, DictConfig) or "# @package" in text:
        return None
    found = {}
    for default in node.get("defaults", []):
        if not isinstance(default, DictConfig):
            return None
        [(key, own)] = default.items()
        inner, _, package = str(key).partition("@")
        if inner != f"/{group}.{package}":
            return None
        found[inner[1:]] = own
    return found


def patched(overrides: Sequence[str], with_hydra: bool, source: Source = MENU) -> DictConfig | None:
    """Return what `overrides` make of the menu by setting their values in a copy of what the others make.

    None where that is for Hydra: the order in which they come decides, a choice is made from a group that is not of
    this menu, or there is a mistake in them, of which Hydra tells.
    """
    try:
        every = [parsed(text) for text in overrides]
    except HydraException:
        return None
    values = [override for override in every if is_value(override)]
    others = [override for override in every if not is_value(override)]
    added = [override.key_or_group for override in every if override.type != OverrideType.CHANGE]
    if any(overlap(override.key_or_group, key) for override in values for key in added):
        return None
    chosen = tuple(grafts(others).items()) if source.menu else ()
    texts = tuple(str(override.input_line) for override in others)
    config = pickle.loads(grafted(chosen, with_hydra, source) if chosen else pickled(texts, with_hydra, source))
    try:
        for override in values:
            key = override.key_or_group
            if OmegaConf.is_dict(OmegaConf.select(config, key, throw_on_resolution_failure=False)):
                return None
            OmegaConf.update(config, key, override.value(), merge=True)
    except OmegaConfBaseException:
        return None
    if with_hydra:
        tell(config, [override for override in every if not override.is_hydra_override()])
    return config


def grafts(overrides: Sequence[Override]) -> dict[str, str]:
    """Return the choice of each group, if choices that stand alone are all that there is; else nothing.

    A choice inside another's node comes after it.
    """
    if not all(map(chooses_from_group, overrides)):
        return {}
    chosen = {override.key_or_group: str(override.value()) for override in overrides}
    if any(standing_alone(*pair) is None for pair in chosen.items()):
        return {}
    return dict(sorted(chosen.items(), key=lambda pair: pair[0].count(".")))


@lru_cache
def grafted(chosen: tuple[tuple[str, str], ...], with_hydra: bool, source: Source) -> bytes:
    """Return the menu with these choices of its groups, each of which stands alone, as bytes to copy it from.

    Raises:
        HydraException: a choice is made inside a node that has none there.
    """
    config = pickle.loads(pickled((), True, source))
    made = config.hydra.runtime.choices
    with open_dict(config):
        for group, choice in chosen:
            if group not in made:
                return pickled(tuple(f"{key}={value}" for key, value in chosen), with_hydra, source)  # Hydra refuses it
            for inner in [key for key in made if key.startswith(f"{group}.")]:
                del made[inner]
            made.update({group: choice, **(inner_choices(group, choice) or {})})
            OmegaConf.update(config, group, standing_alone(group, choice), merge=False)
        if not with_hydra:
            del config["hydra"]
    return pickle.dumps(config)


def chooses_from_group(override: Override) -> bool:
    """Tell whether an override does no more than choose from a group of the menu."""
    return is_plain(override) and (FOLDER / override.key_or_group).is_dir() and isinstance(override.value(), str)


def is_value(override: Override) -> bool:
    """Tell whether an override sets a value, rather than choosing from a group, adding or deleting."""
    return is_plain(override) and not (FOLDER / override.key_or_group).is_dir()


def is_plain(override: Override) -> bool:
    """Tell whether an override changes what is there already, in the menu itself, to one thing."""
    changes = override.type == OverrideType.CHANGE and override.package is None and not override.is_sweep_override()
    return changes and "/" not in override.key_or_group and not override.is_hydra_override()


def overlap(one: str, other: str) -> bool:
    """Tell whether a key is another, or stands inside it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def tell(config: DictConfig, overrides: Sequence[Override]) -> None:
    """Tell the node `hydra` of overrides, as Hydra does."""
    config.hydra.overrides.task = [override.input_line for override in overrides]
    style = config.hydra.job.config.override_dirname
    config.hydra.job.override_dirname = get_overrides_dirname(
        overrides=list(overrides), kv_sep=style.kv_sep, item_sep=style.item_sep, exclude_keys=style.exclude_keys
    )
