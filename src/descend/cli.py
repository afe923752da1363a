"""The command line: `python run.py …` and `descend …`."""

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from descend.menu.started import check_addresses, interruptible, started, starting

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from descend.engine.loop import Loop
    from descend.engine.result import Result
    from descend.records import Records

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
    if arguments[:1] == ["audit"]:
        from descend.menu.commands.audit import audit_command

        started()
        return audit_command(arguments[1:])
    if helped:
        from descend.menu import FOLDER
        from descend.menu.help import help_text

        print(help_text(FOLDER))
    elif arguments[:1] == ["guide"]:
        guide(arguments[1:])
    else:
        run_hydra()
    return None


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
    from descend.menu.start import start

    register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra's documented way to raise what it would print
    gc.disable()  # what is imported now stays: to look through it for garbage takes a tenth of the start
    start(task)


def task(config: "DictConfig") -> float:
    """Run one configuration into the folder that Hydra made, and return its final value."""
    from hydra.core.hydra_config import HydraConfig

    from descend.engine.run import drive
    from descend.menu.build import trackers
    from descend.menu.ready import Ready, prepare
    from descend.menu.values import resolved
    from descend.output.sinks.progress import ProgressBar
    from descend.output.sinks.result_file import ResultFile
    from descend.output.sinks.trackers import open_sinks
    from descend.output.table import show, show_claims

    folder = Path(HydraConfig.get().runtime.output_dir)
    loop = Ready.take() or prepare(config, HydraConfig.get())
    settings: Any = resolved(config)
    claims = settings.pop("claims", {})
    sinks = open_sinks(trackers(config), folder, settings)
    bar, file = ProgressBar(loop.experiment.steps), ResultFile(folder)
    try:
        result = drive(loop, [bar, *sinks, file], partial(leave, folder))
    except Exception as error:
        fail(error, folder)
    show(result, relative(folder))
    if claims:
        show_claims(claims, result.values)
    if result.status == "interrupted":
        sys.exit(130)
    if file.refused is not None:
        print(f"descend: {file.refused}", file=sys.stderr)
        sys.exit(1)
    return result.value


def fail(error: Exception, folder: Path) -> NoReturn:
    """Tell of a run that failed, leave the whole story in `error.txt`, and exit with 1."""
    story = folder / "error.txt"
    where = f" (see {story})"
    try:
        story.write_text("".join(traceback.format_exception(error)))
    except OSError:
        where = ""
    print(f"descend: the run failed: {type(error).__name__}: {error}{where}", file=sys.stderr)
    sys.exit(1)


def leave(folder: Path, loop: "Loop", result: "Result") -> "Records":
    """Leave a checkpoint and the pictures that there are, which are returned as well.

    `path.png` is of a run on a function of two numbers, `solution.png` of a run whose objective has a drawing,
    `density.png` of a run whose curvature was watched, `cosines.png` of one with three losses or more and their angles.
    """
    import numpy as np

    from descend.engine.checkpoint import save
    from descend.output.pictures.cosines import cosines_picture
    from descend.output.pictures.drawing import solution_picture
    from descend.output.pictures.path import path_of, path_picture
    from descend.output.pictures.paths import paths_picture
    from descend.output.pictures.spectrum import spectrum_picture
    from descend.records import Column, Records

    with kept(folder / "checkpoint.pt"):
        save(loop.carry, folder / "checkpoint.pt")
    objective, params = loop.experiment.objective, loop.carry.params
    best, title = objective.best_points(), type(objective).__name__
    path = path_of(params, result.blocks) if len(loop.names) > 1 else None
    drawing = objective.drawing(params)
    drawn = {
        "path": path_picture(loop.loss, params, result.blocks, best, title)
        if path is None
        else paths_picture(lambda point: objective.losses(point, None), params, {title: [path]}, best),
        "cosines": cosines_picture(result.blocks, title),
        "density": spectrum_picture(result.blocks, title),
        "solution": None if drawing is None else solution_picture(drawing, title),
    }
    images = {}
    for name, picture in drawn.items():
        if picture is not None:
            with kept(folder / f"{name}.png"):
                (folder / f"{name}.png").write_bytes(picture)
            images[name] = Column(np.array([result.steps]), np.array([picture], dtype=object))
    return Records(images=images)


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """Warn where a file cannot be written: the run was made, and its result is worth more."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch turns the former into the latter
        path.unlink(missing_ok=True)
        print(f"descend: {path} cannot be written: {error}; the run goes on without it.", file=sys.stderr)


def relative(folder: Path) -> Path:
    """Return the folder as seen from here, where that is shorter to type."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
