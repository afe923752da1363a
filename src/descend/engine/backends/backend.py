"""The contract of a backend: it advances a stack of runs of one experiment."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from descend.engine.program import Final
from descend.engine.step import Standing
from descend.types import Batch

Pattern = tuple[tuple[bool, tuple[str, ...]], ...]
"""For each step of a block: whether its losses are recorded, and the metrics due at it."""


class Summary(NamedTuple):
    """The results of a block of steps for every run, and the records of k of its steps. Each tensor more costs time.

    Attributes:
        lowest: the lowest finite total, [runs].
        finite: whether every total was finite, [runs].
        least: the smallest value of each size that a rule bounds, [runs], by the rule's name.
        totals: the totals at the steps recorded, [k, runs].
        losses: the losses there, [k, runs, m]; None where there is only one.
        sizes: the sizes that rules bound at these steps, [k, runs] each, by the rule's name.
        observed: for each step with metrics due, by offset, their values by name, [runs, …] each.
    """

    lowest: Tensor
    finite: Tensor
    least: dict[str, Tensor]
    totals: Tensor
    losses: Tensor | None
    sizes: dict[str, Tensor]
    observed: dict[int, dict[str, Tensor]]


class Backend(ABC):
    """Advances the runs of one experiment. What it holds never changes with the steps made: `carry` is all that does.

    Attributes:
        name: as in `provenance`.
        names: of the losses.
        carry: what goes from step to step, of all runs; in a form of the backend's own.
        steps_per_call: how many steps are best made by one call.
        aligned: whether a run must go on at a multiple of `steps_per_call`, to be made by the same programs.
    """

    name: ClassVar[str]
    names: tuple[str, ...]
    carry: Any
    steps_per_call: int = 1
    aligned: bool = False

    @abstractmethod
    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> list[Summary]:
        """Make one step for each batch; `carry` is replaced, never changed, so that a block can be made again.

        Returns:
            What its parts tell, in order; the offsets of `observed` count from the first step.
        """

    @abstractmethod
    def select(self, places: Sequence[int]) -> None:
        """Go on with these runs only, given by their places in the stack."""

    @abstractmethod
    def columns(self, places: Sequence[int]) -> list[Any]:
        """Return the carry of these runs as a list of tensors [runs, …] (or other things of one run)."""

    @abstractmethod
    def standing(self, columns: list[Any], runs: Sequence[int]) -> Standing:
        """Return where these runs of the stack stand, whose carry the columns are, tensors [runs, …]."""

    @abstractmethod
    def place(self, columns: list[Any]) -> None:
        """Take up a carry that `columns` gave for all runs of the stack."""

    def plain(self, columns: list[Any]) -> list[Any]:
        """Return columns as a checkpoint can hold them."""
        return list(columns)

    def filled(self, saved: list[Any]) -> list[Any]:
        """Return the columns that `plain` was made of, in their place."""
        return list(saved)

    @abstractmethod
    def finish(self, columns: list[Any]) -> Final:
        """Evaluate the last parameters of all runs that the stack began with; tensors [runs, …]."""

    @abstractmethod
    def evaluations(self, columns: list[Any], steps: int) -> dict[str, int]:
        """Return how often a run that made `steps` steps evaluated what, its end included."""
