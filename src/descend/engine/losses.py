"""The losses of an objective as functions of the parameters, and their gradients at a point."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Self, cast

import torch
from torch import Tensor

from descend.graph.chance import Chance
from descend.objectives.least_squares import LeastSquares
from descend.objectives.objective import Objective
from descend.types import Batch, Composed, Loss, Losses, Params, State


class LossGradients:
    """The losses at one point with their graph: their Jacobian when asked, and any weighted gradient."""

    def __init__(self, leaves: Params, losses: Losses) -> None:
        self.leaves, self.losses = leaves, losses
        self.values = torch.stack([loss.detach() for loss in losses.values()])
        self._jacobian: Tensor | None = None

    @classmethod
    def of(cls, evaluation: "Evaluation", params: Params) -> tuple[Self, State]:
        """Evaluate losses at `params`, and return the state of the objective after it."""
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        with torch.enable_grad():
            losses, state = evaluation(leaves)
        return cls(leaves, losses), state

    @classmethod
    def mean_of(cls, evaluations: Sequence["Evaluation"], params: Params) -> tuple[Self, State]:
        """Evaluate losses on the parts of a batch in turn, the graph of one at a time; each leaves the next its state.

        Returns their means, with the mean of their Jacobians.
        """
        state = evaluations[0].state
        values: list[Tensor] = []
        rows: list[Tensor] = []
        for each in evaluations:
            found, state = cls.of(replace(each, state=state), params)
            values, rows = [*values, found.values], [reduce(torch.add, [*rows, found.jacobian()])]
        mean = torch.stack(values).mean(0)
        whole = cls(found.leaves, dict(zip(found.losses, mean.unbind(), strict=True)))
        whole._jacobian = rows[0] / len(evaluations)
        return whole, state

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


@dataclass(frozen=True)
class Evaluation:
    """The losses of an objective as a function of the parameters: its state, the batch and the draws are held fixed.

    Attributes:
        objective: in its place.
        state: of it; by default none.
        batch: None for the whole data.
        chance: what is drawn; None leaves it to the process's own generator.
        training: whether it is evaluated as a training step does (a batch norm takes the batch's statistics, a dropout
            drops), or as it is used.
        lowered: whether the products and convolutions of training are computed in bfloat16.
    """

    objective: Objective
    state: State = field(default_factory=dict)
    batch: Batch = None
    chance: Chance | None = None
    training: bool = False
    lowered: bool = False

    def __call__(self, params: Params) -> tuple[Losses, State]:
        """Return the losses, in the precision of the parameters, and the objective's state after them.

        A number [] of the objective's that is given as a tensor would make float64 of a float32 loss [].
        """
        objective, dtype = self.objective.with_state(self.state), next(iter(params.values())).dtype
        with self.chance or nullcontext(), self._lowering(params):
            found = objective.training_losses(params, self.batch) if self.training else None
            losses, state = (objective.losses(params, self.batch), self.state) if found is None else found
        return {name: loss.to(dtype) for name, loss in losses.items()}, state

    def _lowering(self, params: Params) -> AbstractContextManager[Any]:
        """Return a context that computes in bfloat16 if the precision is lowered."""
        if not (self.lowered and self.training):
            return nullcontext()
        # Casts that are kept for a second use would be kept beyond the step that is recorded.
        return torch.autocast(next(iter(params.values())).device.type, torch.bfloat16, cache_enabled=False)

    def residuals(self, params: Params) -> Tensor:
        """Return the residuals [m] of an objective of least squares."""
        objective = cast(LeastSquares, self.objective)
        return objective.residuals(params, self.batch).to(next(iter(params.values())).dtype)

    def composed(self, weights: Tensor) -> Composed:
        """Return the weighted losses as functions of a network's outputs, in the precision of the parameters."""
        found = cast(Composed, self.objective.with_state(self.state).composed(weights, self.batch, self.training))

        def outputs(params: Params) -> Tensor:
            with self.chance or nullcontext(), self._lowering(params):
                return found.outputs(params).to(next(iter(params.values())).dtype)

        return replace(found, outputs=outputs)


def total(evaluation: Evaluation, weights: Tensor) -> Loss:
    """Return λ·losses as a function of the parameters, λ held fixed, too."""

    def loss(params: Params) -> Tensor:
        return torch.dot(weights, torch.stack(tuple(evaluation(params)[0].values())))

    return loss


@dataclass(frozen=True)
class StepLoss:
    """The loss as an optimizer's step is given it: its value at the step's parameters is known, not computed again.

    Attributes:
        loss: the function.
        params, value: the step's parameters, and its value there, [].
        evaluation, weights: the losses whose weighted sum it is, and their weights [m].
    """

    loss: Loss
    params: Params
    value: Tensor
    evaluation: Evaluation
    weights: Tensor

    def __call__(self, params: Params) -> Tensor:
        return self.value if params is self.params else self.loss(params)

    def residuals(self, params: Params) -> Tensor:
        """Return the residuals [m] whose sum of squares the loss is; for optimizers that ask for them."""
        return self.evaluation.residuals(params)

    def composed(self) -> Composed:
        """Return the loss as functions of a network's outputs; for optimizers that ask for them."""
        return self.evaluation.composed(self.weights)
