"""What passes through NumPy, however deep in a part of descend's own, is not run by a recording of it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from descend.engine.backends.proof import TRUSTED, module_of, parts_within
from descend.engine.experiment import Experiment
from descend.engine.run import Run, drive
from descend.objectives.expression import Expression
from descend.objectives.networks import MLP
from descend.optimizers.gradient_descent import GradientDescent


def straight(x: Tensor) -> Tensor:
    """x², whose last factor a recording would hold for a constant."""
    return x * torch.from_numpy(x.detach().numpy().copy())


@dataclass(frozen=True)
class Wrapped:
    """A user's own op that keeps another."""

    inner: Callable[[Tensor], Tensor] = straight

    def __call__(self, x: Tensor) -> Tensor:
        return self.inner(x)


@pytest.mark.parametrize("op", [straight, Wrapped()], ids=["function", "object"])
def test_an_op_of_ones_own_through_numpy_is_called_not_recorded(op: Callable[[Tensor], Tensor]) -> None:
    run = Run(Experiment(Expression("op(x)", start={"x": 2.0}, op=op), GradientDescent(lr=0.25), steps=3))
    result = drive(run, [])
    assert run.loop.backend.name == "python"
    assert result.parameters == {"x": 2.0 * 0.75**3}  # x ← x − x/4, the second factor held fixed


def test_what_is_kept_deep_inside_is_found() -> None:
    assert any(x is straight for x in parts_within(MLP(activation=straight)))
    assert any(x is straight for x in parts_within(Wrapped(inner=Wrapped())))
    assert module_of(straight) == module_of(Wrapped()) == __name__
    assert module_of(torch.relu) in TRUSTED
