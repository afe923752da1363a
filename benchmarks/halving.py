"""Successive halving against the full sweep: the best value that each finds, and the steps that each makes.

    python benchmarks/halving.py

Both sweep the same points, drawn at random. The target: on each task a value within 5% of the full sweep's best, in at
most a quarter of its steps.
"""

import sys

import polars as pl
import torch

import descend

QUIET = ["metrics=none", "derivatives=none"]
POINTS = ["optimizer.lr=tag(log,interval(1e-4,1))", "sweep.points=27"]
TASKS = {
    "rosenbrock, two optimizers": ["objective=rosenbrock", "optimizer=adam,rmsprop", "steps=810"],
    "beale, two optimizers": ["objective=beale", "optimizer=adam,rmsprop", "steps=810"],
    "digits_mlp_small, two seeds": ["objective=digits_mlp_small", "optimizer=adam", "seed=0,1", "steps=540"],
    "mnist1d_logistic, two seeds": ["objective=mnist1d_logistic", "optimizer=adam", "seed=0,1", "steps=540"],
}
NEAR, SHARE = 1.05, 0.25


def best(table: pl.DataFrame) -> float:
    """Return the best setting's value: the median over its seeds."""
    keys = [key for key in ("optimizer", "optimizer.lr") if key in table.columns]
    kept = table.filter(pl.col("status") != "diverged")
    return float(kept.group_by(keys).agg(pl.col("value").median())["value"].min())  # type: ignore[arg-type]


def main() -> None:
    torch.set_num_threads(1)
    reached = True
    print(f"{'task':<28}  full best   halving     ratio   steps  reached")
    for name, task in TASKS.items():
        overrides = [*task, *QUIET, *POINTS]
        full, halved = descend.sweep([*overrides, "sweep=random"]), descend.sweep([*overrides, "sweep=halving"])
        ratio = best(halved) / best(full)
        share = halved["steps"].sum() / full["steps"].sum()
        good = ratio <= NEAR and share <= SHARE
        reached = reached and good
        told = f"{best(full):<10.4g}  {best(halved):<10.4g}  {ratio:5.3f}  {share:6.1%}  {'yes' if good else 'no'}"
        print(f"{name:<28}  {told}")
    sys.exit(not reached)


if __name__ == "__main__":
    main()
