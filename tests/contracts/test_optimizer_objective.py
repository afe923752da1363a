"""Every optimizer on every objective: a few small steps lower the loss, stay finite, and touch nothing they were given.

The steps are made small by scaling the learning rate so that the first update moves no parameter by more than a fixed
length: every update rule here is proportional to it. MNIST and convolutions are sampled, one adaptive and one plain
method on each, because a single step on them costs as much as all else together; the convolutions on MNIST make their
three steps in the test of the menu alone.

An optimizer sees of an objective its gradients, and of what shapes they are. So these methods are tried on all
objectives: `ON_ALL`, one of each kind of what else they see; and all methods on `OF_EACH_KIND`, one objective of each
kind of shape. The other pairs are slow: `pytest -n 0 -m slow tests/contracts/test_optimizer_objective.py`.
"""

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_map
from toy_networks import TOY, toy

from descend.engine.experiment import Experiment
from descend.engine.losses import Evaluation, LossGradients, StepLoss, total
from descend.engine.run import Run, drive
from descend.graph.chance import Chance
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.optimizers.optimizer import Optimizer
from descend.types import Params, State

pytestmark = pytest.mark.long

STEPS = 5
LENGTH = 1e-3
COSTLY = ("mnist_mlp", "digits_cnn", "digits_mlp_small", "digits_two_tasks", "module", "auto_mpg_mlp", *TOY)
COSTLY += ("mnist1d_cnn", "mnist1d_logistic", "mnist1d_mlp", "deep_quadratic", "noisy_quadratic")
LEFT_OUT = ("mnist_cnn",)
SAMPLED = ("adam", "sgd")
ON_ALL = ("adam", "sgd", "newton", "newton_cg", "torch")
# Two numbers, a vector, two losses, a single layer with data, a network with batches.
OF_EACH_KIND = ("plane", "rosenbrock", "fonseca_fleming", "diabetes_ridge", "digits_mlp")
# They take a matrix among the parameters, and say so where there is none.
OF_MATRICES = ("muon", "normuon")
MATRICES = ("breast_cancer_logistic", "diabetes_linear", "diabetes_ridge", "digits_mlp")
# A matrix of 17,226 × 17,226 entries: refused.
REFUSED = {(name, "digits_mlp") for name in ("bfgs", "cubic", "dogleg", "newton", "trust_region")}
# They compare the losses of steps, and digits_mlp draws a batch for each: refused, too.
REFUSED |= {(name, "digits_mlp") for name in ("lbfgs", "newton_cg", "nonlinear_cg", "trust_region_cg")}
# They are for sums of squares, and say so of others.
OF_RESIDUALS = ("gauss_newton", "levenberg_marquardt")
RESIDUALS = {"beale", "booth", "curve_fit", "dixon_price", "freudenstein_roth", "himmelblau"}
RESIDUALS |= {"powell_singular", "rosenbrock", "wood"}
# They take the curvature from a network's outputs, and say so where there is none.
OF_OUTPUTS = ("ekfac", "kfac", "natural_gradient", "sophia_g")
OUTPUTS = ("breast_cancer_logistic", "diabetes_linear", "diabetes_ridge", "digits_mlp")
QUIET = ["metrics=none", "derivatives=none"]


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in Path(FOLDER / group).glob("*.yaml"))


def applies(optimizer: str, objective: str) -> bool:
    matrices = optimizer not in OF_MATRICES or objective in MATRICES
    squares = optimizer not in OF_RESIDUALS or objective in RESIDUALS
    outputs = optimizer not in OF_OUTPUTS or objective in OUTPUTS
    return matrices and squares and outputs and (optimizer, objective) not in REFUSED


def marks(optimizer: str, objective: str) -> list[pytest.MarkDecorator]:
    if objective in TOY and optimizer != "adam":
        return [pytest.mark.slow]
    return [] if optimizer in ON_ALL or objective in OF_EACH_KIND else [pytest.mark.slow]


