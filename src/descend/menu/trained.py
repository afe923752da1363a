"""The trained objective of a run, read from its folder."""

from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from descend.engine.checkpoint import NAME
from descend.engine.checkpoint import load as load_checkpoint
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.objectives.module import Module
from descend.objectives.objective import Objective


class Trained(dict[str, Tensor]):
    """The parameters of a run by name, on the CPU; of a module its whole state_dict, buffers included.

    Args:
        folder: the run's.
        which: `last`; `best`, which had the best value of `stop.metric`; or the name of an average (`ema`, `swa`).

    Raises:
        ConfigurationError: it has no checkpoint that can be read, or kept none of that name.
    """

    def __init__(self, folder: Path, which: str = "last") -> None:
        kept = load_checkpoint(folder / NAME)["trained"]
        if which not in kept:
            raise ConfigurationError(
                f"The run in {folder} kept {', '.join(kept)}, but {which!r} is asked for; the best is kept with "
                "stop.metric=test/accuracy, say, and an average with wrap=ema or wrap=swa."
            )
        super().__init__(kept[which])
        self._folder = folder

    @property
    def objective(self) -> Objective:
        """The run's objective, made again from the configuration in its folder, with its state as training left it.

        It is on the CPU, in the run's precision.

        Raises:
            ConfigurationError: the configuration is not there, or its class cannot be imported from here.
        """
        place = self._folder / ".hydra"
        if not (place / "config.yaml").exists():
            raise ConfigurationError(f"{place} has no config.yaml, so it is not known which objective the run had.")
        config, own = OmegaConf.load(place / "config.yaml"), OmegaConf.load(place / "overrides.yaml")
        made = build(config, [str(override) for override in own]).objective  # type: ignore[arg-type]
        dtype = next((x.dtype for x in self.values() if x.is_floating_point()), torch.float64)
        placed = made.to(dtype, torch.device("cpu"))
        _, begun = made.start_and_state(torch.Generator(device="cpu"))
        return placed.with_state({name: self.get(name, x) for name, x in begun.items()})

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
