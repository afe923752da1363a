"""A recorded step: what goes from it to the next finds its place."""

from dataclasses import dataclass

import pytest
import torch

import descend
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Heavy(Optimizer):
    """Heavy ball, its state written in whatever order."""

    turned: bool = False
    shared: bool = False
    renamed: bool = False

    def init(self, params: Params) -> State:
        velocity = {name: torch.zeros_like(x) for name, x in params.items()}
        other = velocity if self.shared else {name: torch.zeros_like(x) for name, x in params.items()}
        return {"velocity": velocity, "sum": other}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        velocity = {name: 0.9 * state["velocity"][name] + g for name, g in gradients.items()}
        total = {name: state["sum"][name] + g for name, g in gradients.items()}
        new = {name: x - self.lr * velocity[name] - 1e-5 * total[name] for name, x in params.items()}
        found = {"sum": total, "velocity": velocity} if self.turned else {"velocity": velocity, "sum": total}
        return new, found | ({"more": total} if self.renamed else {})


def value(optimizer: Optimizer, compile: bool = False, steps: int = 40) -> float:
    return descend.run(Experiment(Rosenbrock(), optimizer, steps=steps, compile=compile)).value


@pytest.mark.parametrize("compile", [True, False])
def test_the_order_of_names_in_a_state_does_not_matter(compile: bool) -> None:
    assert value(Heavy(lr=1e-4, turned=True), compile) == value(Heavy(lr=1e-4), compile)


@pytest.mark.parametrize("compile", [True, False])
def test_state_that_shares_memory_is_two_states(compile: bool) -> None:
    assert value(Heavy(lr=1e-4, shared=True), compile) == value(Heavy(lr=1e-4), compile)


def test_a_state_that_grows_is_run_as_it_is_written() -> None:
    run = Run(Experiment(Rosenbrock(), Heavy(lr=1e-4, renamed=True), steps=40))
    assert run.loop.backend.name == "python"
    list(run)
    assert run.result().value == pytest.approx(value(Heavy(lr=1e-4)), rel=1e-12)


@dataclass(frozen=True)
class InPlace(Heavy):
    """Heavy ball that writes into the state it is given."""

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        for name, g in gradients.items():
            state["velocity"][name].mul_(0.9).add_(g)
            state["sum"][name].add_(g)
        velocity, total = state["velocity"], state["sum"]
        return {name: x - self.lr * velocity[name] - 1e-5 * total[name] for name, x in params.items()}, state


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("compile", [True, False])
def test_a_state_written_in_place(compile: bool, shared: bool) -> None:
    assert value(InPlace(lr=1e-4, shared=shared), compile) == pytest.approx(value(Heavy(lr=1e-4)), rel=1e-12)
