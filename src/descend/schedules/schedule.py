"""The contract of a learning-rate schedule."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Schedule(ABC):
    """A factor on the learning rate as a pure function of the step."""

    @abstractmethod
    def factor(self, step: int | Tensor, steps: int) -> float | Tensor:
        """Return the factor at `step` of `steps`.

        `step` is a Python number in a run of its own and a 0-d int64 tensor in a traced one; both give the same factor,
        to the last bit: a 0-d float64 tensor, or a Python number where it never changes.
        """
