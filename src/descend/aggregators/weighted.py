"""A sum with a chosen factor for each loss."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.checks import check_value
from descend.errors import ConfigurationError
from descend.scalars import cast
from descend.types import State


@dataclass(frozen=True)
class Weighted(Aggregator):
    """λᵢ = factors[nameᵢ], and 1 for every loss that is not named.

    Args:
        factors: factor ≥ 0 by the name of the loss; None is the plain sum.
    """

    factors: dict[str, float] | None = None

    def __post_init__(self) -> None:
        for name, factor in (self.factors or {}).items():
            check_value(f"{type(self).__name__}.factors[{name!r}]", factor, at_least=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        factors = self.factors or {}
        unknown = [name for name in factors if name not in names]
        if unknown:
            raise ConfigurationError(
                f"The factors name {', '.join(map(repr, unknown))}, but the losses of this objective are "
                f"{', '.join(map(repr, names))}: use those names in aggregator.factors."
            )
        one = torch.ones_like(losses[0])
        return {"weights": torch.stack([one * cast(factors.get(name, 1.0), one) for name in names])}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        return state["weights"], state
