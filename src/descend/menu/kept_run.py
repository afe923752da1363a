"""A run read from its folder: its parameters along the way, and the loss that it minimised."""

import shlex
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.engine.snapshots import NAME, read_snapshots
from descend.errors import ConfigurationError
from descend.graph.chance import Chance
from descend.landscapes.landscape import Terrain
from descend.landscapes.track import Trajectory
from descend.memory import free_bytes
from descend.menu.compose import about, overrides_of
from descend.menu.trained import Trained
from descend.objectives.examples import FromExamples
from descend.objectives.module import Module
from descend.objectives.objective import Objective
from descend.types import Batch, Params


class KeptRun:
    """A run read from its folder.

    Args:
        folder: the folder of the run.

    Attributes:
        trajectory: the snapshots that the run kept, or its end alone.
        params: the parameters at the last finite snapshot.

    Raises:
        ConfigurationError: the folder has no parameters of a run, they cannot be read or do not fit into memory, or
            none of them are finite.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / "sweep.db").exists():
            raise ConfigurationError(f"{folder} holds a sweep; name the folder of one of the runs that it kept.")
        if not (folder / ".hydra" / "config.yaml").exists():
            raise ConfigurationError(
                f"{folder} holds no settings of a run; name the folder of a run, as outputs/<day>/<time>."
            )
        self.folder, trained = folder, Trained(folder)
        self.experiment = trained.experiment
        self.objective, ended = trained.left(self.experiment)
        self._steps = trained.steps
        self.trajectory = self._trajectory(ended)
        end = self.trajectory.points[-1].to(ravel(ended))
        self.params = unravel(end, ended)

    def _trajectory(self, ended: Params) -> Trajectory:
        """Return the snapshots of the run, or its end alone where it kept none."""
        path = self.folder / NAME
        steps, kept = [self._steps], {name: x[None].cpu() for name, x in ended.items()}
        if path.exists():
            needed, free = 4 * path.stat().st_size * 8 // ravel(ended).itemsize, free_bytes(torch.device("cpu"))
            if needed > free:
                raise ConfigurationError(
                    f"Reading {path} takes {needed / 2**30:,.1f} GiB of memory, but only {free / 2**30:,.1f} GiB are "
                    "free; make the run again with a smaller checkpoint.snapshots."
                )
            steps, kept = read_snapshots(path)
        found = Trajectory.of(steps, torch.cat([kept[name].reshape(len(steps), -1) for name in ended], dim=1).double())
        if not len(found.steps):
            raise ConfigurationError(
                f"The run in {self.folder} diverged: none of the parameters that it kept are finite."
            )
        return found

    @property
    def has_path(self) -> bool:
        """Whether the run kept snapshots."""
        return (self.folder / NAME).exists()

    def without_path(self) -> ConfigurationError:
        """Return the refusal of a run without snapshots, with the command that makes the same run with them."""
        own = [text for text in overrides_of(self.folder) or [] if not about(text, "checkpoint.snapshots")]
        command = shlex.join([*own, "checkpoint.snapshots=64", f"hydra.run.dir='{self.folder}-alone'"])
        return ConfigurationError(
            f"The run in {self.folder} kept no snapshots of its path (no run of a sweep does); choose plane=hessian or "
            f"plane=random, or make the same run alone, which ends with the same bits: descend {command}"
        )

    def require_alike(self, other: "KeptRun") -> None:
        """Require that another run minimised the same objective.

        Raises:
            ConfigurationError: it did not.
        """
        here, there = (OmegaConf.load(run.folder / ".hydra" / "config.yaml") for run in (self, other))
        shapes = [{name: x.shape for name, x in run.params.items()} for run in (self, other)]
        if here.objective != there.objective or here.op != there.op or shapes[0] != shapes[1]:
            raise ConfigurationError(
                f"The runs in {self.folder} and {other.folder} have different objectives, so their paths lie in no "
                "common landscape; name runs of one objective."
            )

    def terrain(self, examples: int) -> Terrain:
        """Return the sum of the losses over this many training examples, always the same ones, in evaluation mode.

        An objective that draws random numbers gets the same ones at every point.
        """
        batch, dtype = self.objective.sample(examples), ravel(self.params).dtype
        chance = Chance(self.experiment.seed, self._steps)

        def loss(params: Params) -> Tensor:
            with chance:
                found = self.objective.losses(params, batch)
            return torch.stack([x.to(dtype) for x in found.values()]).sum()

        with torch.no_grad():
            names = list(self.objective.losses(self.params, batch))
        return Terrain(loss, self.params, f"{' + '.join(names)} {described_examples(self.objective, batch)}")


def described_examples(objective: Objective, batch: Batch) -> str:
    """Return in words the examples over which the losses on a batch are taken, or the objective if it has none."""
    if not isinstance(objective, FromExamples):
        return f"of {type(objective).__name__}"
    every, held = objective.training_examples, len(objective.train_targets)
    whole = min(held, objective.most_evaluated) if isinstance(objective, Module) else held
    used = whole if batch is None else len(batch)
    return f"of {used:,} of {every:,} training examples, in evaluation mode"
