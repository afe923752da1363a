"""Making a run ready before its folder is made, so that a mistake leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import DictConfig, OmegaConf

from descend.engine.run import Run
from descend.errors import ConfigurationError, Exited, never_exits
from descend.menu.build import build, checkpoints, snapshots, trackers
from descend.menu.mistakes import out_of_memory, raised_by_user
from descend.menu.source import Source
from descend.menu.started import started

LEFT_BY_RUNS = ("result.json", ".hydra", "sweep.db", "sweep.parquet")


class Ready:
    """Where the loop of a run waits for the task that Hydra calls."""

    _loop: ClassVar[Run | None] = None

    @staticmethod
    def make(config: DictConfig) -> None:
        """Make the loop of a configuration that has its node `hydra`, and the run's folder.

        Raises:
            ConfigurationError: the run cannot start, or its folder is in use or cannot be made; nothing was written.
        """
        started()
        Source.of(config)  # a file of the user's that the menu hides would not be what runs
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        with users_errors():
            trackers(own)
            checkpoints(own)
            snapshots(own)
            loop = make_ready(own, config.hydra)
        make_folder(Path(config.hydra.run.dir))
        Ready._loop = loop

    @staticmethod
    def take() -> Run | None:
        """Return the loop made ready, once."""
        loop, Ready._loop = Ready._loop, None
        return loop


@contextmanager
def users_errors() -> Iterator[None]:
    """Turn what the user's own code raises within into a ConfigurationError; an error of ours stays what it is."""
    try:
        with never_exits():
            yield
    except ConfigurationError:
        raise
    except Exited as error:
        raise ConfigurationError(f"{error}.") from error
    except Exception as error:
        text = out_of_memory(error) or raised_by_user(error)
        if text is None:
            raise
        raise ConfigurationError(text) from error


def make_folder(folder: Path) -> None:
    """Make a folder for a run or a sweep.

    Raises:
        ConfigurationError: it holds another already, or cannot be made.
    """
    try:
        check_unused(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be made: {error.strerror}; choose another by hydra.run.dir, or for a sweep by "
            "hydra.sweep.dir."
        ) from error


def check_unused(folder: Path) -> None:
    """Require that no run or sweep has left anything in a folder.

    Raises:
        ConfigurationError: one has; a second would overwrite its files one by one.
    """
    for name in LEFT_BY_RUNS:
        if (folder / name).exists():
            raise ConfigurationError(
                f"{folder} holds a run already ({name}), which another would overwrite; choose another folder, or "
                "remove that one. An interrupted sweep goes on by sweep.resume."
            )


def make_ready(config: DictConfig, hydra: Any) -> Run:
    """Return the loop of a composed configuration, ready to start.

    Args:
        config: without the node `hydra`.
        hydra: that node.
    """
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)  # `lr=${seed}` is as it was written
    return Run(build(config, overrides))
