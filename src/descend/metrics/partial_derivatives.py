"""Every partial derivative of the total, when they are few."""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

from torch import Tensor

from descend.derivatives.tensors import derivative_tensor
from descend.metrics.parameter_values import names
from descend.metrics.to_order import ToOrder
from descend.types import Observation, Params
from descend.vectors import numel

LIMIT = 64
"""As many different numbers as a person would read."""


@dataclass(frozen=True)
class PartialDerivatives(ToOrder):
    """∂^k f / ∂θ_i … ∂θ_j for k = 1 … `order`, when there are at most 64 different ones in all.

    `derivative/x` is the first derivative in x, `derivative/x,y` the second in x and y; each is named once, its
    variables in the order of the parameters, as mixed derivatives are symmetric.

    Args:
        order: the highest order, ≥ 1.
    """

    def applies(self, params: Params) -> bool:
        size = numel(params)
        return math.comb(size + self.order, self.order) - 1 <= LIMIT

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        variables = [name.removeprefix("parameter/") for name in names(observation.params)]
        values = {}
        for order in range(1, self.order + 1):
            tensor = derivative_tensor(observation.loss, observation.params, order)
            for index in combinations_with_replacement(range(len(variables)), order):
                values[f"derivative/{','.join(variables[i] for i in index)}"] = tensor[index]
        return values
