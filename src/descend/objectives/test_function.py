"""The contract of the classic test functions of a vector, and the checks they share."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.objective import Objective
from descend.types import Batch, Losses, Params

MOST = 10_000_000
"""The largest dim: starts and minimisers are lists, which take some 30 bytes a number."""


@dataclass(frozen=True)
class TestFunction(Objective):
    """A function of one vector `x` of shape [dim] with a domain, a customary start and a known minimum.

    Args:
        dim: number of variables.
        start: the first point, `dim` numbers; None takes the customary start.
        random_start: draw the start uniformly from the domain, by the seed.

    Attributes:
        domain: lower and upper bound of each variable in the literature; one pair for all, or one for each.
        dims: the dimensions the function exists in, as (smallest, largest or None for any).
    """

    __test__: ClassVar[bool] = False  # pytest collects classes by this prefix
    domain: ClassVar[tuple[tuple[float, float], ...]]
    dims: ClassVar[tuple[int, int | None]] = (2, 2)
    start_fields: ClassVar[tuple[str, ...]] = ("start", "random_start")

    dim: int = 2
    start: Sequence[float] | None = None
    random_start: bool = False

    def __post_init__(self) -> None:
        low, high = self.dims
        if self.dim < low or (high is not None and self.dim > high):
            expected = f"exactly {low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
            raise ConfigurationError(f"{type(self).__name__} has dim={self.dim}, but it needs {expected}; change dim.")
        if self.dim > MOST:
            raise ConfigurationError(
                f"{type(self).__name__} has dim={self.dim:,}, but at most {MOST:,} are supported; change dim."
            )
        if self.start is not None and len(self.start) != self.dim:
            raise ConfigurationError(
                f"{type(self).__name__} was given a start of {len(self.start)} numbers, but dim is {self.dim}: "
                f"give {self.dim} numbers, or set dim={len(self.start)}."
            )

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """Return f(x), shape [], of the point `x`, shape [dim]."""

    def customary_start(self) -> Sequence[float]:
        """Return the start used in the literature, `dim` numbers; if there is none, three quarters up the domain."""
        lower, upper = self.bounds()
        return (lower + 0.75 * (upper - lower)).tolist()

    @property
    def minimizers(self) -> Sequence[Sequence[float]] | None:
        """Every known global minimiser, each of `dim` numbers, or None where none is published."""
        return None

    def best_points(self) -> Sequence[Sequence[float]]:
        return self.minimizers or ()

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the lower and upper bounds, each float64 of shape [dim]."""
        pairs = self.domain if len(self.domain) == self.dim else self.domain[:1] * self.dim
        lower, upper = torch.tensor(pairs, dtype=torch.float64, device="cpu").unbind(dim=1)
        return lower, upper

    def init(self, generator: torch.Generator) -> Params:
        if self.random_start:
            lower, upper = (bound.to(generator.device) for bound in self.bounds())
            unit = torch.rand(self.dim, generator=generator, dtype=torch.float64, device=generator.device)
            return {"x": lower + (upper - lower) * unit}
        start = self.customary_start() if self.start is None else list(self.start)
        return {"x": torch.tensor(start, dtype=torch.float64, device=generator.device)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"value": self.value(params["x"])}
