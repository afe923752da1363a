"""`descend resume=<folder>`: a run goes on from its last checkpoint, to the bits that it would have reached anyway."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from descend.atomic import remove, whole
from descend.engine.checkpoint import BEFORE, NAME, load
from descend.engine.experiment import Experiment, steps_of
from descend.engine.result import Result
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.menu.build import build, checkpoints, snapshots, trackers
from descend.menu.commands.run import finish_run, locked, run_into
from descend.menu.compose import composing
from descend.menu.placing import parse
from descend.menu.ready import users_errors
from descend.output.sinks.result_file import ResultFile

CHANGEABLE = ("steps", "checkpoint.every")
"""What may be different in a run that goes on."""

SETTINGS = ("config.yaml", "hydra.yaml", "overrides.yaml")
"""What Hydra writes into `.hydra` before a run begins."""


def resume_command(arguments: Sequence[str]) -> float:
    """Carry out `descend resume=<folder> [steps=<more>]`, and return the run's final value.

    Raises:
        ConfigurationError: there is nothing to go on with, or something was changed; nothing was written.
    """
    asked = [argument.split("=", 1)[1] for argument in arguments if argument.startswith("resume=")]
    if len(asked) > 1:
        raise ConfigurationError(
            f"resume names {len(asked)} folders ({', '.join(asked)}), but one run goes on; name one."
        )
    folder = Path(asked[0].strip("'\""))
    check_folder(folder)
    with locked(folder):
        run, config, step = resumed(folder, [x for x in arguments if not x.startswith("resume=")])
        renew(folder, config)
        return finish_run(run, config, folder, step)


def resume(folder: str | Path, overrides: Sequence[str]) -> Result:
    """Let a run go on from Python; see `descend.resume`."""
    place = Path(folder)
    check_folder(place)
    with locked(place):
        run, config, step = resumed(place, overrides)
        renew(place, config)
        return run_into(run, config, place, step, ResultFile(place))


def resumed(folder: Path, overrides: Sequence[str]) -> tuple[Run, DictConfig, int]:
    """Return a run as its last checkpoint left it, its configuration, and the step at which it goes on.

    A run that was killed before its first checkpoint goes on at its start.

    Args:
        overrides: what is to be different; see `CHANGEABLE`.

    Raises:
        ConfigurationError: see `resume_command`.
    """
    check_folder(folder)  # again: another process may have ended it since
    config = OmegaConf.load(folder / ".hydra" / "config.yaml")
    assert isinstance(config, DictConfig)  # Hydra writes nothing else
    own: Any = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"))
    before = config.copy()
    changed(config, folder, parsed_overrides(overrides))
    content = saved(folder)
    with users_errors():
        trackers(config)
        checkpoints(config)
        snapshots(config)
        experiment = build(config, [str(override) for override in own])
        if content is None:
            return Run(experiment), config, 0
        check_goes_on(content["state"], folder)
        check_longer(experiment, steps_of(before.steps, experiment.objective), content["state"], folder)
        run = Run(experiment, content["state"]["backend"])
        run.restore(content)
    return run, config, int(min(run.loop.step, run.loop.endings.stops[0]))


def check_folder(folder: Path) -> None:
    """Require a folder that a run has left.

    Raises:
        ConfigurationError: it is none; or the run ended by itself.
    """
    if (folder / "sweep.db").exists():
        raise ConfigurationError(f"{folder} holds a sweep; it goes on by its own command and sweep.resume={folder}.")
    there, status = [name for name in SETTINGS if (folder / ".hydra" / name).exists()], result_of(folder)
    if not there:
        raise ConfigurationError(
            f"resume is {str(folder)!r}, but no run has left a folder there; name one, as outputs/<day>/<time>."
        )
    if len(there) < len(SETTINGS):
        why = "was made in a sweep, and left no checkpoint of its own" if status else "ended while it started"
        raise ConfigurationError(f"The run in {folder} {why}, so it cannot go on; start it again in another folder.")
    if status.get("status") in ("converged", "diverged"):
        raise ConfigurationError(
            f"The run in {folder} {status['status']} ({status['reason']}), so it does not go on; start another."
        )


def result_of(folder: Path) -> dict[str, Any]:
    """Return how the run in a folder ended; empty where it did not."""
    path = folder / "result.json"
    return json.loads(path.read_text()) if path.exists() else {}


def saved(folder: Path) -> dict[str, Any] | None:
    """Return the last checkpoint of a run, None where it was killed before its first.

    Raises:
        ConfigurationError: none can be read, another version wrote it, or the run left none at its end.
    """
    if (folder / NAME).exists() or (folder / BEFORE).exists():
        return load(folder / NAME)
    status = result_of(folder).get("status")
    if status not in (None, "failed", "interrupted"):
        raise ConfigurationError(
            f"The run in {folder} {status}, and left no {NAME}, so it cannot go on; start it again in another folder."
        )
    return None


def check_goes_on(state: dict[str, Any], folder: Path) -> None:
    """Require that a run has not ended by one of its rules, unless it was killed before it wrote so.

    Raises:
        ConfigurationError: it has.
    """
    found = result_of(folder)
    if not state["at"] and found.get("status") == "finished":
        raise ConfigurationError(f"The run in {folder} ended ({found['reason']}), so it does not go on; start another.")


def parsed_overrides(overrides: Sequence[str]) -> list[Override]:
    """Return overrides as Hydra's grammar reads them.

    Raises:
        ConfigurationError: one is no override, or is for a sweep.
    """
    flags = [text for text in overrides if text.startswith("-")]
    if flags:
        raise ConfigurationError(
            f"{flags[0]} stands beside resume, where only {' and '.join(CHANGEABLE)} may; a sweep goes on by "
            "sweep.resume=<its folder>."
        )
    with composing():
        found = parse(overrides)
    for override in found:
        if override.is_sweep_override():
            raise ConfigurationError(f"{override.input_line} has several values, but one run goes on; give one.")
    return found


def changed(config: DictConfig, folder: Path, overrides: Sequence[Override]) -> None:
    """Set what may differ in the configuration of a run.

    Raises:
        ConfigurationError: something else is to be different; the sentence says what it was.
    """
    choices = OmegaConf.load(folder / ".hydra" / "hydra.yaml").hydra.runtime.choices
    for override in overrides:
        key, value = override.key_or_group, override.value()
        there = choices[key] if key in choices else OmegaConf.select(config, key)
        plain = OmegaConf.to_container(there) if OmegaConf.is_config(there) else there
        if key in CHANGEABLE and not override.is_delete():
            OmegaConf.update(config, key, value)
        elif plain != value or override.is_delete():
            asked = f"{key} is to be removed" if override.is_delete() else f"{key} is {value!r}"
            raise ConfigurationError(
                f"{asked}, but the run in {folder} has {plain!r}; only {' and '.join(CHANGEABLE)} may differ "
                "when a run goes on. Start a new run for that."
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
            f"have begun differently from that of {before:,} in {folder}; start it again."
        )


def renew(folder: Path, config: DictConfig) -> None:
    """Write down what is different from now on, for the next resume, and drop the story of a failure."""
    place = folder / ".hydra"
    old = OmegaConf.load(place / "config.yaml")
    if old != config:
        own = OmegaConf.load(place / "overrides.yaml")
        assert isinstance(own, ListConfig)  # Hydra writes nothing else
        new = {key: OmegaConf.select(config, key) for key in CHANGEABLE}
        now = [f"{k}={'null' if x is None else x}" for k, x in new.items() if x != OmegaConf.select(old, k)]
        kept = [text for text in own if text.partition("=")[0] not in [more.partition("=")[0] for more in now]]
        for name, content in {"overrides.yaml": OmegaConf.create([*kept, *now]), "config.yaml": config}.items():
            with whole(place / name) as file:
                file.write(OmegaConf.to_yaml(content).encode())
    remove(folder / "error.txt")
