"""Gradient clipping: what is done to a gradient before the optimizer sees it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import scaled
from descend.scalars import cast
from descend.types import Params

# Keeps the ratio finite at a zero gradient; torch.nn.utils.clip_grad_norm_ has the same.
TINY = 1e-6


@dataclass(frozen=True)
class Clipping(ABC):
    """A pure function of the gradient."""

    @abstractmethod
    def __call__(self, gradients: Params) -> Params:
        """Return the clipped gradients, of the same names and shapes."""


@dataclass(frozen=True)
class NoClipping(Clipping):
    """The gradient as it is."""

    def __call__(self, gradients: Params) -> Params:
        return gradients


@dataclass(frozen=True)
class ClipNorm(Clipping):
    """g · min(1, max_norm / ‖g‖₂), the norm taken over all parameters together.

    Pascanu, Mikolov & Bengio, "On the difficulty of training Recurrent Neural Networks" (ICML 2013), Algorithm 1.

    Args:
        max_norm: the largest norm let through, > 0.
    """

    max_norm: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "max_norm", above=0)

    def __call__(self, gradients: Params) -> Params:
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients.values()]))
        factor = (cast(self.max_norm, norm) / (norm + TINY)).clamp(max=1)
        return {name: scaled(g, factor) for name, g in gradients.items()}


@dataclass(frozen=True)
class ClipValue(Clipping):
    """Each entry of g cut to [−limit, limit].

    Args:
        limit: the largest absolute value let through, > 0.
    """

    limit: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "limit", above=0)

    def __call__(self, gradients: Params) -> Params:
        return {name: g.clamp(min=cast(-self.limit, g)).clamp(max=cast(self.limit, g)) for name, g in gradients.items()}
