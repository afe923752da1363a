"""Starting Hydra."""

import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hydra import main, version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict

from descend.errors import ConfigurationError
from descend.menu import FOLDER
from descend.menu.by_hydra import VERSION, search_path
from descend.menu.compose import composing
from descend.menu.placing import check_places, known_before, parse
from descend.menu.source import MENU, Source

MODES = ("hydra.mode=RUN", "hydra.mode=MULTIRUN")

Task = Callable[[DictConfig], float]


def start_hydra(task: Task) -> None:
    """Let Hydra read the command line, compose, and call `task`, or sweep.

    Hydra's own `main` composes twice, the first time to read `hydra.mode` alone, which takes a fifth of a second. Here
    that is left out where the command line says the mode, by `-m` or its absence, and nothing else does. `main` is
    called by the flags that only show something: --cfg, --info, --hydra-help, --shell-completion.

    Raises:
        ConfigurationError: saying what is wrong with the command line, or with a file of the user's.
    """
    given = {name: value for name, value in vars(command_line()).items() if value}
    overrides, sweeps = given.pop("overrides", []), given.pop("multirun", False)
    where = {flag: given.pop(flag, None) for flag in ("config_path", "config_name", "config_dir")}
    given.pop("run", None)
    if given:
        with composing(), reordered(overrides):
            main(version_base=VERSION, config_path=str(FOLDER), config_name="config")(task)()
        return
    warnings.filterwarnings("ignore", "provider=hydra.searchpath")  # told in a sentence of our own
    version.setbase(VERSION)
    hydra = opened(where["config_path"], where["config_dir"])
    name = where["config_name"] or "config"
    try:
        said = [text for text in overrides if text in MODES]
        overrides = [text for text in overrides if text not in MODES]
        if not sweeps and said:
            sweeps = said[-1] == MODES[1]
        elif not sweeps and files_say_mode(where["config_dir"], overrides):
            sweeps = hydra.get_mode(name, overrides) == RunMode.MULTIRUN
        carry = run_sweep if sweeps else run_once
        carry(hydra, name, task, overrides)
    finally:
        GlobalHydra.instance().clear()


def command_line() -> Namespace:
    """Return the command line as Hydra's parser reads it, flags and overrides in any order.

    Raises:
        ConfigurationError: a flag does not exist.
    """

    def refuse(message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; --help shows how descend is used, --hydra-help Hydra's own flags.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_intermixed_args()


@contextmanager
def reordered(overrides: list[str]) -> Iterator[None]:
    """Put the overrides before the flags in `sys.argv`: Hydra's own call of its parser wants them together."""
    before = sys.argv
    sys.argv = [before[0], *overrides, *(text for text in before[1:] if text not in overrides)]
    try:
        yield
    finally:
        sys.argv = before


def opened(folder: str | None, beside: str | None) -> Hydra:
    """Return Hydra, looking for configurations in `folder` (None: the menu) and in `beside`."""
    return Hydra.create_main_hydra2("cli", search_path(source_of(folder, beside)))


def source_of(folder: str | None, beside: str | None) -> Source:
    """Return where `--config-path` (None: the menu) and `--config-dir` say to compose from.

    Raises:
        ConfigurationError: there is no such folder.
    """
    for flag, given in (("--config-path", folder), ("--config-dir", beside)):
        if given is not None and not Path(given).is_dir():
            raise ConfigurationError(f"{flag} is {given}, but there is no such folder; check its name.")
    return Source(
        folder=str(Path(folder).resolve()) if folder else MENU.folder,
        beside=(f"file://{Path(beside).resolve()}",) if beside else (),
    )


def files_say_mode(beside: str | None, overrides: list[str]) -> bool:
    """Tell whether any file may set `hydra.mode` to a sweep, which `-m` does as well: one of the user's may."""
    if beside or any(text.startswith("hydra.searchpath") for text in overrides):
        return True
    return any(b"MULTIRUN" in path.read_bytes() for path in FOLDER.rglob("*.yaml"))


def run_once(hydra: Hydra, name: str, task: Task, overrides: list[str]) -> None:
    """Compose and run one job, as `Hydra.run` does; what is wrong with the configuration is told in a sentence."""
    with composing():
        check_places(parse(overrides), sweeps=False)
        config = hydra.compose_config(name, overrides, RunMode.RUN, with_log_configuration=True)
        config.hydra.mode = RunMode.RUN
        callbacks = Callbacks(config)
        _ = config.hydra.run.dir  # an interpolation may fail
    from descend.menu.ready import Ready  # torch

    callbacks.on_run_start(config=config, config_name=name)
    Ready.make(config)
    job = job_of(hydra, callbacks, task, config)
    callbacks.on_run_end(config=config, config_name=name, job_return=job)
    _ = job.return_value  # raises what the task raised


def job_of(hydra: Hydra, callbacks: Callbacks, task: Task, config: DictConfig) -> Any:
    """Let Hydra make the folder and call the task there.

    Raises:
        ConfigurationError: the folder cannot be written. What the task raises waits in the job's `return_value`.
    """
    try:
        return run_job(
            hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
            task_function=task,
            config=config,
            job_dir_key="hydra.run.dir",
            job_subdir_key=None,
        )
    except OSError as error:
        raise ConfigurationError(
            f"The run's folder {config.hydra.run.dir} cannot be written: {error.strerror}; choose another by "
            "hydra.run.dir."
        ) from error


def run_sweep(hydra: Hydra, name: str, task: Task, overrides: list[str]) -> None:
    """Compose what all runs have in common and call the sweeper, as `Hydra.multirun` does.

    A field of a swept group exists once a choice is made: what sets it is left out here, and goes to the runs.
    """
    with composing():
        parsed = parse(overrides)
        check_places(parsed, sweeps=True)
        known = [*known_before(parsed), "hydra.mode=MULTIRUN"]
        config = hydra.compose_config(name, known, RunMode.MULTIRUN, with_log_configuration=True)
        own = [str(each.input_line) for each in parsed if not each.is_hydra_override()]
        with open_dict(config.hydra):
            config.hydra.overrides.task = own
        callbacks = Callbacks(config)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
    callbacks.on_multirun_start(config=config, config_name=name)
    sweeper.sweep(arguments=own)
    callbacks.on_multirun_end(config=config, config_name=name)
