"""Gradient clipping: what is done to a gradient before the optimizer sees it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from descend.types import Params


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
