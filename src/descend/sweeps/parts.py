"""A sweep on other launchers (joblib, submitit, Ray): each job they are given is a part of the plan, stacked."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from descend.devices import gpu_count, in_turn, is_gpu
from descend.menu.source import Source
from descend.menu.started import quiet
from descend.sweeps.batch import device_of
from descend.sweeps.conduct import carry_out
from descend.sweeps.plan import Plan, plan
from descend.sweeps.settings import Settings
from descend.sweeps.store import PARTS, ChunkFiles, Store


@dataclass(frozen=True)
class OtherLauncher:
    """Carries out a plan by the launcher that a configuration names.

    Args:
        config: of the multirun.
        context: Hydra's.
        overrides: what is run, from which each job makes the plan again.
    """

    config: DictConfig
    context: HydraContext
    overrides: Sequence[str]

    def __call__(self, plan: Plan, settings: Settings, store: Store) -> int:
        """Run what a store lacks of a plan; see `Carry` in `sweeps/conduct.py`. What a job had done is kept."""
        done, folder = store.done(), store.folder.resolve()
        count = min(settings.parts or default_parts(plan), len(plan.jobs) - len(done))
        if not count:
            return 0
        with open_dict(self.config):
            self.config.hydra.sweep.dir = str(folder)
        task = partial(
            run_part,
            overrides=list(self.overrides),
            settings=settings,
            folder=folder,
            done=done,
            source=plan.source,
            host=socket.gethostname(),
        )
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=task, config=self.config
        )
        try:
            for job in launcher.launch([job_overrides(i, count, folder) for i in range(count)], initial_job_idx=0):
                _ = job.return_value  # raises what the job raised
        except KeyboardInterrupt:
            return signal.SIGINT
        finally:
            store.gather()
        return 0


def default_parts(plan: Plan) -> int:
    """Return how many parts a plan has unless told: one for each GPU where its runs go by these, else for each core."""
    if torch.cuda.is_available() and any(is_gpu(device_of(group)) for group in plan.groups):
        return gpu_count()
    return len(os.sched_getaffinity(0))


def job_overrides(number: int, count: int, folder: Path) -> list[str]:
    """Return the overrides of one job of a launcher."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [f"+sweep.part={number}/{count}", f"hydra.sweep.dir='{quoted}'", f"hydra.sweep.subdir={PARTS}/{number}"]


def run_part(
    config: DictConfig,
    *,
    overrides: Sequence[str],
    settings: Settings,
    folder: Path,
    done: set[int],
    source: Source,
    host: str,
) -> None:
    """Run one part of a sweep, in whatever process on whatever machine, and leave its chunks in the sweep's folder.

    Args:
        host: the machine that began the sweep. Parts on it share its memory, and take its GPUs in turn; another machine
            gives each job what is its own.
    """
    sys.path.insert(0, str(Path.cwd()))  # a user's own objective lies in the folder they are in
    quiet()
    number, count = map(int, config.sweep.part.split("/"))
    here = host == socket.gethostname()
    own = replace(part(plan(overrides, settings, source), number, count), processes=count if here else 1)
    with in_turn(number) if here else nullcontext():
        carry_out(own, settings, ChunkFiles(folder, done))


def part(plan: Plan, number: int, count: int) -> Plan:
    """Return one of `count` parts of equal size: neighbours among the stacked runs, and among the serial ones."""
    groups = []
    for stacked in (True, False):
        kind = [group for group in plan.groups if (group.serial is None) == stacked]
        total = sum(len(group.jobs) for group in kind)
        low, high = total * number // count, total * (number + 1) // count
        for group in kind:
            places = range(max(low, 0), min(high, len(group.jobs)))
            if places:
                groups.append(group.part(places))
            low, high = low - len(group.jobs), high - len(group.jobs)
    return replace(plan, groups=groups)
