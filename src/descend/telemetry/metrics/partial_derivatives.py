"""Every partial derivative of the total, when they are few."""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

from torch import Tensor

from descend.checks import check_number
from descend.derivatives.tensors import derivative_tensor
from descend.telemetry.metric import Metric
from descend.telemetry.metrics.parameter_values import names
from descend.types import Observation, Params

LIMIT = 64
"""As many different numbers as a person would read."""


@dataclass(frozen=True)
class PartialDerivatives(Metric):
    """∂^k f / ∂θ_i … ∂θ_j for k = 1 … `order`, when there are at most 64 different ones in all.

    `derivative/x` is the first derivative in x, `derivative/x,y` the second in x and y; each is named once, its
    variables in the order of the parameters, as mixed derivatives are symmetric.

    Args:
        order: the highest order, ≥ 1.
    """

    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "order", at_least=1)

    @property
    def differentiates(self) -> int:
        return self.order

    def applies(self, params: Params) -> bool:
        size = sum(x.numel() for x in params.values())
        return math.comb(size + self.order, self.order) - 1 <= LIMIT

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        variables = [name.removeprefix("parameter/") for name in names(observation.params)]
        values = {}
        for order in range(1, self.order + 1):
            tensor = derivative_tensor(observation.loss, observation.params, order)
            for index in combinations_with_replacement(range(len(variables)), order):
                values[f"derivative/{','.join(variables[i] for i in index)}"] = tensor[index]
        return values
