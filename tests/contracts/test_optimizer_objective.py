"""Every optimizer on every objective: a few small steps lower the loss, stay finite, and touch nothing they were given.

The steps are made small by scaling the learning rate so that the first update moves no parameter by more than a fixed
length: every update rule here is proportional to it. MNIST and convolutions are sampled, one adaptive and one plain
method on each, because a single step on them costs as much as all else together; the convolutions on MNIST make their
three steps in the test of the menu alone.
"""

import functools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_map

from descend.engine.experiment import Experiment
from descend.engine.run import Run, drive
from descend.engine.step import Evaluation, LossGradients, total
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.objective import Objective
from descend.optimizers.optimizer import Optimizer
from descend.types import Params

STEPS = 5
LENGTH = 1e-3
COSTLY = ("mnist_mlp", "digits_cnn", "digits_mlp_small", "digits_two_tasks", "module")
LEFT_OUT = ("mnist_cnn",)
SAMPLED = ("adam", "sgd")
# The eigenvalues of 17,226 × 17,226 entries: refused.
REFUSED = {("newton", "digits_mlp")}
QUIET = ["metrics=none", "derivatives=none"]


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in Path(FOLDER / group).glob("*.yaml"))


PAIRS = [
    pytest.param(optimizer, objective, id=f"{optimizer}-{objective}")
    for objective in choices("objective")
    for optimizer in choices("optimizer")
    if objective not in LEFT_OUT and (objective not in COSTLY or optimizer in SAMPLED)
    if (optimizer, objective) not in REFUSED
]


@functools.cache
def part(group: str, choice: str) -> Objective | Optimizer:
    overrides = [*QUIET, f"{group}={choice}"]
    return getattr(build(compose(overrides), overrides), group)


@functools.cache
def start(choice: str) -> tuple[Params, Params]:
    """The parameters that an objective starts from, and its gradient there over all data."""
    experiment, params, _ = Experiment(part("objective", choice)).placed(
        part("objective", choice).init(torch.Generator().manual_seed(0))
    )
    found = LossGradients.of(Evaluation(experiment.objective), params)[0]
    return params, found.combined(torch.ones_like(found.values))


def careful(optimizer: Optimizer, choice: str) -> Optimizer:
    """Return the optimizer with a learning rate that makes its first update short."""
    params, gradients = start(choice)
    once = replace(optimizer, lr=LENGTH)
    objective = part("objective", choice).to(next(iter(params.values())).dtype, torch.device("cpu"))
    loss = total(Evaluation(objective), torch.ones(len(objective.losses(params, None)), dtype=objective.dtype))
    with torch.no_grad():
        after, _ = once.step(params, gradients, once.init(params), loss)
    moved = max(float((after[name] - x).abs().max()) for name, x in params.items())
    return replace(once, lr=LENGTH * LENGTH / moved) if moved > LENGTH else once


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
        begun, state = Evaluation(run.experiment.objective, training=True), tree_map(lambda x: x[0], run.final.standing.state)
        ended = Evaluation(run.experiment.objective, state, training=True)
        assert summed(ended, run.params) < summed(begun, params)
