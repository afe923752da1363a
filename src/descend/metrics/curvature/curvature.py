"""The curvature of the loss while it trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.spectrum import spectrum
from descend.metrics.curvature.matrices import Hessian, Matrix
from descend.metrics.curvature.part import CurvaturePart, Event
from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class Curvature(Metric):
    """Extreme eigenpairs of a curvature matrix by Lanczos, and what `parts` tell of the matrix beside them.

    Everything is a pure function of parameters and data: no mode, buffer, `.grad` or generator of the run is touched.
    Each event draws from a generator of its own, seeded alike.

    Args:
        examples: how many of the training examples, always the same, all where there are no more (inf); None takes
            the batch of the step. At least 1.
        matrix: the Hessian, or one that stands for it.
        top: how many of the largest eigenvalues, ≥ 1; fewer where there are not so many.
        bottom: how many of the smallest of the rest, ≥ 0.
        tolerance: relative error allowed to each, > 0.
        parts: what is told, by any name; None leaves one out.
    """

    batchable: ClassVar[bool] = False

    budget: float | None = 0.1
    examples: float | None = field(default=None, metadata={"infinite": True})
    matrix: Matrix = field(default_factory=Hessian)
    top: int = 5
    bottom: int = 1
    tolerance: float = 1e-2
    parts: Mapping[str, CurvaturePart | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.examples is not None:
            check_number(self, "examples", at_least=1)
        check_number(self, "top", at_least=1)
        check_number(self, "bottom", at_least=0)
        check_number(self, "tolerance", above=0)

    @property
    def differentiates(self) -> int:
        return 2

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        total = observation.total(self.examples)
        product = self.matrix.product(total, observation.params)
        generator = torch.Generator(device="cpu").manual_seed(0)
        top = min(self.top, product.size)
        bottom = min(self.bottom, product.size - top)
        found = spectrum(product, generator, top, bottom, self.tolerance)
        seen = Event(observation, total, self.matrix, product, found, generator)
        values: dict[str, Tensor] = {}
        for part in self.parts.values():
            values |= {} if part is None else part(seen)
        return values
