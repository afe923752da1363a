"""Composing many runs that differ in values: by Hydra once for each structure, then by setting the values in a copy."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.training.experiment import Experiment

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Composer:
    """Composes as `descend.menu.compose.compose` does, at a fiftieth of its time where only values differ.

    Args:
        with_hydra: keep the node `hydra`.
    """

    def __init__(self, with_hydra: bool = False) -> None:
        self._with_hydra = with_hydra
        self._parser = OverridesParser.create()
        self._parsed: dict[str, Override] = {}
        self._composed: dict[tuple[str, ...], bytes] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration that `overrides` make of the menu.

        Raises:
            ConfigurationError: saying what is wrong with an override.
        """
        try:
            parsed = [self._parse(text) for text in overrides]
        except HydraException:
            return compose(overrides, self._with_hydra)  # which complains
        values = [override for override in parsed if is_value(override)]
        structure = tuple(text for text, override in zip(overrides, parsed, strict=True) if not is_value(override))
        added = [override.key_or_group for override in parsed if override.type != OverrideType.CHANGE]
        if any(overlap(override.key_or_group, key) for override in values for key in added):
            return compose(overrides, self._with_hydra)  # which of them comes last decides
        if structure not in self._composed:
            self._composed[structure] = pickle.dumps(compose(structure, self._with_hydra))
        config = pickle.loads(self._composed[structure])
        if not self._set(config, values):
            return compose(overrides, self._with_hydra)
        if self._with_hydra:
            tell(config, [override for override in parsed if not override.is_hydra_override()])
        return config

    def experiment(self, overrides: Sequence[str]) -> Experiment:
        """Return the experiment of a run of its own with these overrides.

        Raises:
            ConfigurationError: saying what is wrong with it.
        """
        return build(self(overrides), list(overrides))

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            self._parsed[text] = self._parser.parse_override(text)
        return self._parsed[text]

    def _set(self, config: DictConfig, values: Sequence[Override]) -> bool:
        """Set values in a configuration; return False where that is for Hydra: to choose from a group, or complain."""
        try:
            for override in values:
                key = override.key_or_group
                if OmegaConf.is_dict(OmegaConf.select(config, key, throw_on_resolution_failure=False)):
                    return False
                OmegaConf.update(config, key, override.value(), merge=True)
        except OmegaConfBaseException:
            return False
        return True


def write_hydra(config: DictConfig, overrides: Sequence[str], folder: Path) -> None:
    """Leave `.hydra/config.yaml` and `.hydra/overrides.yaml` as Hydra leaves them of a run, by a faster writer."""
    content: Any = OmegaConf.to_container(config, enum_to_str=True)
    (folder / ".hydra").mkdir(exist_ok=True)
    for name, part in (("config", content), ("overrides", list(overrides))):
        text = yaml.dump(part, Dumper=DUMPER, default_flow_style=False, allow_unicode=True, sort_keys=False)
        (folder / ".hydra" / f"{name}.yaml").write_text(text, encoding="utf-8")


def is_value(override: Override) -> bool:
    """Tell whether an override sets a value, rather than choosing from a group, adding or deleting."""
    key = override.key_or_group
    plain = override.type == OverrideType.CHANGE and override.package is None
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
