"""Overrides that are right by themselves, and wrong or of no effect where they stand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from descend.errors import ConfigurationError
from descend.menu import FOLDER
from descend.menu.fields import short
from descend.menu.source import check_folders

FOR_SWEEPS = ("sweep", "hydra.sweep", "hydra.sweeper", "hydra.launcher", "hydra/sweeper", "hydra/launcher")
FOR_RUNS = ("hydra.run",)
LISTS = "wrap"
"""The group of which several choices are made, in their order."""


def parse(overrides: Sequence[str]) -> list[Override]:
    """Return overrides as Hydra's grammar reads them."""
    return OverridesParser.create().parse_overrides(list(overrides))


def check_places(overrides: Sequence[Override], sweeps: bool) -> None:
    """Require that each override has an effect.

    Raises:
        ConfigurationError: one is for a sweep and none was asked for, or the other way round; one sweeps over how the
            sweep itself is made; a swept key is given twice; a group is given a list.
    """
    seen: dict[str, Override] = {}
    for each in overrides:
        key, text = each.key_or_group, short(str(each.input_line))
        if not sweeps and inside(key, FOR_SWEEPS):
            raise ConfigurationError(f"{text} is for a sweep, but this is one run; add -m, or remove it.")
        if sweeps and inside(key, FOR_RUNS):
            raise ConfigurationError(f"{text} is for one run, but this is a sweep; set hydra.sweep.dir instead.")
        value: Any = each.value()
        if key == "hydra.searchpath" and isinstance(value, list):
            check_folders([Path(str(x).removeprefix("file://")) for x in value if not str(x).startswith("pkg:")])
        if each.is_sweep_override() and inside(key, ("sweep", "hydra")):
            raise ConfigurationError(f"{text} would sweep over how the sweep itself is made; give {key} one value.")
        if key == "hydra.verbose" and not (isinstance(value, bool | str | list) or each.is_delete()):
            raise ConfigurationError(f"{text} is neither true, false, nor a list of the names of loggers; give it one.")
        if not each.is_sweep_override() and isinstance(value, list) and key != LISTS and (FOLDER / key).is_dir():
            raise ConfigurationError(f"{text} gives the group {key} a list, but one choice is made of it; name one.")
        place = placed(each)
        other = seen.setdefault(place, each)
        if other is not each and (other.is_sweep_override() or each.is_sweep_override()):
            raise ConfigurationError(
                f"{place} is given twice, by {short(str(other.input_line))} and by {text}; put all of its values into "
                "one list."
            )


def placed(override: Override) -> str:
    """Return the key that an override changes, with its package where that is another."""
    package = override.package
    return override.key_or_group if package is None else f"{override.key_or_group}@{package}"


def inside(key: str, places: Sequence[str]) -> bool:
    """Tell whether a key is one of these places or stands inside one."""
    return any(key == place or key.startswith((f"{place}.", f"{place}/")) for place in places)


def known_before(overrides: Sequence[Override]) -> list[str]:
    """Return the overrides that can be composed before a choice is made of the swept groups: no field of theirs."""
    swept = [each.package or each.key_or_group for each in overrides if each.is_sweep_override()]
    later = [place for place in swept if place != "experiment"]
    if "experiment" in swept:  # it may choose again from every group
        later += [folder.name for folder in FOLDER.iterdir() if folder.is_dir() and folder.name != "sweep"]
    return [
        str(each.input_line)
        for each in overrides
        if each.is_sweep_override() or each.is_hydra_override() or not is_within(each, later)
    ]


def is_within(override: Override, places: Sequence[str]) -> bool:
    """Tell whether an override sets something inside one of these places."""
    return any(override.key_or_group.startswith(f"{place}.") for place in places)
