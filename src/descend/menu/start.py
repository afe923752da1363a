"""Starting Hydra."""

from collections.abc import Callable

from hydra import main, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from descend.menu import FOLDER
from descend.menu.by_hydra import VERSION


def start(task: Callable[[DictConfig], float]) -> None:
    """Let Hydra read the command line, compose, and call `task`, or sweep.

    Hydra's own `main` composes twice, the first time to read `hydra.mode` alone, which takes a fifth of a second. Here
    that is left out where the command line says the mode, by `-m` or its absence, and nothing else does.
    """
    given = {name: value for name, value in vars(get_args()).items() if value}
    overrides, sweeps = given.pop("overrides", []), given.pop("multirun", False)
    if given or any("hydra.mode" in text for text in overrides) or (not sweeps and menu_sweeps()):
        main(version_base=VERSION, config_path=str(FOLDER), config_name="config")(task)()
        return
    version.setbase(VERSION)
    hydra = Hydra.create_main_hydra2("cli", create_config_search_path(str(FOLDER)))
    try:
        if sweeps:
            hydra.multirun("config", task, [*overrides, "hydra.mode=MULTIRUN"])
        else:
            hydra.run("config", task, overrides)
    finally:
        GlobalHydra.instance().clear()


def menu_sweeps() -> bool:
    """Tell whether any choice of the menu sets `hydra.mode` to a sweep, which `-m` does as well."""
    return any("MULTIRUN" in path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.yaml"))
