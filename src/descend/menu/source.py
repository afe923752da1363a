"""Where a configuration is composed from: the menu, and a user's own folders beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from omegaconf import DictConfig

from descend.errors import ConfigurationError
from descend.menu import FOLDER

COMMAND_LINE = "command-line"
OWN = (COMMAND_LINE, "hydra.searchpath")
"""How Hydra names the providers of folders that a user adds: by --config-dir, and by hydra.searchpath."""


@dataclass(frozen=True)
class Source:
    """Where to compose from.

    Attributes:
        name: of the primary configuration.
        folder: where that lies: the menu, unless --config-path names another.
        beside: further folders to look for choices in, as `hydra.searchpath` takes them.
    """

    name: str = "config"
    folder: str = str(FOLDER)
    beside: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: DictConfig) -> Self:
        """Return where Hydra composed `config` from, by what its node `hydra` tells.

        Raises:
            ConfigurationError: see `check_folders`.
        """
        sources = config.hydra.runtime.config_sources
        own = [each for each in sources if each.provider.startswith(OWN)]
        check_folders([Path(each.path) for each in own if each.schema == "file"])
        [main] = [each.path for each in sources if each.provider == "main"]
        beside = tuple(f"{each.schema}://{absolute_folder(each)}" for each in own)
        return cls(config.hydra.job.config_name, main, beside)

    @property
    def menu(self) -> bool:
        """Whether the primary configuration is the menu's own."""
        return (self.name, self.folder) == ("config", str(FOLDER))


MENU = Source()


def absolute_folder(source: DictConfig) -> str:
    """Return a source's path, absolute where it is a folder: another process may stand elsewhere."""
    return str(Path(source.path).resolve()) if source.schema == "file" else source.path


def check_folders(folders: list[Path]) -> None:
    """Require that a user's folders are there, and that no file in them is hidden by one of the menu.

    Hydra takes the first file of a name that it finds, and the menu comes first.

    Raises:
        ConfigurationError: naming the folder or file.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ConfigurationError(f"hydra.searchpath names {folder}, but there is no such folder; check its name.")
        for file in hidden(folder):
            raise ConfigurationError(
                f"{file} has the name of a file of the menu, which would be taken instead; give it another name."
            )


def hidden(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that the menu has under the same name with other content."""
    for own in sorted(FOLDER.rglob("*.yaml")):
        file = folder / own.relative_to(FOLDER)
        if file.is_file() and not own.samefile(file) and own.read_bytes() != file.read_bytes():
            yield file
