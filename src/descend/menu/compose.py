"""Composing the menu, and telling in a sentence why it cannot be composed."""

import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.fields import unknown
from descend.menu.schema import register

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

MISTAKES = (HydraException, OmegaConfBaseException, ConfigurationError, ValueError)
"""What a wrong override or choice raises; Hydra itself raises a bare ValueError for a choice that is a number."""


def compose(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Return the configuration that `overrides` make of the menu.

    What only sets values is set in a copy of what Hydra once made of the rest: that takes a fiftieth of its time.

    Args:
        with_hydra: keep the node `hydra`, which says how runs are swept and where they go.

    Raises:
        ConfigurationError: saying what is wrong with an override.
    """
    GlobalHydra.instance().clear()
    try:
        config = patched(overrides, with_hydra)
        return composed(overrides, with_hydra) if config is None else config
    except MISTAKES as error:
        raise ConfigurationError(sentence(error)) from error


def composed(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    """Return what Hydra makes of `overrides`, which takes it a tenth of a second."""
    register()
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        return hydra_compose("config", list(overrides), return_hydra_config=with_hydra)


@lru_cache
def pickled(overrides: tuple[str, ...], with_hydra: bool) -> bytes:
    """Return what Hydra makes of `overrides`, as bytes to copy it from: read once in a process, as modules are."""
    return pickle.dumps(composed(overrides, with_hydra))


@lru_cache(maxsize=4096)
def parsed(override: str) -> Override:
    """Return an override as Hydra's grammar reads it."""
    return OverridesParser.create().parse_override(override)


def patched(overrides: Sequence[str], with_hydra: bool) -> DictConfig | None:
    """Return what `overrides` make of the menu by setting their values in a copy of what the others make.

    None where that is for Hydra: the order in which they come decides, a choice is made from a group that is not of
    this menu, or there is a mistake in them, of which Hydra tells.
    """
    try:
        every = [parsed(text) for text in overrides]
    except HydraException:
        return None
    values = [override for override in every if is_value(override)]
    others = tuple(text for text, override in zip(overrides, every, strict=True) if not is_value(override))
    added = [override.key_or_group for override in every if override.type != OverrideType.CHANGE]
    if any(overlap(override.key_or_group, key) for override in values for key in added):
        return None
    config = pickle.loads(pickled(others, with_hydra))
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


def is_value(override: Override) -> bool:
    """Tell whether an override sets a value, rather than choosing from a group, adding or deleting."""
    key = override.key_or_group
    plain = override.type == OverrideType.CHANGE and override.package is None and not override.is_sweep_override()
    return plain and "/" not in key and not override.is_hydra_override() and not (FOLDER / key).is_dir()


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


def write_hydra(config: DictConfig, overrides: Sequence[str], folder: Path) -> None:
    """Leave `.hydra/config.yaml` and `.hydra/overrides.yaml` as Hydra leaves them of a run, by a faster writer."""
    content: Any = OmegaConf.to_container(config, enum_to_str=True)
    (folder / ".hydra").mkdir(exist_ok=True)
    for name, part in (("config", content), ("overrides", list(overrides))):
        text = yaml.dump(part, Dumper=DUMPER, default_flow_style=False, allow_unicode=True, sort_keys=False)
        (folder / ".hydra" / f"{name}.yaml").write_text(text, encoding="utf-8")


def about(override: str, group: str) -> bool:
    """Tell whether an override chooses from a group, or sets a field in it."""
    key = override.lstrip("+~").split("=", 1)[0]
    return key == group or key.startswith((f"{group}.", f"{group}/"))


def config_loader() -> ConfigLoader:
    """Return what finds the menu's choices, for `glob` in a sweep."""
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        return GlobalHydra.instance().config_loader()


def sentence(error: BaseException) -> str:
    """Return what is wrong, and what would be right, for any of `MISTAKES`."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConfigurationError):
            return str(cause)
        if isinstance(cause, MissingConfigException) and cause.missing_cfg_file:
            return missing(cause.missing_cfg_file)
        if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.full_key:
            return no_such_field(cause)
        if isinstance(cause, ValidationError) and cause.full_key:
            return f"{cause.full_key}: {str(cause).splitlines()[0]}; give it a value of that type."
        if isinstance(cause, OverrideParseException):
            key, _, value = str(cause.override).partition("=")
            return f"{cause.override!r} cannot be read; if the value is text, quote it twice: {key}='\"{value}\"'."
        cause = cause.__cause__
    return f"{' '.join(str(error).split()).rstrip('.')}; --help shows the menu and how to choose from it."


def missing(file: str) -> str:
    """Return a sentence on a choice or group that does not exist, told by the file that Hydra looked for."""
    group, _, choice = file.rpartition("/")
    if not (FOLDER / group).is_dir():
        group, _, choice = file.partition("/")
    if not (FOLDER / group).is_dir():
        return unknown(f"The group {group}", group, groups(), "the menu has the groups")
    return unknown(f"{group}={choice}", choice, choices(FOLDER / group), f"the group {group} has the choices")


def no_such_field(error: OmegaConfBaseException) -> str:
    """Return a sentence on a field that does not exist, with those that do."""
    parent, _, field = str(error.full_key).rpartition(".")
    node = error.parent_node
    known = [str(key) for key in node if not str(key).startswith("_")] if OmegaConf.is_dict(node) else []
    text = unknown(str(error.full_key), field, known, f"{parent} has the fields" if parent else "the menu has")
    if OmegaConf.is_dict(node) and "_target_" in node:
        text += f" A field that its class has and the menu doesn't state is added by a plus: +{error.full_key}=…"
    return text


def groups() -> list[str]:
    """Return the names of the menu's groups."""
    return [folder.name for folder in FOLDER.iterdir() if folder.is_dir()]
