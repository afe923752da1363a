"""Composing the menu as Hydra does it."""

from collections.abc import Sequence

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from descend.menu.schema import register
from descend.menu.source import COMMAND_LINE, MENU, Source

VERSION = "1.3"
"""Of Hydra, whose behaviour is kept by later ones."""


def composed(overrides: Sequence[str], with_hydra: bool, source: Source = MENU) -> DictConfig:
    """Return what Hydra makes of `overrides`, which takes it a fifth of a second."""
    register()
    with initialize_config_dir(source.folder, version_base=VERSION):
        if source.beside:  # of which initialize_config_dir knows nothing
            GlobalHydra.instance().clear()
            Hydra.create_main_hydra2("app", search_path(source))
        return hydra_compose(source.name, list(overrides), return_hydra_config=with_hydra)


def search_path(source: Source) -> ConfigSearchPath:
    """Return where Hydra looks for choices: in its own folder, in the menu, then in the folders beside it."""
    path = create_config_search_path(source.folder)
    for folder in source.beside:
        path.prepend(provider=COMMAND_LINE, path=folder, anchor=SearchPathQuery(provider="schema"))
    return path


def config_loader(source: Source = MENU) -> ConfigLoaderImpl:
    """Return what finds the choices of a source, for `glob` in a sweep and to tell where values come from."""
    return ConfigLoaderImpl(config_search_path=search_path(source))
