"""Success and evaluations of methods with curvature beside scipy's, from 20 drawn starts on each of 20 functions.

A run succeeds once ‖∇f‖₂ ≤ 1e-6, within 1,000 evaluations of f and ∇f; those that a Hessian or a product needs for
itself count on neither side. scipy's methods get the same starts, and the same
gradients, Hessians and products; what they evaluated counts up to the first gradient that is short enough, at whatever
point. The starts of one function are one stacked sweep. The ratio is of medians over the starts that both brought to an
end, ours to scipy's; it is printed for each function, and at the end the median over the functions.

    python benchmarks/success.py [method …]

2026-11-29, torch 2.13, scipy 1.17, of 400 starts ours and scipy's, and the median and largest ratio of evaluations:
bfgs 394 and 394, 1.00 and 1.12; lbfgs 393 and 394, 1.00 and 1.13; trust_region 398 and 392, 1.00 and 1.12;
trust_region_cg 397 and 393, 1.00 and 1.14; dogleg 394 and 392, 1.00 and 1.15; newton 394 and 392, 0.99 and 1.24;
newton_cg 400 and 395, 1.00 and 1.07; nonlinear_cg 391 and 390, 1.00 and 1.26; cubic 399 and 392, 1.13 and 2.50. Most of
what is missing is Beale's function, where a run
may follow a valley to infinity.
"""

import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
import torch

import descend
from descend.derivatives import hessian, hvp, value_and_gradient
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.objective import Objective

STARTS, STEPS, SHORT = 20, 1000, 1e-6
FUNCTIONS = [
    *("beale", "bohachevsky", "booth", "branin", "dixon_price", "freudenstein_roth", "goldstein_price", "griewank"),
    *("himmelblau", "levy", "matyas", "powell_singular", "rastrigin", "rosenbrock", "rosenbrock objective.dim=10"),
    *("six_hump_camel", "styblinski_tang", "three_hump_camel", "wood", "zakharov"),
]
PEERS = {
    "bfgs": "BFGS",
    "lbfgs": "L-BFGS-B",
    "trust_region": "trust-exact",
    "trust_region_cg": "trust-ncg",
    "dogleg": "trust-exact",
    "newton": "trust-exact",
    "newton_cg": "Newton-CG",
    "nonlinear_cg": "CG",
    "cubic": "trust-exact",
}
NO_LIMIT: dict[str, dict[str, Any]] = {
    "BFGS": {"gtol": 0.0, "xrtol": 0.0},
    "CG": {"gtol": 0.0},
    "L-BFGS-B": {"gtol": 0.0, "ftol": 0.0, "maxfun": 10 * STEPS},
    "Newton-CG": {"xtol": 0.0},
    "trust-exact": {"gtol": 1e-300},
    "trust-ncg": {"gtol": 1e-300},
}


class Arrived(Exception):
    """A gradient is short enough, or there were too many evaluations."""


class Counted:
    """An objective of one vector as scipy takes it; counts evaluations and ends them."""

    def __init__(self, objective: Objective) -> None:
        self._objective, self.function, self.success = objective, 0, False

    def _at(self, x: np.ndarray) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor(x, dtype=torch.float64)}

    def _loss(self, params: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.stack(tuple(self._objective.losses(params, None).values())).sum()

    def both(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        self.function += 1
        value, gradient = value_and_gradient(self._loss, self._at(x))
        self.success = float(torch.linalg.vector_norm(gradient["x"])) <= SHORT
        if self.success or self.function >= STEPS:
            raise Arrived
        return float(value), gradient["x"].numpy()

    def hessian(self, x: np.ndarray) -> np.ndarray:
        return hessian(self._loss, self._at(x)).numpy()

    def product(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        return hvp(self._loss, self._at(x), self._at(p))["x"].numpy()


def of_scipy(method: str, objective: Objective, seed: int) -> float:
    """Return the evaluations until success, infinite without it."""
    counted = Counted(objective)
    start = objective.init(torch.Generator().manual_seed(seed))["x"].numpy()
    more: dict[str, Any] = {"trust-exact": {"hess": counted.hessian}}.get(method, {})
    if method in ("trust-ncg", "Newton-CG"):
        more = {"hessp": counted.product}
    try:
        with np.errstate(all="ignore"):
            options = {"maxiter": STEPS, **NO_LIMIT[method]}
            scipy.optimize.minimize(counted.both, start, method=method, jac=True, options=options, **more)
    except (Arrived, np.linalg.LinAlgError):
        pass
    return float(counted.function) if counted.success else float("inf")


def of_descend(method: str, function: list[str]) -> list[float]:
    """Return the evaluations of each start until success, infinite without it, from one sweep."""
    seeds = ",".join(map(str, range(STARTS)))
    rest = ["objective.random_start=true", f"stop.gradient_norm={SHORT}", f"seed={seeds}", "compile=false"]
    table = descend.sweep(
        [*function, f"optimizer={method}", *rest, f"steps={STEPS}", "metrics=none", "derivatives=none", "dtype=float64"]
    )
    ends = zip(table["steps"], table["status"], strict=True)
    return [steps + 1.0 if status == "converged" else float("inf") for steps, status in ends]


def compare(method: str, quiet: Callable[..., None] = print) -> None:
    """Print a method's table."""
    peer, ratios, successes = PEERS[method], [], np.zeros(2, int)
    quiet(f"\n{method} beside scipy's {peer}\n{'':30}{'success':>12}{'median evaluations':>22}{'ratio':>8}")
    for name in FUNCTIONS:
        function = [f"objective={name.split()[0]}", *name.split()[1:], "objective.random_start=true"]
        objective = build(compose(function), function).objective
        theirs = [of_scipy(peer, objective, seed) for seed in range(STARTS)]
        own = of_descend(method, function)
        both = [(a, b) for a, b in zip(own, theirs, strict=True) if a < np.inf and b < np.inf]
        arrived = [sum(x < np.inf for x in side) for side in (own, theirs)]
        successes += arrived
        ours, peers = (statistics.median(side) for side in zip(*both, strict=True)) if both else (np.inf, np.inf)
        ratios.append(ours / peers)
        quiet(f"{name:30}{arrived[0]:>6} {arrived[1]:>5}{ours:>12.1f} {peers:>9.1f}{ours / peers:>8.2f}", flush=True)
    total = STARTS * len(FUNCTIONS)
    quiet(
        f"{'all':30}{successes[0]:>6} {successes[1]:>5} of {total}; median ratio {statistics.median(ratios):.2f}, "
        f"largest {max(ratios):.2f}"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for method in sys.argv[1:] or PEERS:
        compare(method)
