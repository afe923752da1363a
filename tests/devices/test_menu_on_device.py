"""The whole menu on a device: no tensor of the CPU meets one of the device, and the numbers are those of the CPU.

The device is a pretended one (`pretend.py`), whose arithmetic is the CPU's: so every result must have the same bits.
"""

from pathlib import Path

import pytest
from stacks import hold

from descend import menu
from descend.menu import FOLDER

pytestmark = pytest.mark.usefixtures("gpus")

QUIET = ["metrics=none", "derivatives=none"]
NET = ["objective=digits_mlp", "objective.network.hidden=[8]", "objective.batch_size=32"]
TWO = ["objective=fonseca_fleming"]
RATES = ("optimizer.lr=0.001,0.003",)
MANY_ENTRIES = {"mnist_cnn", "mnist_mlp", "digits_cnn", "digits_two_tasks", "pinn/poisson", "pinn/helmholtz"}


def choices(group: str) -> list[str]:
    return sorted(menu.choices(FOLDER / group))


@pytest.mark.parametrize("objective", choices("objective"))
def test_objective(objective: str, tmp_path: Path) -> None:
    hold([f"objective={objective}", "optimizer=sgd", "optimizer.lr=0.00001", *QUIET], tmp_path)


@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_optimizer(optimizer: str, tmp_path: Path) -> None:
    hold(["objective=himmelblau", f"optimizer={optimizer}", *QUIET], tmp_path, RATES)


@pytest.mark.parametrize("optimizer", sorted({*choices("optimizer")} - {"newton", "newton_cg", "adam_then_lbfgs"}))
def test_optimizer_of_a_network(optimizer: str, tmp_path: Path) -> None:
    hold([*NET, f"optimizer={optimizer}", *QUIET], tmp_path)


@pytest.mark.parametrize("aggregator", choices("aggregator"))
def test_aggregator(aggregator: str, tmp_path: Path) -> None:
    hold([*TWO, f"aggregator={aggregator}", *QUIET], tmp_path)


@pytest.mark.parametrize("op", choices("op"))
def test_op(op: str, tmp_path: Path) -> None:
    hold(["objective=op_at_point", "objective.start={x: -0.3}", f"op={op}", *QUIET], tmp_path, RATES)


@pytest.mark.parametrize("schedule", choices("schedule"))
def test_schedule(schedule: str, tmp_path: Path) -> None:
    hold(["objective=rosenbrock", f"schedule={schedule}", *QUIET], tmp_path)


@pytest.mark.parametrize("clip", choices("clip"))
def test_clip(clip: str, tmp_path: Path) -> None:
    hold(["objective=rosenbrock", f"clip={clip}", *QUIET], tmp_path)


@pytest.mark.parametrize("problem", ["objective=rosenbrock", "objective=digits_mlp_small"])
@pytest.mark.parametrize("metrics", choices("metrics"))
def test_metrics(metrics: str, problem: str, tmp_path: Path) -> None:
    hold([problem, f"metrics={metrics}", "derivatives=none"], tmp_path)


@pytest.mark.parametrize("derivatives", choices("derivatives"))
def test_derivatives(derivatives: str, tmp_path: Path) -> None:
    hold(["objective=himmelblau", f"derivatives={derivatives}", "metrics=none"], tmp_path)
