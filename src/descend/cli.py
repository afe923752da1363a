"""The command line: `python run.py …` and `descend …`."""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from descend.menu import COMMANDS
from descend.menu.started import check_addresses, interruptible, started, starting

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Torch takes longer to import than all the rest: the help text does without it, and so does this module.


def main() -> None:
    """Do what the command line says; exit with 2 for a mistake in it, 1 for a run that failed, 130 for Ctrl-C."""
    sys.path.insert(0, str(Path.cwd()))  # a user's own objective lies in the folder they are in
    code: int | None
    starting()
    try:
        code = command(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # `descend --help | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        code = refused(error)
    finally:
        interruptible()
    if code is not None:
        sys.exit(code)


def command(arguments: list[str]) -> int | None:
    """Carry out a command; return its exit code, or None where a run has said it by itself."""
    helped = {"-h", "--help"} & set(arguments)
    if not helped:
        check_addresses()
    tool = tool_named(arguments[0]) if arguments else None
    if tool is not None:
        started()
        return tool(arguments[1:])
    if helped:
        from descend.menu import FOLDER
        from descend.menu.help import help_text

        print(help_text(FOLDER))
    elif arguments[:1] == ["guide"]:
        guide(arguments[1:])
    elif any(argument.startswith("resume=") for argument in arguments):
        from descend.menu.commands.resume import resume_command

        started()
        resume_command(arguments)
    else:
        run_hydra()
    return None


def tool_named(name: str) -> Callable[[Sequence[str]], int] | None:
    """Return what carries out the command of a name; None where there is none, and a run begins."""
    if name not in COMMANDS:
        return None
    module, _, function = COMMANDS[name].partition(":")
    tool: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    return tool


def refused(error: Exception) -> int:
    """Tell of a mistake in a sentence, and return the exit code; an error of ours is raised again."""
    from descend.errors import ConfigurationError

    if not isinstance(error, ConfigurationError):
        raise error
    print(f"descend: {error}", file=sys.stderr)
    return 2


def guide(overrides: list[str]) -> None:
    """Run every experiment of the guide, in the order of its chapters, each with the given overrides."""
    from hydra.core.global_hydra import GlobalHydra

    from descend.menu import FOLDER
    from descend.menu.help import first_comment

    described = {first_comment(path): path.stem for path in (FOLDER / "experiment" / "guide").glob("*.yaml")}
    for text in sorted(described):
        print(f"\n{text}\n  experiment=guide/{described[text]}", flush=True)
        sys.argv[1:] = [f"experiment=guide/{described[text]}", *overrides]
        GlobalHydra.instance().clear()
        run_hydra()


def run_hydra() -> None:
    """Let Hydra parse, compose and call back.

    Raises:
        ConfigurationError: of what is wrong on the command line.
    """
    from descend.menu.schema import register
    from descend.menu.start import start_hydra

    register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra's documented way to raise what it would print
    gc.disable()  # no garbage collection while importing: it costs 10% of the start-up
    start_hydra(run_task)


def run_task(config: "DictConfig") -> float:
    """Run one configuration into the folder that Hydra made, and return its final value."""
    from descend.menu.commands import run  # torch

    return run.task(config)
