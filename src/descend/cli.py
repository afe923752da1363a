"""The command line: `python run.py …` and `descend …`."""

import gc
import os
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from descend.engine.result import Result
    from descend.engine.run import Run
    from descend.records import Records

# Torch takes longer to import than all the rest: the help text does without it, and so does this module.


def main() -> None:
    """Do what the command line says; exit with 2 for a mistake in it, 1 for a run that failed, 130 for Ctrl-C."""
    sys.path.insert(0, str(Path.cwd()))  # a user's own objective lies in the folder they are in
    if sys.argv[1:2] == ["audit"]:
        sys.exit(audit(sys.argv[2:]))
    if {"-h", "--help"} & set(sys.argv[1:]):
        from descend.menu import FOLDER
        from descend.menu.help import help_text

        print(help_text(FOLDER))
    elif sys.argv[1:2] == ["guide"]:
        guide(sys.argv[2:])
    else:
        run_hydra()


def audit(arguments: list[str]) -> int:
    """Carry out `descend audit`, and return the exit code."""
    from descend.menu.commands.audit import audit_command
    from descend.menu.compose import MISTAKES, sentence

    try:
        return audit_command(arguments)
    except MISTAKES as error:
        print(f"descend: {sentence(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


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
    """Let Hydra parse, compose and call back; turn its complaints into one sentence each."""
    from descend.menu.compose import MISTAKES, sentence
    from descend.menu.schema import register
    from descend.menu.start import start

    register()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra's documented way to raise what it would print
    gc.disable()  # what is imported now stays: to look through it for garbage takes a tenth of the start
    try:
        start(task)
    except MISTAKES as error:
        print(f"descend: {sentence(error)}", file=sys.stderr)
        sys.exit(2)


def task(config: "DictConfig") -> float:
    """Run one configuration into the folder that Hydra made, and return its final value."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from descend.engine.run import drive
    from descend.menu.build import trackers
    from descend.menu.ready import Ready, prepare
    from descend.output.sinks.progress import ProgressBar
    from descend.output.sinks.result_file import ResultFile
    from descend.output.sinks.trackers import open_sinks
    from descend.output.table import show, show_claims

    folder = Path(HydraConfig.get().runtime.output_dir)
    run = Ready.take() or prepare(config, HydraConfig.get().overrides.task)
    settings: Any = OmegaConf.to_container(config, resolve=True)
    claims = settings.pop("claims")
    sinks = open_sinks(trackers(config), folder, settings)
    bar = ProgressBar(run.experiment.steps)
    try:
        result = drive(run, [bar, *sinks, ResultFile(folder)], partial(leave, folder))
    except Exception as error:
        (folder / "error.txt").write_text(traceback.format_exc())
        print(f"descend: the run failed: {type(error).__name__}: {error} (see {folder / 'error.txt'})", file=sys.stderr)
        sys.exit(1)
    show(result, relative(folder))
    if claims:
        show_claims(claims, result.values)
    if result.status == "interrupted":
        sys.exit(130)
    return result.value


def leave(folder: Path, run: "Run", result: "Result") -> "Records":
    """Leave a checkpoint and the pictures that there are, which are returned as well.

    `path.png` is of a run on a function of two numbers, `solution.png` of a run whose objective has a drawing,
    `density.png` of a run whose curvature was watched, `cosines.png` of one with three losses or more and their angles.
    """
    import numpy as np

    from descend.output.pictures.cosines import cosines_picture
    from descend.output.pictures.drawing import solution_picture
    from descend.output.pictures.path import path_of, path_picture
    from descend.output.pictures.paths import paths_picture
    from descend.output.pictures.spectrum import spectrum_picture
    from descend.records import Column, Records

    objective, params = run.experiment.objective, run.params
    best, title = objective.best_points(), type(objective).__name__
    path = path_of(params, result.blocks) if len(run.names) > 1 else None
    drawing = objective.drawing(params)
    drawn = {
        "path": path_picture(run.loss, params, result.blocks, best, title)
        if path is None
        else paths_picture(lambda point: objective.losses(point, None), params, {title: [path]}, best),
        "cosines": cosines_picture(result.blocks, title),
        "density": spectrum_picture(result.blocks, title),
        "solution": None if drawing is None else solution_picture(drawing, title),
    }
    images = {}
    for name, picture in drawn.items():
        if picture is not None:
            (folder / f"{name}.png").write_bytes(picture)
            images[name] = Column(np.array([result.steps]), np.array([picture], dtype=object))
    return Records(images=images)


def relative(folder: Path) -> Path:
    """Return the folder as seen from here, where that is shorter to type."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
