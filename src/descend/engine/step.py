"""The pure step: parameters and states in, parameters and states out."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from descend.engine.experiment import Experiment
from descend.engine.flat import begin_state, make_update, point_reported
from descend.engine.losses import Evaluation, LossGradients, StepLoss, total
from descend.engine.own import own_parts
from descend.graph.chance import LOOK, UPDATE, Chance
from descend.graph.compat import pytree, without_last_mode
from descend.types import Batch, Loss, Observation, Params, State, Total
from descend.vectors import norm


class Carry(NamedTuple):
    """All that goes from one step to the next.

    Attributes:
        params: the parameters.
        optimizer, aggregator, objective: the states of these.
        gradients, losses: the last step's; losses [m].
        step: how many were made.
        seed: of the run; what a step draws depends on it and on `step`.
    """

    params: Params
    optimizer: State
    aggregator: State
    objective: State
    gradients: Params
    losses: Tensor
    step: int | Tensor
    seed: int | Tensor

    def chance(self, part: int = 0) -> Chance:
        """Return what is drawn at this step, for a part of its batch."""
        return Chance(self.seed, self.step, part)


class Origin(NamedTuple):
    """Where a run begins: its parameters, the state of its objective, and its seed, int64 []; or [runs, …] of many."""

    params: Params
    objective: State
    seed: Tensor

    @classmethod
    def of(cls, params: Params, seed: int = 0) -> "Origin":
        """Return where one run begins whose objective has no state."""
        device = next(iter(params.values())).device
        return cls(params, {}, torch.tensor(seed, dtype=torch.int64, device=device))

    def of_run(self, run: int) -> "Origin":
        """Return one of many."""
        return pytree.tree_map(lambda x: x[run], self)


def start(experiment: Experiment, origin: Origin) -> Carry:
    """Return the carry before the first step of an experiment that is in its place."""
    params, seed = origin.params, origin.seed
    with torch.no_grad():
        evaluation = Evaluation(experiment.objective, origin.objective, chance=Chance(seed, 0))
        losses, _ = evaluation(params)
        values = torch.stack(tuple(losses.values()))
    with Chance(seed, 0, UPDATE):
        optimizer = begin_state(experiment.optimizer, params, experiment.seed)
        aggregator = experiment.aggregator.begin(values, tuple(losses), experiment.seed)
    return Carry(
        params=params,
        optimizer=optimizer,
        aggregator=aggregator,
        objective=origin.objective,
        gradients={name: torch.zeros_like(x) for name, x in params.items()},
        losses=values,
        step=0,
        seed=seed,
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


class LossesAndGradient(NamedTuple):
    """The losses of a step: their names, values [m] and weights [m], and the gradient of their weighted sum.

    The Jacobian [m, n] is there where it was asked for.
    """

    names: tuple[str, ...]
    values: Tensor
    weights: Tensor
    gradients: Params
    jacobian: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """Weights · losses, []."""
        return torch.dot(self.weights, self.values)


def evaluation_at(
    experiment: Experiment, carry: Carry, batch: Batch, training: bool = False, part: int = 0
) -> Evaluation:
    """Return the losses of a step on a batch, or on a part of it."""
    lowered = experiment.precision == "bf16"
    return Evaluation(experiment.objective, carry.objective, batch, carry.chance(part), training, lowered)


def evaluate(
    experiment: Experiment, carry: Carry, batch: Batch, training: bool, jacobian: bool = False
) -> tuple[LossesAndGradient, State, State]:
    """Return the losses at the carry's parameters, the aggregator's weights, and the gradient of λ·losses.

    Of an aggregator without weights they are 1, and in the gradient's place stands its direction. Behind them stand
    the states of the aggregator and the objective after the evaluation.

    Args:
        training: as `Evaluation` has it.
        jacobian: whether a metric will want the Jacobian. The gradient is computed as without, so that what is looked
            at does not change where the run goes.
    """
    parts = experiment.objective.parts(batch, experiment.accumulate) if training else [batch]
    each = [evaluation_at(experiment, carry, part, training, i) for i, part in enumerate(parts)]
    one = len(each) == 1
    found, objective = LossGradients.of(each[0], carry.params) if one else LossGradients.mean_of(each, carry.params)
    several, aggregator = len(found.losses) > 1, experiment.aggregator

    def unwatched_jacobian() -> Tensor:
        with without_last_mode():  # the chance is the aggregator's; to watch every backward pass would cost a third
            return found.jacobian()

    combine = aggregator.weights if aggregator.weighs else aggregator.direction
    if aggregator.seeds_itself:
        combined, state = combine(found.values, found.jacobian, carry.aggregator)
    else:
        with carry.chance(UPDATE):
            combined, state = combine(found.values, unwatched_jacobian, carry.aggregator)
    if aggregator.weighs:
        weights, gradients = combined, found.combined(combined, keep=jacobian and several)
    else:
        weights, gradients = torch.ones_like(found.values), found.named(combined)
    rows = found.jacobian() if jacobian and several else None
    kept = pytree.tree_map(lambda x: x.detach() if isinstance(x, Tensor) else x, objective)
    return LossesAndGradient(tuple(found.losses), found.values, weights, gradients, rows), state, kept


def advance(
    experiment: Experiment, carry: Carry, batch: Batch, count: Callable[[Loss], Loss], jacobian: bool = False
) -> tuple[Carry, LossesAndGradient]:
    """Make one update; runs without autograd around it.

    Args:
        count: wraps the scalar function handed to the optimizer, to count its evaluations.
        jacobian: as for `evaluate`.
    """
    evaluated, aggregator, objective = evaluate(experiment, carry, batch, True, jacobian)
    evaluation = evaluation_at(experiment, carry, batch, training=True)
    weights = evaluated.weights
    loss = StepLoss(count(total(evaluation, weights)), carry.params, evaluated.total, evaluation, weights)
    optimizer = experiment.optimizer_at(carry.step)
    gradients = experiment.clip(evaluated.gradients)
    with nullcontext() if optimizer.seeds_itself else carry.chance(UPDATE):
        found, state = make_update(optimizer, carry.params, gradients, carry.optimizer, loss)
    # A number [] that was given as a tensor would make float64 of a float32 parameter [].
    params = {name: found[name].to(x.dtype) for name, x in carry.params.items()}
    return Carry(
        params, state, aggregator, objective, evaluated.gradients, evaluated.values, carry.step + 1, carry.seed
    ), evaluated


def stopping_values(
    experiment: Experiment, evaluated: LossesAndGradient, before: Carry, after: Carry
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the total by which a run is judged at a step, [], and the sizes that its rules bound, [] each, by name.

    Total and gradient norm are those at the parameters, or, if the method tries points, at the best point so far.
    """
    asked, optimizer = experiment.stop.bounds, experiment.optimizer
    if not optimizer.tries_points:
        return evaluated.total, {"gradient_norm": norm(evaluated.gradients)} if asked else {}
    total, length = optimizer.reported_values(after.optimizer)
    sizes = {"gradient_norm": length}
    if "xtol" in asked or "ftol" in asked:
        sizes |= optimizer.changes(before.params, evaluated.total, before.optimizer, after.optimizer)
    return total, {name: sizes[name] for name in asked}


