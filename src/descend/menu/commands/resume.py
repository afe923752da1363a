"""`descend resume=<folder>`: a run goes on from its last checkpoint, to the bits that it would have reached anyway."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from descend.engine.checkpoint import NAME, load
from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.menu.build import build, checkpoints, trackers
from descend.menu.commands.run import carry_out, locked, made
from descend.menu.placing import parse
from descend.menu.ready import users_errors
from descend.output.sinks.result_file import ResultFile

CHANGEABLE = ("steps", "checkpoint.every")
"""What a run that goes on may have otherwise."""


def resume_command(arguments: Sequence[str]) -> float:
    """Carry out `descend resume=<folder> [steps=<more>]`, and return the run's final value.

    Raises:
        ConfigurationError: there is nothing to go on with, or something was changed; nothing was written.
    """
    [*_, asked] = [argument.split("=", 1)[1] for argument in arguments if argument.startswith("resume=")]
    folder = Path(asked.strip("'\""))
    check_folder(folder)
    with locked(folder):
        run, config, step = resumed(folder, [x for x in arguments if not x.startswith("resume=")])
        return carry_out(run, config, folder, step)


def resume(folder: str | Path, overrides: Sequence[str]) -> Result:
    """Let a run go on from Python; see `descend.resume`."""
    place = Path(folder)
    check_folder(place)
    with locked(place):
        run, config, step = resumed(place, overrides)
        return made(run, config, place, step, ResultFile(place))


def resumed(folder: Path, overrides: Sequence[str]) -> tuple[Run, DictConfig, int]:
    """Return a run as its last checkpoint left it, its configuration, and the step at which it goes on.

    Args:
        overrides: what is to be otherwise; see `CHANGEABLE`.

    Raises:
        ConfigurationError: see `resume_command`.
    """
    check_folder(folder)
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    assert isinstance(config, DictConfig)  # Hydra writes nothing else
    own: Any = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    before = int(config.steps)
    changed(config, folder, parse(overrides))
    content = load(folder / NAME)
    with users_errors():
        trackers(config)
        checkpoints(config)
        experiment = build(config, [str(override) for override in own])
        check_longer(experiment, before, content["state"], folder)
        run = Run(experiment, content["state"]["backend"])
        run.restore(content)
    return run, config, run.loop.step


def check_folder(folder: Path) -> None:
    """Require a folder that a run has left.

    Raises:
        ConfigurationError: it is none; or the run ended by itself.
    """
    if (folder / "sweep.db").exists():
        raise ConfigurationError(f"{folder} holds a sweep; it goes on by its own command and sweep.resume={folder}.")
    if not (folder / ".hydra" / "config.yaml").exists():
        raise ConfigurationError(
            f"resume is {str(folder)!r}, but no run has left a folder there; name one, as outputs/<day>/<time>."
        )
    result = folder / "result.json"
    status = json.loads(result.read_text()) if result.exists() else {}
    if status.get("status") in ("converged", "diverged"):
        raise ConfigurationError(
            f"The run in {folder} {status['status']} ({status['reason']}), so it does not go on; start another."
        )


def changed(config: DictConfig, folder: Path, overrides: Sequence[Override]) -> None:
    """Set what may be otherwise in the configuration of a run.

    Raises:
        ConfigurationError: something else is to be otherwise; the sentence says what it was.
    """
    choices = OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.runtime.choices
    for override in overrides:
        key, value = override.key_or_group, override.value()
        there = choices.get(key, OmegaConf.select(config, key)) if key in choices else OmegaConf.select(config, key)
        plain = OmegaConf.to_container(there) if OmegaConf.is_config(there) else there
        if key in CHANGEABLE:
            OmegaConf.update(config, key, value)
        elif plain != value or override.is_delete():
            raise ConfigurationError(
                f"{key} is {value!r}, but the run in {folder} has {plain!r}; only {' and '.join(CHANGEABLE)} may be "
                "otherwise when a run goes on. Start a new run for that."
            )


def check_longer(experiment: Experiment, before: int, state: dict[str, Any], folder: Path) -> None:
    """Require that a run of other steps would have made the same steps so far.

    Raises:
        ConfigurationError: it is to be shorter than what was made, or its schedule is spread over all its steps.
    """
    made, steps = int(state["step"]), experiment.steps
    if steps < made:
        raise ConfigurationError(f"steps is {steps}, but the run in {folder} has made {made}; ask for more than that.")
    looked_at = range(0, made, max(1, made // 1000))
    factor = experiment.schedule.factor
    if steps != before and any(float(factor(step, steps)) != float(factor(step, before)) for step in looked_at):
        raise ConfigurationError(
            f"{type(experiment.schedule).__name__} is spread over all steps of a run, so one of {steps:,} steps would "
            f"have begun otherwise than that of {before:,} in {folder}; start it anew."
        )
