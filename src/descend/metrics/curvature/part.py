"""The contract of a part: something told of a curvature matrix."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.products import Product
from descend.derivatives.spectrum import Spectrum
from descend.metrics.curvature.matrices import Matrix
from descend.types import Observation, Total


@dataclass(frozen=True)
class Event:
    """What the parts share at one event.

    Attributes:
        observation: what the step saw.
        total: the function looked at, on the examples chosen.
        matrix: which matrix of it.
        product: that matrix at the step's parameters.
        spectrum: its extreme eigenpairs.
        generator: of the event's own, so that nothing is drawn from the run's.
    """

    observation: Observation
    total: Total
    matrix: Matrix
    product: Product
    spectrum: Spectrum
    generator: torch.Generator


class CurvaturePart(ABC):
    """A frozen dataclass of options, and a function of what is seen."""

    @abstractmethod
    def __call__(self, seen: Event) -> dict[str, Tensor]:
        """Return values by name, as a metric does; every name begins with `curvature/`."""
