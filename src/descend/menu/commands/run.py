"""A single run from the command line: its folder, its sinks, its checkpoints and its pictures."""

import fcntl
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import polars as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from descend.engine.checkpoint import NAME
from descend.engine.result import Result
from descend.engine.run import Run, drive
from descend.engine.signals import stop_requests
from descend.engine.sink import Sink
from descend.engine.snapshots import NAME as SNAPSHOTS
from descend.errors import ConfigurationError
from descend.menu.build import checkpoints, snapshots, trackers
from descend.menu.ready import Ready, make_ready
from descend.menu.values import resolved
from descend.output.pictures.cosines import cosines_picture
from descend.output.pictures.drawing import solution_picture
from descend.output.pictures.path import path_of, path_picture
from descend.output.pictures.paths import paths_picture
from descend.output.pictures.spectrum import spectrum_picture
from descend.output.sinks.progress import ProgressBar
from descend.output.sinks.result_file import ResultFile
from descend.output.sinks.trackers import open_sinks
from descend.output.table import show, show_claims
from descend.records import Column, Records, of_frame


def task(config: DictConfig) -> float:
    """Run one configuration into the folder that Hydra made, and return its final value."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    run = Ready.take() or make_ready(config, HydraConfig.get())
    with locked(folder):
        return finish_run(run, config, folder)


def finish_run(run: Run, config: DictConfig, folder: Path, step: int | None = None) -> float:
    """Make a run that is ready, show how it ended, and return its final value; exit where it ended in any other way.

    Args:
        step: where a run goes on that was interrupted; None for a new one.
    """
    file = ResultFile(folder)
    try:
        with stop_requests() as asked:
            run.loop.stopping = asked
            result = run_into(run, config, folder, step, file)
    except Exception as error:
        fail(error, folder)
    show(result, relative(folder))
    claims = resolved(config).get("claims")
    if claims:
        show_claims(claims, result.values)
    if result.status == "interrupted":
        sys.exit(128 + (asked.number or signal.SIGINT))
    if file.refused is not None:
        print(f"descend: {file.refused}", file=sys.stderr)
        sys.exit(1)
    return result.value


def run_into(run: Run, config: DictConfig, folder: Path, step: int | None, file: ResultFile) -> Result:
    """Make a run that is ready, into its folder: its records, checkpoints, pictures and result."""
    settings: Any = resolved(config)
    settings.pop("claims", None)
    sinks = open_sinks(trackers(config), folder, settings)
    bar = ProgressBar(run.experiment.steps)
    every: list[Sink] = [bar, *sinks, file]
    for sink in reversed(every) if step is not None else ():
        sink.restore(step or 0)
    run.keep(folder / NAME, checkpoints(config), every)
    run.keep_snapshots(folder / SNAPSHOTS, snapshots(config))
    try:
        return drive(run, every, partial(draw_pictures, folder), earlier=recorded_before(folder, step))
    finally:
        bar.stop()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run's folder while it is written, by a lock on a file that every run has and none changes.

    Raises:
        ConfigurationError: another process holds it.
    """
    held = folder / ".hydra" / "hydra.yaml"
    if not held.exists():  # by hydra.output_subdir=null: such a run cannot be resumed
        yield
        return
    with held.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"{folder} is being written by another process; wait for it to end, or stop it first."
            ) from error
        yield


def recorded_before(folder: Path, step: int | None) -> list[Records]:
    """Return what was recorded of the steps before a run was interrupted."""
    parts = sorted((folder / "records").glob("*.parquet")) if step else []
    return [of_frame(pl.read_parquet(parts))] if parts else []


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


def draw_pictures(folder: Path, run: Run, result: Result) -> Records:
    """Write the pictures of a run into its folder, and return them as well.

    `path.png` is of a run on a function of two numbers, `solution.png` of a run whose objective has a drawing,
    `density.png` of a run whose curvature was watched, `cosines.png` of one with three losses or more and their angles.
    """
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
            with warned(folder / f"{name}.png"):
                (folder / f"{name}.png").write_bytes(picture)
            images[name] = Column(np.array([result.steps]), np.array([picture], dtype=object))
    return Records(images=images)


@contextmanager
def warned(path: Path) -> Iterator[None]:
    """Warn where a file cannot be written: the run was made, and its result is worth more."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch turns the former into the latter
        path.unlink(missing_ok=True)
        print(f"descend: {path} cannot be written: {error}; the run goes on without it.", file=sys.stderr)


def relative(folder: Path) -> Path:
    """Return the folder as seen from here, where that is shorter to type."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
