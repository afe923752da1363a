"""Composing the menu as Hydra does it."""

from collections.abc import Sequence

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from descend.menu import FOLDER
from descend.menu.schema import register

VERSION = "1.3"
"""Of Hydra, whose behaviour is kept by later ones."""


def composed(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    """Return what Hydra makes of `overrides`, which takes it a fifth of a second."""
    register()
    with initialize_config_dir(str(FOLDER), version_base=VERSION):
        return hydra_compose("config", list(overrides), return_hydra_config=with_hydra)


def config_loader() -> ConfigLoader:
    """Return what finds the menu's choices, for `glob` in a sweep."""
    with initialize_config_dir(str(FOLDER), version_base=VERSION):
        return GlobalHydra.instance().config_loader()
