"""The pure step: parameters and states in, parameters and states out."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from descend.engine.experiment import Experiment
from descend.engine.flat import begin_state, make_update
from descend.graph.compat import pytree
from descend.objectives.objective import Objective
from descend.types import Batch, Loss, Losses, Observation, Params, State, Total


class Carry(NamedTuple):
    """All that goes from one step to the next; `gradients` and `losses` [m] are the last step's, `step` counts them."""

    params: Params
    optimizer: State
    aggregator: State
    gradients: Params
    losses: Tensor
    step: int | Tensor


class LossGradients:
    """The losses at one point with their graph: their Jacobian when asked, and any weighted gradient."""

    def __init__(self, leaves: Params, losses: Losses) -> None:
        self.leaves, self.losses = leaves, losses
        self.values = torch.stack([loss.detach() for loss in losses.values()])
        self._jacobian: Tensor | None = None

    @classmethod
    def at(cls, objective: Objective, params: Params, batch: Batch) -> Self:
        """Evaluate the losses of an objective at `params`."""
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        with torch.enable_grad():
            losses = losses_of(objective, leaves, batch)
        return cls(leaves, losses)

    def jacobian(self) -> Tensor:
        """Return the gradients of the losses as rows, shape [m, n]; a loss that no parameter moves has zeros."""
        if self._jacobian is None:
            rows = [self._gradient([loss], keep=True) for loss in self.losses.values()]
            self._jacobian = torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows])
        return self._jacobian

    def combined(self, weights: Tensor, keep: bool = False) -> Params:
        """Return λᵀJ by name: from the Jacobian's rows where they are known, else by one backward from all losses.

        Args:
            keep: keep the graph, for a Jacobian that is asked for afterwards.
        """
        if self._jacobian is None:
            with torch.enable_grad():
                weighted = [w * loss for w, loss in zip(weights.unbind(), self.losses.values(), strict=True)]
            return dict(zip(self.leaves, self._gradient(weighted, keep), strict=True))
        return self.named(weights @ self._jacobian)

    def named(self, direction: Tensor) -> Params:
        """Return a direction, shape [n], by name."""
        parts = direction.split([x.numel() for x in self.leaves.values()])
        return {name: part.view_as(x) for (name, x), part in zip(self.leaves.items(), parts, strict=True)}

    def _gradient(self, scalars: list[Tensor], keep: bool) -> tuple[Tensor, ...]:
        """Return the gradient of the sum of scalars, by leaf."""
        leaves = tuple(self.leaves.values())
        moved = [scalar for scalar in scalars if scalar.requires_grad]
        if not moved:
            return tuple(torch.zeros_like(x) for x in leaves)
        # Weights given as `grad_outputs` would spare a product, but to compare shapes torch then imports its symbolic
        # ones and sympy, half a second at every start.
        return torch.autograd.grad(moved, leaves, retain_graph=keep, allow_unused=True, materialize_grads=True)


def losses_of(objective: Objective, params: Params, batch: Batch) -> Losses:
    """Return the losses in the precision of the parameters.

    A number [] of the objective's that is given as a tensor would make float64 of a float32 loss [].
    """
    dtype = next(iter(params.values())).dtype
    return {name: loss.to(dtype) for name, loss in objective.losses(params, batch).items()}


def total(objective: Objective, weights: Tensor, batch: Batch) -> Loss:
    """Return λ·losses as a function of the parameters, λ and the batch held fixed."""

    def loss(params: Params) -> Tensor:
        return torch.dot(weights, torch.stack(tuple(losses_of(objective, params, batch).values())))

    return loss


def start(experiment: Experiment, params: Params) -> Carry:
    """Return the carry before the first step of an experiment that is in its place."""
    with torch.no_grad():
        losses = losses_of(experiment.objective, params, None)
        values = torch.stack(tuple(losses.values()))
    return Carry(
        params=params,
        optimizer=begin_state(experiment.optimizer, params, experiment.seed),
        aggregator=experiment.aggregator.init(values, tuple(losses)),
        gradients={name: torch.zeros_like(x) for name, x in params.items()},
        losses=values,
        step=0,
    )


