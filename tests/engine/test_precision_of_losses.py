"""Losses have the precision of the parameters, although an objective's numbers are float64 in a recorded step."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.objective import Objective
from descend.optimizers.gradient_descent import GradientDescent
from descend.types import Losses, Params


@dataclass(frozen=True)
class Scaled(Objective):
    """Two losses [], each times a number."""

    depth: float = 0.3

    def init(self, generator: Any) -> Params:
        return {"x": torch.tensor([1.0, -2.0, 0.5])}

    def losses(self, params: Params, batch: None) -> Losses:
        x = params["x"]
        return {"left": self.depth * ((x - 1) ** 2).sum(), "right": self.depth / 2 * ((x + 1) ** 2).sum()}


def finished(run: Run) -> Run:
    for _ in run:
        pass
    return run


@pytest.mark.parametrize("aggregator", ["sum", "mean", "upgrad", "min_norm", "famo"])
def test_a_penalty_changes_neither_precision_nor_backend(aggregator: str) -> None:
    """By hand: the penalty is half of λ times the sum of the squared weights, in float32."""
    overrides = ["objective=digits_mlp_small", "objective.l2=0.001", f"aggregator={aggregator}", "metrics=losses"]
    overrides += ["derivatives=none", "steps=3", "compile=false"]
    run = finished(Run(build(compose(overrides), overrides)))
    result = run.result()
    assert result.provenance["backend"] == "graph"
    assert run.final.losses.dtype == run.final.total.dtype == run.final.weights.dtype == torch.float32
    weights = [w for w in run.params.values() if w.ndim > 1]
    penalty = 0.0005 * sum(float(w.double().square().sum()) for w in weights)
    assert result.losses["l2_penalty"] == pytest.approx(penalty, rel=1e-6)


def test_a_users_number_does_not_widen_a_loss() -> None:
    experiment = Experiment(Scaled(), GradientDescent(lr=0.1), dtype="float32", steps=3)
    run = finished(Run(experiment))
    assert run.loop.backend.name == "graph"
    assert run.final.losses.dtype == run.final.total.dtype == torch.float32
