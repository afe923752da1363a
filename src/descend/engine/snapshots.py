"""Snapshots of a run: its parameters at evenly spaced steps, for a picture of the landscape around them."""

import sys
from pathlib import Path

import torch

from descend.atomic import whole
from descend.engine.checkpoint import on_cpu, readable_checkpoints
from descend.engine.loop import Loop
from descend.engine.placement import computing
from descend.errors import ConfigurationError
from descend.types import Params

NAME = "snapshots.pt"

MOST = 64
"""By default a run keeps at most this many snapshots."""

MOST_BYTES = 2**25
"""By default all of them together take at most this much; a large network has fewer, or none."""

LEAST_BYTES = 2**10
"""By default smaller parameters are not kept: beside the steps of a small function, snapshots take too long."""

FEWEST = 8
"""By default a run that could keep only fewer keeps none: fewer show no path."""


def count_of(asked: int | None, size: int) -> int:
    """Return how many snapshots a run keeps at most: `asked`, or, if it is None, what one of `size` bytes allows."""
    if asked is not None:
        return asked
    fitting = MOST_BYTES // size
    return min(MOST, fitting) if size >= LEAST_BYTES and fitting >= FEWEST else 0


def stride_of(steps: int, most: int, unit: int = 1) -> int:
    """Return the number of steps from one snapshot to the next, so that at most `most` follow the one at the start.

    It is the smallest such power of two times `unit`. A run that is made longer then drops some of its snapshots, and
    lacks none.
    """
    stride = unit
    while stride * most < steps:
        stride *= 2
    return stride


class Snapshots:
    """The snapshots of one run, in memory and in a file that every checkpoint replaces as a whole.

    The file holds `steps`, a list of k numbers, and `params`, tensors [k, …] by name, in the run's dtype, on the CPU:
    `torch.load(path, weights_only=True)` reads it.

    Args:
        path: the file.
        stride: steps from one snapshot to the next.
    """

    def __init__(self, path: Path, stride: int) -> None:
        self.path, self.stride = path, stride
        self._kept: dict[int, Params] = {}

    def look(self, loop: Loop) -> None:
        """Keep the parameters of a loop of one run, if the run goes on and a snapshot is due."""
        if loop.at.size and loop.step % self.stride == 0:
            with computing(loop.threads, loop.streams.device):
                standing = loop.backend.standing(loop.backend.columns([0]), [0])
            self.add(loop.step, {name: x[0] for name, x in standing.params.items()})

    def add(self, step: int, params: Params) -> None:
        """Keep the parameters after `step` steps."""
        self._kept[step] = on_cpu(params)

    def restore(self, step: int) -> None:
        """Go on with the snapshots before `step` that an earlier process left; later ones are dropped.

        A file that cannot be read costs a message, and not the run.
        """
        if step and self.path.exists():
            try:
                steps, params = read_snapshots(self.path)
            except ConfigurationError as error:
                print(f"descend: {error} The run goes on without those before.", file=sys.stderr)
                return
            self._kept = {
                at: {name: x[i].clone() for name, x in params.items()}
                for i, at in enumerate(steps)
                if at < step and at % self.stride == 0
            }

    def save(self) -> None:
        """Write the file.

        Raises:
            OSError: the file cannot be written, as on a full disk; the one before is still there.
        """
        steps = sorted(self._kept)
        names = self._kept[steps[0]]
        params = {name: torch.stack([self._kept[step][name] for step in steps]) for name in names}
        with whole(self.path) as file:
            try:
                torch.save({"steps": steps, "params": params}, file)
            except RuntimeError as error:  # torch raises this in place of the OSError
                raise OSError(str(error)) from error


def read_snapshots(path: Path) -> tuple[list[int], Params]:
    """Return the steps of the snapshots in a file, and the parameters there, tensors [k, …] by name.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    for content, _ in readable_checkpoints([path]):
        if content.keys() >= {"steps", "params"}:
            return content["steps"], content["params"]
    raise ConfigurationError(f"{path} cannot be read, or holds no snapshots; only the same run made again leaves them.")
