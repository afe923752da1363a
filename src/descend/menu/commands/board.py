"""`descend board`: TensorBoard on the results of a folder, on this machine alone."""

import io
import resource
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path

from descend.errors import ConfigurationError

USAGE = """\
descend board [FOLDER] [port=N]

Starts TensorBoard on the runs and sweeps in a folder, outputs/ where none is named, for this machine alone, and prints
its address. Without a port it takes 6006, or the next that is free. Ctrl-C ends it.
"""

HOST = "127.0.0.1"
EVENTS = "events.out.tfevents.*"
FLAGS = ("--reload_multifile=true", "--samples_per_plugin=scalars=5000,images=100,histograms=500,text=100")
"""A resumed run has several event files, and every point that is shown should be one that was recorded."""


def board_command(arguments: Sequence[str]) -> int:
    """Serve TensorBoard until Ctrl-C; return the exit code.

    Raises:
        ConfigurationError: the arguments are wrong, there is nothing to show, the port is taken, or TensorBoard cannot
            be imported.
    """
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    folder, port = board_arguments(arguments)
    check_events(folder)
    raise_open_files()
    address = launched(folder, port)
    print(f"{folder} is shown at {address} until Ctrl-C", flush=True)
    try:
        threading.Event().wait()  # TensorBoard serves in threads of its own
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def board_arguments(arguments: Sequence[str]) -> tuple[Path, int | None]:
    """Return the folder and the port that are asked for.

    Raises:
        ConfigurationError: there are several folders, or what is given is no port.
    """
    ports = [text.removeprefix("port=") for text in arguments if text.startswith("port=")]
    folders = [text for text in arguments if not text.startswith("port=")]
    if len(folders) > 1 or any(text.startswith("-") for text in folders):
        raise ConfigurationError(
            f"descend board was given {' '.join(folders)}, but it shows one folder; name one that holds all you want "
            "to see, as outputs."
        )
    if not ports:
        return Path(*folders or ["outputs"]), None
    if not ports[-1].isascii() or not ports[-1].isdecimal() or int(ports[-1]) > 65535:
        raise ConfigurationError(f"port is {ports[-1]!r}, but it must be a number from 0 to 65535, as port=6007.")
    return Path(*folders or ["outputs"]), int(ports[-1])


def check_events(folder: Path) -> None:
    """Require something that TensorBoard can show.

    Raises:
        ConfigurationError: there is no folder, or no event file in it.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder; name one that a run or a sweep left, or outputs.")
    if next(folder.rglob(EVENTS), None) is None:
        raise ConfigurationError(
            f"{folder} holds no event file for TensorBoard; name a folder of runs, and make them with "
            "tracker=tensorboard or tracker=all."
        )


def raise_open_files() -> None:
    """Let this process open as many files as it may: TensorBoard holds one open for each run."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def launched(folder: Path, port: int | None) -> str:
    """Start TensorBoard beside this thread, and return its address.

    Raises:
        ConfigurationError: the port is taken, or TensorBoard cannot be imported.
    """
    try:
        from tensorboard import program
    except ImportError as error:
        raise ConfigurationError(f"TensorBoard cannot be imported ({error}); pip install tensorboard.") from error
    server = program.TensorBoard()
    ports = [] if port is None else [f"--port={port}"]
    try:
        with redirect_stderr(io.StringIO()):  # a note on how it reads event files, which is for its authors
            server.configure(["tensorboard", f"--logdir={folder}", f"--host={HOST}", *FLAGS, *ports])
            return server.launch()
    except program.TensorBoardServerException as error:
        raise ConfigurationError(f"{error.msg}; name another port, as port=6007.") from error
