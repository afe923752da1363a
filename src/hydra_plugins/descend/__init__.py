"""What Hydra loads by itself: a sweeper and a launcher of our own. Imported at every start, so without torch."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class DescendSweeper(Sweeper):
    """Runs a multirun as few stacked programs (`descend.sweeps`)."""

    def __init__(self, params: dict[str, str] | None = None) -> None:
        self._params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._config = hydra_context, config

    def sweep(self, arguments: list[str]) -> Any:
        from descend.sweeps.multirun import multirun

        given: Sequence[str] = [f"{key}={value}" for key, value in self._params.items()] + arguments
        sys.exit(multirun(self._config, self._context, given))


class BatchedLauncher(BasicLauncher):
    """Says that runs are stacked in this process; by itself, under another sweeper, it runs jobs one by one."""


@dataclass
class SweeperConf:
    _target_: str = "hydra_plugins.descend.DescendSweeper"
    params: dict[str, str] = field(default_factory=dict)


@dataclass
class LauncherConf:
    _target_: str = "hydra_plugins.descend.BatchedLauncher"


ConfigStore.instance().store(group="hydra/sweeper", name="descend", node=SweeperConf, provider="descend")
ConfigStore.instance().store(group="hydra/launcher", name="batched", node=LauncherConf, provider="descend")
