"""Evaluations and time to 1e-10 above the minimum: methods with curvature beside first-order optimizers.

First-order methods run at the learning rate, of 13 between 1e-4 and 1, at which the median over the seeds needs fewest
steps of 10,000; the others at their defaults, with 2,000 steps. Counts are medians over the seeds, a run that does not
arrive counting as infinite; the time is that of a run of its own, the methods taking turns, as a multiple of the
fastest; all by torch, operation by operation.

    python benchmarks/second_order.py [function, or all]
"""

import math
import statistics
import sys

import polars as pl

import descend

STEPS, FEW, SEEDS, CLOSE = 10_000, 2_000, 5, 1e-10
QUIET = ["metrics=none", "derivatives=none", "dtype=float64"]
FUNCTIONS = {
    "quadratic, 10-D, condition 1e4": ["objective=quadratic", "objective.dim=10", "objective.condition=1e4"],
    "Rosenbrock, 2-D": ["objective=rosenbrock"],
    "Rosenbrock, 10-D": ["objective=rosenbrock", "objective.dim=10"],
    "Rosenbrock, 100-D": ["objective=rosenbrock", "objective.dim=100"],
    "Beale": ["objective=beale"],
    "logistic regression, 62 parameters": ["objective=breast_cancer_logistic"],
}
FIRST_ORDER = ["gradient_descent", "momentum", "adam", "rprop"]
SECOND_ORDER = ["newton", "newton_cg", "trust_region", "trust_region_cg", "bfgs", "lbfgs"]
OF_RESIDUALS = ["levenberg_marquardt"]
SQUARES = ("Rosenbrock", "Beale")
COUNTED = ("function", "gradient", "hvp", "hessian")


def setting(function: str) -> list[str]:
    """The overrides of a function: random starts, and a stop close to its minimum, found by Newton where unknown."""
    chosen = [*FUNCTIONS[function], *QUIET]
    if "breast_cancer_logistic" not in FUNCTIONS[function][0]:
        return [*chosen, "objective.random_start=true", f"stop.value={CLOSE}"]
    lowest = descend.run([*chosen, "optimizer=newton", "steps=30"]).best_value
    return [*chosen, f"stop.value={lowest + CLOSE!r}"]


def best_rate(overrides: list[str], method: str) -> float | None:
    """The learning rate with the smallest median of steps; None where the median run arrives at none."""
    seeds = ",".join(map(str, range(SEEDS)))
    rates = "optimizer.lr=tag(log,interval(1e-4,1))"
    table = descend.sweep(
        [*overrides, f"steps={STEPS}", f"optimizer={method}", rates, "sweep.points=13", f"seed={seeds}"]
    )
    needed = pl.when(pl.col("status") == "converged").then(pl.col("steps")).otherwise(math.inf)
    medians = table.group_by("optimizer.lr").agg(needed.median().alias("needed")).sort("needed")
    return float(medians["optimizer.lr"][0]) if math.isfinite(medians["needed"][0]) else None


def methods(function: str, overrides: list[str]) -> dict[str, list[str] | None]:
    """The overrides of each method at its learning rate; None for one that does not arrive."""
    curved = SECOND_ORDER + (OF_RESIDUALS if function.startswith(SQUARES) else [])
    found: dict[str, list[str] | None] = {name: [f"optimizer={name}", f"steps={FEW}"] for name in curved}
    for method in FIRST_ORDER:
        rate = best_rate(overrides, method)
        found[method] = None if rate is None else [f"optimizer={method}", f"optimizer.lr={rate}", f"steps={STEPS}"]
    return found


def compare(function: str) -> None:
    """Print the table of one function."""
    overrides = setting(function)
    chosen = methods(function, overrides)
    results: dict[str, list] = {method: [] for method in chosen}
    for seed in range(SEEDS):
        for method, own in chosen.items():
            if own is not None:
                results[method].append(descend.run([*overrides, *own, f"seed={seed}", "compile=false"]))
    rows = {method: summary(found) for method, found in results.items()}
    fastest = min(row["seconds"] for row in rows.values())
    print(f"\n{function} (fastest: {fastest * 1e3:.0f} ms)")
    print(f"{'method':21}{'lr':>9}{'arrived':>9}" + "".join(f"{name:>10}" for name in COUNTED) + f"{'time':>8}")
    for method, row in rows.items():
        own = chosen[method]
        rate = "-" if own is None else own[1].split("=")[1] if method in FIRST_ORDER else ""
        number = f"<{SEEDS // 2 + 1}" if own is None else f"{row['arrived']:.0f}"
        counts = "".join(f"{row[name]:>10.0f}" for name in COUNTED)
        print(f"{method:21}{rate[:7]:>9}{number:>7}/{SEEDS}{counts}{row['seconds'] / fastest:>8.1f}", flush=True)


def summary(results: list) -> dict[str, float]:
    """Medians over the runs, infinite for those that did not arrive; all are for a method that never does."""
    arrived = [result.status == "converged" for result in results]
    if not results:
        return {"arrived": 0.0, "seconds": math.inf} | dict.fromkeys(COUNTED, math.inf)

    def median(values: list[float]) -> float:
        return statistics.median(x if here else math.inf for x, here in zip(values, arrived, strict=True))

    counts = {name: median([result.evaluations[name] for result in results]) for name in COUNTED}
    return {"arrived": float(sum(arrived)), "seconds": median([result.seconds for result in results])} | counts


if __name__ == "__main__":
    for function in sys.argv[1:] or FUNCTIONS:
        compare(function)
