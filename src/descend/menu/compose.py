"""Composing the menu, and telling in a sentence why it cannot be composed."""

import copy
from collections.abc import Sequence
from functools import lru_cache

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
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

MISTAKES = (HydraException, OmegaConfBaseException, ConfigurationError, ValueError)
"""What a wrong override or choice raises; Hydra itself raises a bare ValueError for a choice that is a number."""


def compose(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Return the configuration that `overrides` make of the menu.

    Args:
        with_hydra: keep the node `hydra`, which says how runs are swept and where they go.

    Raises:
        ConfigurationError: saying what is wrong with an override.
    """
    GlobalHydra.instance().clear()
    config = None if with_hydra else patched(overrides)
    if config is not None:
        return config
    try:
        return composed(overrides, with_hydra)
    except MISTAKES as error:
        raise ConfigurationError(sentence(error)) from error


def composed(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    """Return what Hydra makes of `overrides`, which takes it a tenth of a second."""
    register()
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        return hydra_compose("config", list(overrides), return_hydra_config=with_hydra)


def patched(overrides: Sequence[str]) -> DictConfig | None:
    """Return what `overrides` make of the menu by setting fields in a copy of what their choices made before.

    None where there is more to them than choices and fields, or a mistake in them: what that is, Hydra says.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        if not all(is_plain(override) for override in parsed):
            return None
        choosing = [override.input_line for override in parsed if is_choice(override)]
        config = copy.deepcopy(chosen(tuple(choosing)))
        for override in parsed:
            if not is_choice(override):
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except MISTAKES:
        return None
    return config


@lru_cache
def chosen(choosing: tuple[str, ...]) -> DictConfig:
    """Return what Hydra makes of overrides that only choose: read once in a process, as modules are."""
    return composed(choosing, with_hydra=False)


def is_plain(override: Override) -> bool:
    """Tell whether an override has one value and neither adds nor deletes."""
    return override.type == OverrideType.CHANGE and not override.is_sweep_override()


def is_choice(override: Override) -> bool:
    """Tell whether an override chooses from a group of the menu; the others set fields."""
    return (FOLDER / override.key_or_group).is_dir()


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
