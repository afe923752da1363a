"""The state of a run on disk."""

from pathlib import Path
from typing import Any

import torch

from descend.atomic import whole
from descend.engine.step import Carry


def save(carry: Carry, path: Path) -> None:
    """Write parameters and states atomically, in a form that `torch.load(path, weights_only=True)` reads.

    States that hold more than tensors, numbers and containers of them (an adapter's optimizer object) are left out.
    """
    content = {"params": carry.params, "step": carry.step, "aggregator": carry.aggregator, "gradients": carry.gradients}
    content |= {"optimizer": carry.optimizer} if plain(carry.optimizer) else {}
    with whole(path) as file:
        torch.save(content, file)


def plain(state: Any) -> bool:
    """Tell whether a state is made of tensors, numbers, text and containers alone."""
    if isinstance(state, dict):
        return all(plain(item) for item in state.values())
    if type(state) in (list, tuple):
        return all(plain(item) for item in state)
    return state is None or isinstance(state, torch.Tensor | int | float | str)
