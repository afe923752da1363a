"""Counts of what the optimization evaluated."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.types import Loss, Params


@dataclass
class Evaluations:
    """How often the optimization evaluated each thing; the names are those of result.json."""

    function: int = 0
    gradient: int = 0
    hvp: int = 0
    hessian: int = 0

    def plus(self, more: Mapping[str, int]) -> dict[str, int]:
        """Return the counts with `more` added, by name."""
        return {name: count + more.get(name, 0) for name, count in vars(self).items()}

    def counted(self, loss: Loss) -> Loss:
        """Return `loss`, counting its calls, and a gradient with each call that keeps a graph."""

        def counting(params: Params) -> Tensor:
            self.function += 1
            self.gradient += torch.is_grad_enabled() and any(x.requires_grad for x in params.values())
            return loss(params)

        return counting
