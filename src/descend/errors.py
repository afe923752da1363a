"""The errors of descend: a class for each kind."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ConfigurationError(ValueError):
    """The configuration cannot be run as it stands; raised before the first step. The command line exits with 2.

    The message is a whole sentence: what was found, what was expected, what to do.
    """


class Untraceable(RuntimeError):
    """A step cannot be recorded as tensor operations; the message says why. The `python` backend runs it anyway."""


class Exited(RuntimeError):
    """The user's own code called `sys.exit`, which would have ended the process without a word."""


class StoppedAtOnce(SystemExit):
    """The user asked a second time, by a signal, for the process to end: it does, in the middle of a step."""


@contextmanager
def never_exits() -> Iterator[None]:
    """Turn `sys.exit` within the user's own code into an error, which is told like any other.

    Raises:
        Exited: naming the file and line of the call.
    """
    try:
        yield
    except StoppedAtOnce:
        raise
    except SystemExit as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise Exited(
            f"sys.exit({'' if error.code is None else repr(error.code)}) was called in {Path(frame.filename).name}, "
            f"line {frame.lineno}, which would end the whole process; raise an error there instead"
        ) from error
