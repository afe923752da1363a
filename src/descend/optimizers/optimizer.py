"""The contract of an optimizer: one update, as a pure function."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from descend.checks import check_number
from descend.scalars import Scalar
from descend.types import Composed, Loss, Params, State


@dataclass(frozen=True)
class Optimizer(ABC):
    """One update rule, its fields the hyperparameters.

    A method is a frozen dataclass written for one run. Its `float` fields (also those inside a tuple) may hold 0-d
    tensors when a sweep stacks runs, so `step` uses them in arithmetic only. Numbers that change from step to step
    (counters, powers of β) are in the state: Python numbers to begin with, tensors once a step is traced.

    What `init` and `step` draw from torch's global generator becomes the run's own: it depends on the run's seed, the
    step and which draw it is, alone and in any stack.

    Args:
        lr: learning rate, > 0; a schedule multiplies it.

    Attributes:
        batchable: whether `step` is made of tensor operations alone, so that many runs can be stacked into one program.
        entrywise: whether what becomes of an entry of a parameter depends on that entry's own values and gradients
            alone, and `step` never calls `loss`. The parameters of a network are then handed over as one vector.
    """

    batchable: ClassVar[bool] = True
    entrywise: ClassVar[bool] = False

    lr: float = 1e-3

    def __post_init__(self) -> None:
        check_number(self, "lr", above=0)

    @property
    def line_search(self) -> bool:
        """Whether a step searches along a line, where the gradients it meets must be those of one function."""
        return False

    @property
    def differentiates(self) -> int:
        """The highest order of derivatives of `loss` that a step computes itself; tried before the run if above 1."""
        return 0

    @property
    def needs_squares(self) -> bool:
        """Whether it asks `loss.residuals`, which an objective of `LeastSquares` has: params -> r [m] with f = ‖r‖²."""
        return False

    @property
    def needs_outputs(self) -> bool:
        """Whether it calls `loss.composed()`, which only the loss of a network has; see `Composed`."""
        return False

    def attached(self, network: Composed, params: Params) -> Self:
        """Return the optimizer prepared for this network, given on two examples; called if it `needs_outputs`.

        Raises:
            ConfigurationError: the optimizer cannot handle such a network.
        """
        return self

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        """Return what `steps` steps evaluated beyond the gradients they were given, by the names of result.json.

        Calls of `loss` are counted where `step` makes them, unless the optimizer is batchable: a traced step calls it
        once for all, so a batchable one, which does the same at every step, states them here.
        """
        return {}

    @property
    def seeds_itself(self) -> bool:
        """Whether `step` lends the global generators to code that seeds them, so that the engine leaves them alone."""
        return False

    @property
    def rates(self) -> Scalar | dict[str, Scalar]:
        """The learning rate; by group, where groups of parameters have their own."""
        return self.lr

    def scaled(self, factor: Scalar) -> Self:
        """Return a copy whose learning rates are so many times those of this one; a schedule asks for it."""
        changed = copy.copy(self)
        object.__setattr__(changed, "lr", self.lr * factor)
        return changed

    def suited(self, params: Params, kinds: Mapping[str, str]) -> Self:
        """Return the optimizer for parameters of these kinds, see `descend.kinds`; most treat all alike.

        Raises:
            ConfigurationError: it cannot optimize such parameters.
        """
        return self

    @abstractmethod
    def init(self, params: Params) -> State:
        """Return the state before the first step; its tensors take dtype and device from `params`."""

    def begin(self, params: Params, seed: int) -> State:
        """Return the state before the first step of a run with this seed, for methods that draw; others have `init`."""
        return self.init(params)

    def reported(self, params: Params, state: State) -> Params:
        """Return the point that a run is judged by, where that is another than the one whose gradient a step takes."""
        return params

    def also_tested(self, params: Params, state: State) -> dict[str, Params]:
        """Return other points by name that are tested as well as the parameters, an average of them, say."""
        return {}

    @property
    def has_other_points(self) -> bool:
        """Whether `reported` or `also_tested` have other points than the parameters."""
        return False

    @property
    def tries_points(self) -> bool:
        """Whether the parameters are a trial point, which a step sees and then takes or leaves.

        Such a run stands at `reported` after the step that sees the parameters, and is judged by `reported_values`.
        """
        return False

    def reported_values(self, state: State) -> tuple[Tensor, Tensor]:
        """Return the value and ‖gradient‖ at the point reported, [] each, of a method that `tries_points`."""
        raise NotImplementedError

    def changes(self, params: Params, value: Tensor, before: State, after: State) -> dict[str, Tensor]:
        """Return the relative changes `xtol` and `ftol`, [] each, that a trial made; for methods that `tries_points`.

        Args:
            params, value: the trial point, and the function there.
            before, after: the states before and after the step that evaluated it.
        """
        raise NotImplementedError

    @abstractmethod
    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        """Return new parameters and state; nothing passed in is changed.

        Runs without autograd. `loss` is the scalar function whose gradient was given, for line searches and curvature;
        first-order methods never call it. Its value at `params` is known: to ask for that evaluates nothing.
        """
