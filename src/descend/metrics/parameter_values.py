"""Where the parameters are, when they are few."""

import itertools
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation, Params
from descend.vectors import numel

LIMIT = 32
"""As many numbers as result.json lists; beyond, curves of single parameters tell nobody anything."""


def names(params: Params) -> list[str]:
    """Return the name of each number, in flattened order: `parameter/x[0]`, `parameter/A[1,2]`."""
    return _names(tuple((name, x.shape) for name, x in params.items()))


@cache
def _names(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> list[str]:
    return [
        f"parameter/{name}" + (f"[{','.join(map(str, index))}]" if index else "")
        for name, shape in shapes
        for index in itertools.product(*map(range, shape))
    ]


@dataclass(frozen=True)
class ParameterValues(Metric):
    """Every parameter as a scalar of its own, when they are at most 32 numbers in all."""

    def applies(self, params: Params) -> bool:
        return numel(params) <= LIMIT

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        params = observation.params
        numbers = [number for x in params.values() for number in x.flatten().unbind()]
        return dict(zip(names(params), numbers, strict=True))
