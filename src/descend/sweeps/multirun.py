"""The boundary between Hydra's multirun and a sweep."""

import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from polars.exceptions import ComputeError

from descend.errors import ConfigurationError
from descend.menu.build import checkpoints, snapshots
from descend.menu.compose import about
from descend.menu.fields import short
from descend.menu.make import checked_fields, make
from descend.menu.ready import make_folder, users_errors
from descend.menu.source import Source
from descend.menu.started import started
from descend.menu.values import resolved
from descend.sweeps.conduct import conduct
from descend.sweeps.halving import Halving
from descend.sweeps.parts import OtherLauncher
from descend.sweeps.plan import plan
from descend.sweeps.report import show_plan
from descend.sweeps.settings import Settings
from descend.sweeps.space import Sampling
from descend.sweeps.study import Study
from descend.sweeps.study_sweep import StudySweep

STACKED = "hydra_plugins.descend.BatchedLauncher"


def multirun(config: DictConfig, context: HydraContext, overrides: Sequence[str]) -> int:
    """Carry out a multirun and return its exit code.

    Args:
        config: composed without what is swept; its `sweep` node says how.
        overrides: as given; those of `sweep` and `hydra` say how, the others what.

    Raises:
        ConfigurationError: the sweep cannot start; nothing was written.
    """
    started()
    chosen = settings(config)
    check_settings(chosen, overrides, config)
    own, source = run_overrides(overrides), Source.of(config)
    if chosen.study is not None:
        with users_errors():
            search = StudySweep.of(own, chosen, chosen.study, source)
        folder = folder_of(config, chosen)
        with writing(folder, fresh=not chosen.resume):
            return search.conducted(folder, partial(OmegaConf.save, config, folder / "multirun.yaml"))
    with users_errors():
        planned = plan(own, chosen, source)
    if chosen.dry_run:
        show_plan(planned, chosen)
        return 0
    folder = folder_of(config, chosen)
    carry = OtherLauncher(config, context, own) if by_other_launcher(config) else None
    with writing(folder, fresh=not chosen.resume):
        return conduct(planned, chosen, folder, carry, partial(OmegaConf.save, config, folder / "multirun.yaml"))


def by_other_launcher(config: DictConfig) -> bool:
    """Tell whether a launcher other than `batched` carries out the sweep."""
    return config.hydra.launcher._target_ != STACKED


def folder_of(config: DictConfig, settings: Settings) -> Path:
    """Return the sweep's folder, which is made unless the sweep is resumed.

    Raises:
        ConfigurationError: there is nothing to resume, or there is something already where a sweep shall begin.
    """
    folder = Path(settings.resume or config.hydra.sweep.dir)
    if not settings.resume:
        make_folder(folder)
    elif not (folder / "sweep.db").exists():
        raise ConfigurationError(f"sweep.resume is {settings.resume}, but that folder holds no sweep; check its name.")
    return folder


@contextmanager
def writing(folder: Path, fresh: bool) -> Iterator[None]:
    """Tell in a sentence of a disk that cannot be written, with 1 as exit code: what was done is kept.

    A sweep that is refused once it has begun, because a start is not finite say, leaves no folder that was made for it.
    """
    try:
        yield
    except ConfigurationError:
        if fresh and not any(folder.glob("curves/*")):
            shutil.rmtree(folder)
        raise
    except (OSError, sqlite3.OperationalError, ComputeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        print(
            f"descend: the sweep's folder {folder} cannot be written: {reason}; make room, and finish the sweep with "
            f"the same command and sweep.resume={folder}",
            file=sys.stderr,
        )
        sys.exit(1)


def settings(config: DictConfig) -> Settings:
    """Return the `sweep` node as settings.

    Raises:
        ConfigurationError: a field does not exist or has a wrong value.
    """
    node: Any = resolved(config.get("sweep"))
    if not isinstance(node, dict) or "sampling" not in node:
        raise ConfigurationError(
            f"sweep is {short(repr(node))}, but it must say how points are sampled; choose sweep=grid."
        )
    if snapshots(config):
        raise ConfigurationError(
            f"checkpoint.snapshots is {snapshots(config)}, but runs of a sweep keep no snapshots; remove it, or make "
            "a run alone."
        )
    sampling = make("sweep.sampling", node.pop("sampling"), Sampling)
    kinds = {name: kind for name, kind in {"halving": Halving, "study": Study}.items() if node.get(name)}
    parts = {name: part_of(node, kind) for name, kind in kinds.items()}
    taken = {"halving", "study", *(field.name for kind in kinds.values() for field in fields(kind))}
    others = checked_fields("sweep", Settings, {key: value for key, value in node.items() if key not in taken})
    return Settings(sampling=sampling, every=checkpoints(config), **parts, **others)


def part_of(node: dict[str, Any], kind: Any) -> Any:
    """Return the settings of a way to spend steps, from `sweep`; two ways may share a key, as `seed`.

    Raises:
        ConfigurationError: as `checked_fields`, and as the class says.
    """
    return kind(**checked_fields("sweep", kind, {x.name: node[x.name] for x in fields(kind) if x.name in node}))


def check_settings(settings: Settings, overrides: Sequence[str], config: DictConfig) -> None:
    """Require that each setting given has an effect.

    Raises:
        ConfigurationError: points are asked for and no interval is swept, parts without a launcher that takes them,
            halving with a launcher that runs parts or with batches of one setting, or two folders.
    """
    keys = {override.lstrip("+").partition("=")[0] for override in overrides}
    about_points = ("sweep.points",) if settings.halving else ("sweep", "sweep.points")
    asked = sorted(key for key in keys if key in about_points or key.startswith("sweep.sampling"))
    if asked and settings.study is None and not any("interval(" in override for override in overrides):
        raise ConfigurationError(
            f"{asked[0]} says how points are taken from intervals, but none is swept; write one, as "
            "optimizer.lr='interval(0.1,1)', or remove it."
        )
    if settings.parts is not None and not by_other_launcher(config):
        raise ConfigurationError(
            f"sweep.parts is {settings.parts}, but the launcher runs the sweep in this process; choose another, as "
            "hydra/launcher=joblib, or remove it."
        )
    if (settings.halving or settings.study) and by_other_launcher(config):
        raise ConfigurationError(
            "This sweep ranks all its runs together, but a launcher's jobs each see a part of them; leave "
            "hydra/launcher away."
        )
    if settings.study is not None and settings.dry_run:
        raise ConfigurationError(
            "sweep=optuna draws settings from the results so far, which sweep.dry_run cannot know; leave it away."
        )
    if settings.study is not None and settings.halving is not None and settings.study.batch == 1:
        raise ConfigurationError(
            "sweep.batch is 1, but sweep=bohb ranks the settings of a batch among each other; make it 16, say."
        )
    given = [text for text in config.hydra.overrides.hydra if text.startswith("hydra.sweep.dir=")]
    if settings.resume and given and Path(settings.resume).resolve() != Path(config.hydra.sweep.dir).resolve():
        raise ConfigurationError(
            f"{given[-1]} and sweep.resume={settings.resume} name two folders, but a sweep goes on in its own; "
            "remove the first."
        )


def run_overrides(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that say what is run, those that say how left out."""
    return [override for override in overrides if not about(override, "sweep") and not about(override, "hydra")]


def sweep_overrides(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that say how runs are swept: those of `sweep`, and the experiment, which may say it too."""
    named = [override for override in overrides if about(override, "sweep") or about(override, "experiment")]
    parsed = OverridesParser.create().parse_overrides(named)
    return [override for override, one in zip(named, parsed, strict=True) if not one.is_sweep_override()]
