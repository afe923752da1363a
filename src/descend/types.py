"""Names for the shapes of data that every part of descend hands to the next. No logic lives here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Params = dict[str, Tensor]
"""Parameters by name, each of any shape; gradients and directions have the same names and shapes."""

Losses = dict[str, Tensor]
"""Scalar losses by name, each of shape []."""

Batch = Any
"""What an objective draws for one step: a tensor, a dict of tensors, or None for the whole objective."""

State = Any
"""What an optimizer or aggregator carries from step to step: nested dicts of tensors and numbers."""

Loss = Callable[[Params], Tensor]
"""One scalar function of the parameters, differentiable in them."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A network's losses on some of the data as functions of its outputs: λ·losses = outer ∘ outputs.

    Attributes:
        outputs: params -> the network's outputs [examples, …].
        outer: outputs -> λ·losses [], penalties of the parameters left out.
        drawn: outputs -> √n · λ·losses [] at n labels drawn from the distribution that these outputs define. Where λ is
            1, its gradient has the mean 0, and its covariance is the Hessian of `outer`. None where the losses are not
            known to be minus the logarithm of a density.
    """

    outputs: Callable[[Params], Tensor]
    outer: Callable[[Tensor], Tensor]
    drawn: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """The total on some of the data.

    Attributes:
        loss: λ·losses as a function of the parameters.
        composed: the same as functions of a network's outputs; None where there is no network.
    """

    loss: Loss
    composed: Composed | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a step saw, before its update: all that a metric may look at.

    Attributes:
        step: how many updates were made before this point.
        params: the parameters, without a graph.
        losses: the raw losses by name, each of shape [], without a graph.
        weights: the aggregator's weights λ, shape [m], in the order of `losses`; 1 where it has none.
        gradients: the gradient of λ·losses, by parameter, before clipping; the direction, where `directed`.
        previous: the gradients of the step before; zeros at the first.
        previous_losses: the raw losses of the step before; at the first, those of the start over the whole data.
        update: new minus old parameters, or None at the end of a run, where no update follows.
        lr: the learning rate after the schedule; by group, where groups of parameters have their own.
        loss: the function λ·losses of the parameters on this batch, λ held fixed.
        total: returns the total on so many examples, always the same ones, or on this batch for None.
        jacobian: returns the gradients of the single losses, shape [m, n]; computed when called, if it was not.
        evaluate: returns the objective's test metrics; computed when called.
        directed: whether the aggregator has a direction of its own, which is the gradient of no λ·losses.
    """

    step: int | Tensor
    params: Params
    losses: Losses
    weights: Tensor
    gradients: Params
    previous: Params
    previous_losses: Losses
    update: Params | None
    lr: float | Tensor | dict[str, float | Tensor]
    loss: Loss
    total: Callable[[float | None], Total]
    jacobian: Callable[[], Tensor]
    evaluate: Callable[[], dict[str, Tensor]]
    directed: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """What an objective would show at the end of a run: functions over a domain of one or two variables.

    Attributes:
        axes: the coordinates along each axis by its variable, [k] each.
        found: what the parameters give, by name, [k] or [k₁, k₂].
        exact: the same where it is known, for some or none of the names.
    """

    axes: dict[str, Tensor]
    found: dict[str, Tensor]
    exact: dict[str, Tensor]
