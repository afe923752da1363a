"""The curvature of large problems, from Hessian-vector products."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.products import HessianProduct
from descend.derivatives.spectrum import spectrum
from descend.metrics.hessian_exact import HessianExact
from descend.metrics.metric import Metric
from descend.types import Observation, Params


@dataclass(frozen=True)
class HessianExtremes(Metric):
    """The largest eigenvalues of the Hessian of the step's loss and the smallest, by Lanczos, beyond 256 parameters.

    `hessian/eigenvalue/0` is the largest; `hessian/smallest` below zero tells of negative curvature.

    Args:
        top: how many of the largest, ≥ 1.
        tolerance: relative error allowed, > 0.
    """

    batchable: ClassVar[bool] = False

    top: int = 5
    tolerance: float = 1e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "top", at_least=1)
        check_number(self, "tolerance", above=0)

    @property
    def differentiates(self) -> int:
        return 2

    def applies(self, params: Params) -> bool:
        return not HessianExact().applies(params)

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        product = HessianProduct(observation.loss, observation.params)
        # The same start at every event: a metric draws nothing from the run's own generator.
        generator = torch.Generator(device="cpu").manual_seed(0)
        found = spectrum(product, generator, top=self.top, bottom=1, tolerance=self.tolerance)
        values = {f"hessian/eigenvalue/{i}": value for i, value in enumerate(found.top.values)}
        return values | {"hessian/smallest": found.bottom.values[0]}
