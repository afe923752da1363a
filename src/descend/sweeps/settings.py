"""How a sweep is run: the `sweep` node of the menu."""

from dataclasses import dataclass, field

import torch

from descend import devices
from descend.checks import check_number
from descend.engine.checkpoint import Every
from descend.errors import ConfigurationError
from descend.memory import free_bytes
from descend.sweeps.halving import Halving
from descend.sweeps.space import Grid, Sampling
from descend.sweeps.study import Study

KEEP_ALL_UP_TO = 200
KEEP_BEST = 50


@dataclass(frozen=True)
class Settings:
    """How a sweep is run.

    Args:
        sampling: the points that intervals take.
        points: how many; `sampling` has them too.
        memory: bytes that the runs of one program may take together; None takes half of what is free, shared with the
            other jobs of a launcher on the same machine.
        parts: how many jobs a launcher other than `batched` is given; None: one for each GPU here where the runs go by
            these, else one for each core.
        rank: what settings are ranked by, as `test/accuracy` or `loss/f1`; None: a validation metric if there is one,
            else the training loss.
        halving: at which rungs the worse settings are stopped; None: all runs make all their steps.
        study: how settings are asked for as results come in; None: all are known from the start.
        keep: which runs get a folder of their own: `all`, `best`, `none`; None: all up to 200, the best 50 beyond. The
            others are rows of TensorBoard's HParams page; with `none` nothing is written for TensorBoard.
        resume: the folder of an interrupted sweep to finish, or None.
        dry_run: show the plan and stop.
        fail_fast: stop at the first run that raises.
        every: how often chunks of runs leave a checkpoint.
        yes: confirms more than a million runs.
    """

    sampling: Sampling = field(default_factory=Grid)
    points: int | None = None
    memory: int | None = None
    parts: int | None = None
    rank: str | None = None
    halving: Halving | None = None
    study: Study | None = None
    keep: str | None = None
    resume: str | None = None
    dry_run: bool = False
    fail_fast: bool = False
    yes: bool = False
    every: Every = field(default_factory=lambda: Every(seconds=60.0))

    def __post_init__(self) -> None:
        for name in ("memory", "parts"):
            if getattr(self, name) is not None:
                check_number(self, name, at_least=1)
        if self.keep not in (None, "all", "best", "none"):
            raise ConfigurationError(f"sweep.keep is {self.keep!r}, but it must be all, best, none or null.")

    def kept(self, runs: int) -> int:
        """Return how many of the best runs get a folder of their own."""
        if self.keep is None:
            return runs if runs <= KEEP_ALL_UP_TO else KEEP_BEST
        return {"all": runs, "best": min(runs, KEEP_BEST), "none": 0}[self.keep]

    def budget(self, device: torch.device, processes: int = 1) -> int:
        """Return the bytes that the runs of one program may take on `device`.

        Args:
            processes: how many on this machine make such programs at the same time; they take the GPUs in turn.
        """
        if self.memory is not None:
            return self.memory
        share = -(-processes // devices.gpu_count()) if devices.is_gpu(device) else processes
        return free_bytes(device) // (2 * share)
