"""The contract of an aggregator: several losses into one."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.types import State


@dataclass(frozen=True)
class Aggregator(ABC):
    """Weights λ for the losses; with λ held fixed the total is λ·losses and its gradient λᵀJ.

    Every optimizer therefore sees one scalar function and never learns that there were several losses. Written for
    one run; `float` fields may hold 0-d tensors in a stacked sweep.

    A method whose direction is no λᵀJ (one that takes some entries from one gradient and some from another) says so by
    `weighs` and gives its `direction`: the total is then the sum of the losses, all weights 1, and the direction
    stands where its gradient would.

    Attributes:
        batchable: whether `weights` is made of tensor operations alone, of shapes that do not depend on values, so that
            many runs can be stacked into one program.
        seeds_itself: whether it seeds what it draws from; what others draw from torch's global generator becomes the
            run's own.
        uses_jacobian: whether the weights depend on the gradients of the losses. An aggregated direction is then not
            the gradient of one scalar over a whole line, so methods with a line search refuse it.
    """

    batchable: ClassVar[bool] = True
    seeds_itself: ClassVar[bool] = False
    uses_jacobian: ClassVar[bool] = False

    @property
    def weighs(self) -> bool:
        """Whether the direction is λᵀJ; where not, `direction` is called in place of `weights`."""
        return True

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        """Return the state before the first step, given the losses at the start, shape [m], and their names.

        A state is nested dicts of tensors and numbers; its tensors take dtype and device from `losses`.
        """
        return {}

    def begin(self, losses: Tensor, names: tuple[str, ...], seed: int) -> State:
        """Return the state before the first step of a run with this seed, for methods that draw; others have `init`."""
        return self.init(losses, names)

    @abstractmethod
    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        """Return the weights λ, shape [m], and the new state.

        Args:
            losses: the losses, shape [m], without a graph.
            jacobian: returns their gradients, shape [m, n], rows over all parameters raveled; computed when called,
                and once.
            state: what `init` or the last call returned.
        """

    def direction(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        """Return the direction, shape [n], and the new state; for methods that do not weigh alone.

        Args:
            losses, jacobian, state: as for `weights`.
        """
        raise NotImplementedError(f"{type(self).__name__} weighs the losses, and has no direction of its own.")