PAIRS = [
    pytest.param(optimizer, objective, id=f"{optimizer}-{objective}", marks=marks(optimizer, objective))
    for objective in choices("objective")
    for optimizer in choices("optimizer")
    if objective not in LEFT_OUT and (objective not in COSTLY or optimizer in SAMPLED)
    if applies(optimizer, objective)
]


@functools.cache
def part(group: str, choice: str) -> Any:
    fitted = ["objective=beale"] if choice in OF_RESIDUALS else []
    overrides = [*QUIET, *fitted, f"{group}={choice}", *toy(choice)]
    return getattr(build(compose(overrides), overrides), group)


@functools.cache
def start(choice: str) -> tuple[Params, Params]:
    """The parameters that an objective starts from, and its gradient there over all data."""
    experiment, params, _ = Experiment(part("objective", choice)).placed(
        part("objective", choice).init(torch.Generator().manual_seed(0))
    )
    found = LossGradients.of(Evaluation(experiment.objective, beginning(choice)), params)[0]
    return params, found.combined(torch.ones_like(found.values))


def beginning(choice: str) -> State:
    """The state that an objective starts from, in its own precision."""
    objective = part("objective", choice)
    _, state = objective.start_and_state(torch.Generator().manual_seed(0))
    return {name: x.to(objective.dtype) if x.is_floating_point() else x for name, x in state.items()}


def careful(optimizer: Optimizer, choice: str) -> Optimizer:
    """Return the optimizer with a learning rate that makes its first update short."""
    params, gradients = start(choice)
    placed, _, _ = Experiment(part("objective", choice), of_rate(optimizer, LENGTH)).placed(params)
    once, evaluation = placed.optimizer, Evaluation(placed.objective, beginning(choice))
    weights = torch.ones(len(placed.objective.losses(params, None)), dtype=placed.objective.dtype)
    whole = total(evaluation, weights)
    with torch.no_grad(), Chance(0, 0):
        loss = StepLoss(whole, params, whole(params), evaluation, weights)
        after, _ = once.step(params, gradients, once.init(params), loss)
    moved = max(float((after[name] - x).abs().max()) for name, x in params.items())
    careful = of_rate(optimizer, LENGTH)
    return careful.scaled(LENGTH / moved) if moved > LENGTH else careful


def of_rate(optimizer: Optimizer, lr: float) -> Optimizer:
    """Return the optimizer with this learning rate; of groups with rates of their own, with the largest so."""
    rates = optimizer.rates
    largest = max(rates.values()) if isinstance(rates, dict) else rates
    return replace(optimizer, lr=lr) if largest is None else optimizer.scaled(lr / largest)


def summed(evaluation: Evaluation, params: Params) -> float:
    """Return the sum of the losses as a training step has them, with the same draws at every call."""
    return sum(float(x) for x in evaluation(params)[0].values())


@pytest.mark.parametrize(("optimizer", "objective"), PAIRS)
def test_a_few_small_steps_lower_the_loss(optimizer: str, objective: str) -> None:
    params, gradients = start(objective)
    kept = {name: x.clone() for name, x in params.items()}
    experiment = Experiment(part("objective", objective), careful(part("optimizer", optimizer), objective), steps=STEPS)
    run = Run(experiment)
    result = drive(run, [])
    assert result.status == "finished", result.reason
    assert math.isfinite(result.value)
    assert math.isfinite(result.gradient_norm)
    assert all(x.isfinite().all() for x in run.params.values())
    for name, x in params.items():
        assert torch.equal(x, kept[name])
        assert (run.params[name].dtype, run.params[name].shape) == (x.dtype, x.shape)
    if any(g.abs().max() > 0 for g in gradients.values()):
        begun = Evaluation(run.experiment.objective, beginning(objective), training=True)
        state = tree_map(lambda x: x[0], run.final.standing.state)
        ended = Evaluation(run.experiment.objective, state, training=True)
        assert summed(ended, run.params) < summed(begun, params)
