"""The results of runs, made of how they ended."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from descend.engine.gather import host
from descend.engine.loop import Loop
from descend.engine.program import Final
from descend.engine.provenance import provenance
from descend.engine.result import Result
from descend.engine.state_of_run import state_of_run
from descend.engine.step import Standing
from descend.engine.stopping import Verdict
from descend.graph.compat import pytree
from descend.types import Params

MOST_PARAMETERS = 32
"""Results carry the parameters themselves only where a person would read them."""


def results(loop: Loop, final: Final, seeds: Sequence[int]) -> tuple[Result, ...]:
    """Return the result of every run of a loop, records left out.

    Args:
        final: the runs where they ended.
        seeds: of the runs.
    """
    values, losses, norms = host(final.total), host(final.losses), host(final.norm)
    verdicts = loop.endings.verdicts(values, losses, norms)
    stationary = final.stationary.tolist()
    some = {name: x[0] for name, x in final.standing.params.items()}
    params = {name: x.tolist() for name, x in final.standing.params.items()} if shown(some) else {}
    tested = {name: host(x).tolist() for name, x in final.tested.items()}
    asked = {name: host(final.observed[name]) for name in loop.experiment.values if name in final.observed}
    if loop.experiment.stop.metric is not None:
        asked |= {f"best/{loop.experiment.stop.metric}": loop.best.value, "best/step": loop.best.step}
    origin = provenance(loop.experiment, some, loop.threads, loop.backend.name)
    columns, names = loop.ends(), loop.backend.names
    return tuple(
        Result(
            status=verdict.status,
            reason=verdict.reason + said_of_the_end(verdict.status, stationary[run], float(norms[run])),
            steps=int(loop.endings.stops[run]),
            value=float(values[run]),
            best_value=float(loop.endings.best[run]),
            losses=dict(zip(names, losses[run].tolist(), strict=True)),
            gradient_norm=float(norms[run]),
            evaluations=loop.backend.evaluations(columns, int(loop.endings.stops[run])),
            seconds=loop.seconds / loop.runs,
            parameters={name: x[run] for name, x in params.items()} or None,
            metrics={name: x[run] for name, x in tested.items()},
            values={name: float(x[run]) for name, x in asked.items()},
            provenance=origin | {"seed": seeds[run], "stacked": loop.runs},
        )
        for run, verdict in enumerate(verdicts)
    )


def recorded_at_the_end(final: Final, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what is recorded of runs where they ended, [runs, …] by name: totals, losses if several, metrics."""
    losses = {f"loss/{name}": final.losses[:, i] for i, name in enumerate(names)} if len(names) > 1 else {}
    found = {"value": final.total} | losses | final.observed
    return {name: host(x) for name, x in found.items()}


def said_of_the_end(status: str, stationary: bool, norm: float) -> str:
    """Return what else is to be said of the point where a run ended."""
    if status not in ("converged", "finished"):
        return ""
    conflict = "; no direction lowers every loss there: the point is Pareto stationary" if stationary else ""
    return conflict if math.isfinite(norm) else f"; the gradient is not finite there ({norm})"


def shown(params: Params) -> dict[str, Any] | None:
    """Return the parameters of one run as numbers, None where they are too many to read."""
    few = sum(x.numel() for x in params.values()) <= MOST_PARAMETERS
    return {name: x.tolist() for name, x in params.items()} if few else None


def unevaluated(loop: Loop, verdict: Verdict, seed: int) -> Result:
    """Return how a single run stands without evaluating anything, for that may be what failed."""
    params = {name: x[0] for name, x in loop.backend.standing(loop.backend.columns([0]), [0]).params.items()}
    origin = provenance(loop.experiment, params, loop.threads, loop.backend.name)
    return Result(
        status=verdict.status,
        reason=verdict.reason,
        steps=loop.step,
        value=math.nan,
        best_value=float(loop.endings.best[0]),
        losses={},
        gradient_norm=math.nan,
        evaluations={},
        seconds=loop.seconds,
        parameters=shown(params),
        metrics={},
        provenance=origin | {"seed": seed, "stacked": loop.runs},
    )


def content(loop: Loop, state: dict[str, Any], standing: Standing, run: int = 0) -> dict[str, Any]:
    """Return what the checkpoint of one run of a loop holds: its state, and what it leaves by name.

    Args:
        state: of the loop, from which it goes on.
        standing: of every run, [runs, …].
    """
    left = trained_of(loop, standing, run)
    if loop.best.standing is not None:
        left["best"] = trained_of(loop, loop.best.standing, run)["last"]
    return {"state": state_of_run(state, run), "trained": left}


def trained_of(loop: Loop, standing: Standing, run: int = 0) -> dict[str, Params]:
    """Return what one run of a loop leaves by name: of its last parameters, and of each point beside them."""
    own: Standing = pytree.tree_map(lambda x: x[run], standing)
    points = {"last": own.params, **own.also_tested}
    return {name: loop.experiment.objective.trained(params, own.state) for name, params in points.items()}
