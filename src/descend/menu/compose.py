"""Composing the menu, and telling in a sentence why it cannot be composed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.by_hydra import composed
from descend.menu.fields import unknown
from descend.menu.patch import patched

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

MISTAKES = (HydraException, OmegaConfBaseException, ConfigurationError, ValueError)
"""What a wrong override or choice raises; Hydra itself raises a bare ValueError for a choice that is a number."""


def compose(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Return the configuration that `overrides` make of the menu.

    What only sets values, and what only chooses, is set in a copy of what Hydra once made of the rest.

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
