"""The trained objective of a run, read from its folder."""

from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from descend.engine.checkpoint import NAME
from descend.engine.checkpoint import load as load_checkpoint
from descend.engine.experiment import Experiment
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.objectives.module import Module
from descend.objectives.objective import Objective
from descend.types import Params


class Trained(dict[str, Tensor]):
    """The parameters of a run by name, on the CPU; of a module its whole state_dict, buffers included.

    Args:
        folder: the folder of the run.
        which: `last`; `best`, which had the best value of `stop.metric`; or the name of an average (`ema`, `swa`).

    Attributes:
        steps: how many steps the run made.

    Raises:
        ConfigurationError: it has no checkpoint that can be read, or kept none of that name.
    """

    def __init__(self, folder: Path, which: str = "last") -> None:
        content = load_checkpoint(folder / NAME)
        kept = content["trained"]
        if which not in kept:
            raise ConfigurationError(
                f"The run in {folder} kept {', '.join(kept)}, but {which!r} is asked for; the best is kept with "
                "stop.metric=test/accuracy, say, and an average with wrap=ema or wrap=swa."
            )
        super().__init__(kept[which])
        self._folder = folder
        self.steps = int(min(content["state"]["step"], content["state"]["endings"]["stops"][0]))

    @property
    def experiment(self) -> Experiment:
        """The run's experiment, made again from the configuration in its folder.

        Raises:
            ConfigurationError: the folder has no configuration, or a class of it cannot be imported from here.
        """
        place = self._folder / ".hydra"
        if not (place / "config.yaml").exists():
            raise ConfigurationError(f"{place} has no config.yaml, so it is not known which objective the run had.")
        config, own = OmegaConf.load(place / "config.yaml"), OmegaConf.load(place / "overrides.yaml")
        return build(config, [str(override) for override in own])  # type: ignore[arg-type]

    @property
    def objective(self) -> Objective:
        """The run's objective, made again, with its state as training left it; on the CPU, in the run's precision.

        Raises:
            ConfigurationError: as `experiment`.
        """
        return self.left(self.experiment, torch.device("cpu"))[0]

    def left(self, experiment: Experiment, device: torch.device | None = None) -> tuple[Objective, Params]:
        """Return the objective with its state, and the parameters without it, as training left them.

        Args:
            experiment: the experiment of the run.
            device: the device to place them on; None lets the experiment decide.
        """
        begun, beside = experiment.objective.start_and_state(torch.Generator(device="cpu"))
        params = {name: self[name] for name in begun}
        there = experiment.device_of(params) if device is None else device
        dtype = next(iter(params.values())).dtype
        placed = experiment.objective.to(dtype, there)
        state = {
            name: self.get(name, x).to(there, dtype if x.is_floating_point() else x.dtype) for name, x in beside.items()
        }
        return placed.with_state(state), {name: x.to(there) for name, x in params.items()}

    @property
    def module(self) -> nn.Module:
        """The trained module, made again, with its buffers as training left them, in its evaluation mode.

        Raises:
            ConfigurationError: the run trained no module; see `objective`, too.
        """
        objective = self.objective
        if not isinstance(objective, Module):
            raise ConfigurationError(
                f"The run in {self._folder} trained a {type(objective).__name__}, which is no module; its parameters "
                "are the items of what load returns."
            )
        dtype = next(x.dtype for x in self.values() if x.is_floating_point())
        made = objective.fresh_module().to(dtype)
        made.load_state_dict(self)
        return made