class Standing(NamedTuple):
    """Where a run stands, as it is judged and left.

    Attributes:
        params: the parameters that are reported.
        state: the objective's.
        also_tested: other points by name, an average of the parameters, say.
    """

    params: Params
    state: State
    also_tested: dict[str, Params]

    @classmethod
    def of(cls, experiment: Experiment, carry: Carry) -> "Standing":
        """Return where a carry stands; of a method that tries points, after it has seen the one on trial."""
        optimizer = experiment.optimizer
        if optimizer.tries_points:
            carry = advance(experiment, carry, None, uncounted)[0]._replace(objective=carry.objective)
        params = point_reported(optimizer, carry.params, carry.optimizer)
        return cls(params, carry.objective, optimizer.also_tested(carry.params, carry.optimizer))

    def tested(self, experiment: Experiment, carry: Carry) -> dict[str, Tensor]:
        """Return the objective's test metrics; those of another point have its name: `ema_accuracy`.

        Args:
            experiment, carry: of the run that stands here.
        """
        own = experiment.objective.with_state(self.state)
        found: dict[str, Tensor] = {}
        for name, params in {"": self.params, **self.also_tested}.items():
            with look_chance(own, carry):
                seen = own.evaluate(params)
            found |= {metric_at(metric, name) if name else metric: x for metric, x in seen.items()}
        return found


def look_chance(part: Any, carry: Carry) -> AbstractContextManager[Any]:
    """Return what an objective, or a metric, draws when it looks at a step; descend's own draw nothing there."""
    return nullcontext() if own_parts([part]) else carry.chance(LOOK)


def metric_at(metric: str, name: str) -> str:
    """Return the name of a test metric at another point: of `test_error` it is `test_ema_error`."""
    kind = next((kind for kind in ("test_", "validation_") if metric.startswith(kind)), "")
    return f"{kind}{name}_{metric.removeprefix(kind)}"


def observe(
    experiment: Experiment, before: Carry, evaluated: LossesAndGradient, after: Carry | None, batch: Batch
) -> Observation:
    """Return what metrics may look at: the point `before`, what was found there, and the update, if one followed."""
    update = None if after is None else {name: after.params[name] - x for name, x in before.params.items()}

    objective = experiment.objective.with_state(before.objective)

    def evaluation(batch: Batch, training: bool = False) -> Evaluation:
        return evaluation_at(experiment, before, batch, training)

    def on(examples: float | None) -> Total:
        chosen = batch if examples is None else objective.sample(examples)
        return Total(total(evaluation(chosen), evaluated.weights), objective.composed(evaluated.weights, chosen))

    def jacobian() -> Tensor:
        if evaluated.jacobian is not None:
            return evaluated.jacobian
        return LossGradients.of(evaluation(batch, after is not None), before.params)[0].jacobian()

    return Observation(
        step=before.step,
        params=before.params,
        losses=dict(zip(evaluated.names, evaluated.values.unbind(), strict=True)),
        weights=evaluated.weights,
        gradients=evaluated.gradients,
        previous=before.gradients,
        previous_losses=dict(zip(evaluated.names, before.losses.unbind(), strict=True)),
        update=update,
        lr=experiment.optimizer_at(before.step).rates,
        loss=total(evaluation(batch), evaluated.weights),
        total=on,
        jacobian=jacobian,
        evaluate=lambda: Standing.of(experiment, before).tested(experiment, before),
        directed=not experiment.aggregator.weighs,
    )
