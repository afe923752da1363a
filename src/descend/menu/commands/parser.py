"""The argument parser of the commands that do not go to Hydra."""

import argparse
from typing import NoReturn

from descend.errors import ConfigurationError


class Parser(argparse.ArgumentParser):
    """Knows `-h` and `--help`, which each command answers itself, and complains in one sentence.

    Args:
        command: as it is typed: `descend audit`.
    """

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)
        self.add_argument("-h", "--help", action="store_true")

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{self.prog}: {message}; {self.prog} --help shows how it is used.")