def lift(carry: Carry) -> Carry:
    """Return the carry with its Python numbers as 0-d tensors, and with memory of its own for each of its tensors.

    A recorded step takes them as inputs, not constants. Memory that two names share would be written twice by an
    update in place, and once by the update that is recorded.
    """
    device = next(iter(carry.params.values())).device

    def lifted(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.clone()
        if isinstance(leaf, bool) or not isinstance(leaf, int | float):
            return leaf
        dtype = torch.int64 if isinstance(leaf, int) else torch.float64
        return torch.tensor(leaf, dtype=dtype, device=device)

    return pytree.tree_map(lifted, carry)


def uncounted(loss: Loss) -> Loss:
    """Count nothing: a recorded step calls the loss once for all the steps that will follow."""
    return loss


class Taken(NamedTuple):
    """What an evaluation of the losses found: their names, values [m], weights [m], and the weighted gradient.

    The Jacobian [m, n] is there where it was asked for.
    """

    names: tuple[str, ...]
    values: Tensor
    weights: Tensor
    gradients: Params
    jacobian: Tensor | None = None


def evaluate(
    experiment: Experiment, params: Params, batch: Batch, state: State, jacobian: bool = False
) -> tuple[Taken, State]:
    """Return the losses at `params`, the aggregator's weights, the gradient of λ·losses, and the aggregator's state.

    Of an aggregator without weights they are 1, and in the gradient's place stands its direction.

    Args:
        jacobian: whether a metric will want the Jacobian. The gradient is computed as without, so that what is looked
            at does not change where the run goes.
    """
    found = LossGradients.at(experiment.objective, params, batch)
    several, aggregator = len(found.losses) > 1, experiment.aggregator
    if aggregator.weighs:
        weights, state = aggregator.weights(found.values, found.jacobian, state)
        gradients = found.combined(weights, keep=jacobian and several)
    else:
        direction, state = aggregator.direction(found.values, found.jacobian, state)
        weights, gradients = torch.ones_like(found.values), found.named(direction)
    rows = found.jacobian() if jacobian and several else None
    return Taken(tuple(found.losses), found.values, weights, gradients, rows), state


def advance(
    experiment: Experiment, carry: Carry, batch: Batch, count: Callable[[Loss], Loss], jacobian: bool = False
) -> tuple[Carry, Taken]:
    """Make one update; runs without autograd around it.

    Args:
        count: wraps the scalar function handed to the optimizer, to count its evaluations.
        jacobian: as for `evaluate`.
    """
    taken, aggregator = evaluate(experiment, carry.params, batch, carry.aggregator, jacobian)
    loss = count(total(experiment.objective, taken.weights, batch))
    optimizer = experiment.optimizer_at(carry.step)
    found, state = make_update(optimizer, carry.params, experiment.clip(taken.gradients), carry.optimizer, loss)
    # A number [] that was given as a tensor would make float64 of a float32 parameter [].
    params = {name: found[name].to(x.dtype) for name, x in carry.params.items()}
    return Carry(params, state, aggregator, taken.gradients, taken.values, carry.step + 1), taken


def observe(experiment: Experiment, before: Carry, taken: Taken, after: Carry | None, batch: Batch) -> Observation:
    """Return what metrics may look at: the point `before`, what was found there, and the update, if one followed."""
    update = None if after is None else {name: after.params[name] - x for name, x in before.params.items()}

    def on(examples: float | None) -> Total:
        chosen = batch if examples is None else experiment.objective.sample(examples)
        return experiment.objective.composed(total(experiment.objective, taken.weights, chosen), taken.weights, chosen)

    def jacobian() -> Tensor:
        rows = taken.jacobian
        return LossGradients.at(experiment.objective, before.params, batch).jacobian() if rows is None else rows

    return Observation(
        step=before.step,
        params=before.params,
        losses=dict(zip(taken.names, taken.values.unbind(), strict=True)),
        weights=taken.weights,
        gradients=taken.gradients,
        previous=before.gradients,
        previous_losses=dict(zip(taken.names, before.losses.unbind(), strict=True)),
        update=update,
        lr=experiment.optimizer_at(before.step).lr,
        loss=total(experiment.objective, taken.weights, batch),
        total=on,
        jacobian=jacobian,
        evaluate=lambda: experiment.objective.evaluate(before.params),
        directed=not experiment.aggregator.weighs,
    )
