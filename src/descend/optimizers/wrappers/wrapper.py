"""The contract of a wrapper: an optimizer around another one, whose step it changes."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from descend.errors import ConfigurationError
from descend.optimizers.adam import Adam
from descend.optimizers.optimizer import Optimizer
from descend.scalars import Scalar
from descend.types import Composed, Params, State


@dataclass(frozen=True)
class Wrapper(Optimizer):
    """An optimizer around another one. Wrappers fit any optimizer, other wrappers among them; the last is outermost.

    Its state has that of the optimizer inside as `inner`, and what is its own beside it.

    Args:
        inner: the optimizer inside; on the command line that of `optimizer`, or the wrapper named before in `wrap`.
    """

    lr: float | None = field(default=None, init=False)  # type: ignore[assignment]  # the optimizer inside has it
    inner: Optimizer = field(default_factory=Adam, kw_only=True)

    def __post_init__(self) -> None:
        if self.inner.tries_points:
            raise ConfigurationError(
                f"{type(self.inner).__name__} cannot be wrapped in {type(self).__name__}: it tries points and takes or "
                "leaves them by what it found there, which no other part may move; set wrap=none, or use another "
                "optimizer."
            )
        object.__setattr__(self, "batchable", self.inner.batchable)

    @property
    def line_search(self) -> bool:
        return self.inner.line_search

    @property
    def differentiates(self) -> int:
        return self.inner.differentiates

    @property
    def needs_outputs(self) -> bool:
        return self.inner.needs_outputs

    @property
    def seeds_itself(self) -> bool:
        return self.inner.seeds_itself

    @property
    def rates(self) -> Scalar | dict[str, Scalar]:
        return self.inner.rates

    @property
    def has_other_points(self) -> bool:
        return self.inner.has_other_points

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return self.inner.evaluations(steps, state.get("inner", {}))

    def scaled(self, factor: Scalar) -> Self:
        return self._around(self.inner.scaled(factor))

    def suited(self, params: Params, kinds: Mapping[str, str]) -> Self:
        return self._around(self.inner.suited(params, kinds))

    def attached(self, network: Composed, params: Params) -> Self:
        return self._around(self.inner.attached(network, params))

    def _around(self, inner: Optimizer) -> Self:
        changed = copy.copy(self)
        object.__setattr__(changed, "inner", inner)
        return changed

    def own(self, params: Params) -> dict[str, Any]:
        """Return what is in the state beside that of the optimizer inside, before the first step."""
        return {}

    def init(self, params: Params) -> State:
        return self.begin(params, 0)

    def begin(self, params: Params, seed: int) -> State:
        return {"inner": self.inner.begin(params, seed), **self.own(params)}

    def reported(self, params: Params, state: State) -> Params:
        return self.inner.reported(params, state["inner"])

    def also_tested(self, params: Params, state: State) -> dict[str, Params]:
        return self.inner.also_tested(params, state["inner"])
