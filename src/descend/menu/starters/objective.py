"""An objective: the function that a run minimises. Change the formula, the start and the fields."""

from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.objectives.objective import Objective
from descend.types import Batch, Losses, Params


@dataclass(frozen=True)
class NewObjective(Objective):
    """f(x) = steepness · Σᵢ (xᵢ − 1)²: a bowl with its minimum, 0, at x = (1, …, 1).

    Args:
        steepness: > 0.
        dim: how many numbers x has, ≥ 1.
    """

    # A sweep stacks runs that differ in a field annotated `float`. Any other type gives programs of their own.
    steepness: float = 2.0
    dim: int = 3

    def __post_init__(self) -> None:
        check_number(self, "steepness", above=0)
        check_number(self, "dim", at_least=1)

    # The start: tensors by name, in float64. Draw from the generator alone, so that a seed gives the same start.
    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.randn(self.dim, generator=generator, dtype=torch.float64, device=generator.device)}

    # The losses by name, each of shape []. With several, the aggregator says how they become one.
    # Use tensor operations alone: no `if` on a tensor, no `.item()`, and change no tensor in place.
    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"value": self.steepness * ((params["x"] - 1) ** 2).sum()}

    # The least value of the sum of the losses. Remove this where it is not known.
    @property
    def minimum(self) -> float | None:
        return 0.0
