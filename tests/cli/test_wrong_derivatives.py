"""Derivatives that cannot be had: one sentence before the run starts, exit code 2, and nothing left behind."""

from pathlib import Path

import pytest
from conftest import Command
from own_op import own_op

RIGHT = "3 * x**2 * gradient"
ONCE = "@once_differentiable"

OPS = {
    "shape": ("", "gradient.sum().repeat(2)", [], "A custom backward returned a gradient of the wrong shape"),
    "none": ("", "None", [], "A custom backward returned None in place of a gradient: that of Cube, for its input 0"),
    "fails": ("", "x @ torch.ones(7)", [], "The gradient of Expression raised RuntimeError at the start: "),
    "once": (ONCE, RIGHT, ["derivatives=second"], "The function is not twice differentiable: it goes through Cube"),
}

CHOICES = {
    "order below 1": (["derivatives.decrease.order=-1"], "Decrease.order is -1, but it must be at least 1"),
    "order of none": (["derivatives=partials", "derivatives.partials.order=0"], "PartialDerivatives.order is 0"),
    "Hessian too large": (
        ["optimizer=newton", "objective=mnist_mlp", "objective.batch_size=null"],
        "use optimizer=newton_cg, which needs only",
    ),
    "no series": (
        ["objective=op_at_point", "op=gradient_clip", "derivatives=third"],
        "_ClipGradient has no Taylor series",
    ),
}


@pytest.mark.parametrize("case", OPS)
def test_an_op_of_ones_own(descend: Command, here: Path, case: str) -> None:
    decorator, backward, more, sentence = OPS[case]
    (here / f"op_{case}.py").write_text(own_op(backward, decorator))
    done = descend("objective=op_on_vector", f"op._target_=op_{case}.Own", *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"descend: {sentence}")
    assert len(done.err.splitlines()) == 1
    assert not (here / "outputs").exists()


def test_once_is_enough_for_first_derivatives(descend: Command, here: Path) -> None:
    (here / "op_first.py").write_text(own_op(RIGHT, ONCE))
    assert descend("objective=op_on_vector", "op._target_=op_first.Own", "steps=2").code == 0


@pytest.mark.parametrize("case", CHOICES)
def test_a_choice_that_cannot_be(descend: Command, here: Path, case: str) -> None:
    arguments, sentence = CHOICES[case]
    done = descend(*arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(here.iterdir())


OWN_OBJECTIVE = """
from dataclasses import dataclass
import torch
from descend.objectives.objective import Objective

@dataclass(frozen=True)
class Distance(Objective):
    def init(self, generator):
        return {"x": torch.rand(3, 2, generator=generator, dtype=torch.float64)}

    def losses(self, params, batch):
        return {"distance": torch.cdist(params["x"], 1 + params["x"]).sum()}
"""


@pytest.mark.parametrize("asking", ["derivatives=second", "optimizer=newton", "optimizer=newton_cg"])
def test_an_operation_without_a_second_derivative_is_named(descend: Command, here: Path, asking: str) -> None:
    (here / "distances.py").write_text(OWN_OBJECTIVE)
    done = descend("objective._target_=distances.Distance", asking)
    assert (done.code, done.out) == (2, "")
    assert "not differentiable often enough: the derivative for '_cdist_backward' is not implemented" in done.err
    assert descend("objective._target_=distances.Distance", "steps=2").code == 0
