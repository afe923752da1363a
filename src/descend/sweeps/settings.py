"""How a sweep is run: the `sweep` node of the menu."""

from dataclasses import dataclass, field

import torch

from descend.checks import check_number
from descend.engine.checkpoint import Every
from descend.errors import ConfigurationError
from descend.memory import free_bytes
from descend.sweeps.space import Grid, Sampling

KEEP_ALL_UP_TO = 200
KEEP_BEST = 50


@dataclass(frozen=True)
class Settings:
    """How a sweep is run.

    Args:
        sampling: the points that intervals take.
        points: how many; `sampling` has them too.
        memory: bytes that the runs of one program may take together; None takes half of what is free.
        parts: how many jobs a launcher other than `batched` is given; None: one for each core here.
        keep: which runs get a folder of their own: `all`, `best`, `none`; None: all up to 200, the best 50 beyond. The
            others are rows of TensorBoard's HParams page, save with `none`, which leaves TensorBoard nothing.
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

    def budget(self, device: torch.device) -> int:
        """Return the bytes that the runs of one program may take on `device`."""
        if self.memory is not None:
            return self.memory
        return free_bytes(device) // 2
