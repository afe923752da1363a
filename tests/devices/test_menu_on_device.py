"""The whole menu on a device: no tensor of the CPU meets one of the device, and the numbers are those of the CPU.

The device is a pretended one (`pretend.py`), whose arithmetic is the CPU's: so every result must have the same bits.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from stacks import hold
from toy_networks import toy

from descend import menu
from descend.menu import FOLDER

pytestmark = [pytest.mark.usefixtures("gpus"), pytest.mark.long]

QUIET = ["metrics=none", "derivatives=none"]
NET = ["objective=digits_mlp", "objective.network.hidden=[8]", "objective.batch_size=32"]
TWO = ["objective=fonseca_fleming"]
RATES = ("optimizer.lr=0.001,0.003",)


# Ten times the cost of the others: `pytest -m slow tests/devices`.
SLOW = {"mnist_cnn", "mnist_mlp", "digits_cnn", "pinn/beam", "pinn/burgers", "pinn/heat", "pinn/helmholtz", "pinn/kdv"}
SLOW |= {"pinn/poisson", "fixed_point", "loop", "third", "curvature of digits_mlp_small", "all of digits_mlp_small"}
# Formulas of two numbers or a few, as others that are not left out.
SLOW |= {"ackley", "booth", "bohachevsky", "branin", "dixon_price", "easom", "freudenstein_roth", "goldstein_price"}
SLOW |= {"griewank", "levy", "matyas", "mccormick", "michalewicz", "powell_singular", "rastrigin", "schwefel"}
SLOW |= {"six_hump_camel", "styblinski_tang", "three_hump_camel", "zakharov", "cubic", "parabola", "square_and_cube"}
# Networks of the kinds that digits_mlp, mnist_resnet and char_gpt are of.
SLOW |= {"mnist_vit", "mnist_autoencoder", "mnist1d_mlp", "mnist1d_cnn", "auto_mpg_mlp"}
# Methods made of the same parts as newton, lbfgs and trust_region.
SLOW |= {"bfgs", "cubic", "dogleg", "gauss_newton", "levenberg_marquardt", "nonlinear_cg", "trust_region_cg"}
# One op of each kind: a formula, one through a formula, a constant backward, a discrete one, a reversal.
OPS = {"gelu", "softplus", "straight_through_sign", "hard_threshold", "gradient_reversal", "log"}
# One of each kind: without a Jacobian, of a Gramian, with random numbers, with a state, by a solver. The weights
# of the others are computed on the device in `tests/contracts/test_devices.py`.
AGGREGATORS = {"mean", "upgrad", "pcgrad", "gradnorm", "nash_mtl", "torchjd"}
# Each method is tried at once on a network or on a function; both under slow.
NOT_OF_A_NETWORK = {"adam_then_lbfgs", "cubic", "dogleg", "gauss_newton", "levenberg_marquardt", "newton", "newton_cg"}
NOT_OF_A_NETWORK |= {"trust_region", "bfgs", "lbfgs", "nonlinear_cg", "trust_region_cg"}
ON_A_NETWORK = {"adam", "sgd", "muon", "normuon", "groups", "soap", "shampoo", "schedule_free_adamw", "prodigy", "lamb"}
ON_A_NETWORK |= {"psgd_kron", "kfac", "sophia_g"}
OF_A_NETWORK = {"muon", "normuon", "ekfac", "kfac", "natural_gradient", "sophia_g"}


def choices(group: str) -> list[str]:
    return sorted(menu.choices(FOLDER / group))


def marked(names: Iterable[str], slow: Iterable[str] = SLOW) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in sorted(names)]


# The pretended device has no kernel for a GRU.
@pytest.mark.parametrize("objective", marked({*choices("objective")} - {"mnist1d_gru"}))
def test_objective(objective: str, tmp_path: Path) -> None:
    hold([f"objective={objective}", *toy(objective), "optimizer=sgd", "optimizer.lr=0.00001", *QUIET], tmp_path)


@pytest.mark.parametrize("optimizer", marked({*choices("optimizer")} - OF_A_NETWORK, ON_A_NETWORK | SLOW))
def test_optimizer(optimizer: str, tmp_path: Path) -> None:
    hold(["objective=himmelblau", f"optimizer={optimizer}", *QUIET], tmp_path, RATES)


@pytest.mark.parametrize(
    "optimizer",
    marked({*choices("optimizer")} - NOT_OF_A_NETWORK, {*choices("optimizer")} - ON_A_NETWORK),
)
def test_optimizer_of_a_network(optimizer: str, tmp_path: Path) -> None:
    hold([*NET, f"optimizer={optimizer}", *QUIET], tmp_path)


@pytest.mark.parametrize("wrap", marked(choices("wrap"), {"none", "asam", "cautious", "centralized", "decay", "swa"}))
def test_wrap(wrap: str, tmp_path: Path) -> None:
    hold([*NET, f"wrap={wrap}", *QUIET], tmp_path)


@pytest.mark.parametrize("aggregator", marked(choices("aggregator"), {*choices("aggregator")} - AGGREGATORS))
def test_aggregator(aggregator: str, tmp_path: Path) -> None:
    hold([*TWO, f"aggregator={aggregator}", *QUIET], tmp_path)


@pytest.mark.parametrize("op", marked(choices("op"), {*choices("op")} - OPS))
def test_op(op: str, tmp_path: Path) -> None:
    at = 0.3 if op == "log" else -0.3
    hold(["objective=op_at_point", f"objective.start={{x: {at}}}", f"op={op}", *QUIET], tmp_path, RATES)


@pytest.mark.parametrize("schedule", choices("schedule"))
def test_schedule(schedule: str, tmp_path: Path) -> None:
    hold(["objective=rosenbrock", f"schedule={schedule}", *QUIET], tmp_path)


@pytest.mark.parametrize("clip", choices("clip"))
def test_clip(clip: str, tmp_path: Path) -> None:
    hold(["objective=rosenbrock", f"clip={clip}", *QUIET], tmp_path)


CASES = [f"{metrics} of {problem}" for metrics in choices("metrics") for problem in ("rosenbrock", "digits_mlp_small")]


@pytest.mark.parametrize("case", marked(CASES))
def test_metrics(case: str, tmp_path: Path) -> None:
    metrics, _, problem = case.partition(" of ")
    hold([f"objective={problem}", f"metrics={metrics}", "derivatives=none"], tmp_path)


@pytest.mark.parametrize("derivatives", marked(choices("derivatives")))
def test_derivatives(derivatives: str, tmp_path: Path) -> None:
    hold(["objective=himmelblau", f"derivatives={derivatives}", "metrics=none"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        ["objective=digits_mlp_small", "dtype=float64", "metrics=curvature"],
        ["objective=pinn/burgers", "derivatives=second", "metrics=none"],
    ],
)
def test_second_order_of_a_network(case: list[str], tmp_path: Path) -> None:
    hold(case, tmp_path)
