"""Reading the arguments of a command."""

import argparse
from typing import NoReturn

from descend.errors import ConfigurationError


class Parser(argparse.ArgumentParser):
    """Complains in one sentence, and leaves the help to the command.

    Args:
        command: as it is typed, `descend audit`.
    """

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{self.prog}: {message}; {self.prog} --help shows how it is used.")
