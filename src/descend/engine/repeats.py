"""Whether what is the user's own gives the same when it is asked again.

What a class keeps in a global or an attribute would be shared by the runs of a sweep, and lost to a run that is
resumed; what it draws from a generator of its own, nobody could make again.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from descend.devices import is_failure, is_gpu
from descend.engine.block import take
from descend.engine.check import users_code
from descend.engine.drawn import check_draws, defining
from descend.engine.experiment import Experiment
from descend.engine.own import alike, experiment_parts, own_alone, own_parts, users_metrics
from descend.engine.program import seen
from descend.engine.step import Carry, Origin, Standing, lift, start, uncounted
from descend.errors import ConfigurationError, never_exits
from descend.graph.trace import tensors
from descend.types import Batch

T = TypeVar("T")


def check_repeatable(experiment: Experiment, names: tuple[str, ...], origin: Origin, batch: Batch) -> None:
    """Require that a step made again from the same place finds the same, and so do the metrics that look at it.

    Args:
        names: of the losses.

    Raises:
        ConfigurationError: it finds something else.
    """
    check_metrics(experiment, names, origin, batch)
    if own_alone(experiment):
        return
    check_draws(experiment.objective, int(origin.seed))
    begun = tried(partial(start, experiment, origin))
    if begun is None:
        return  # the run itself will tell what it raised
    made = [tried(partial(take, experiment, lift(begun), [batch], ((),), uncounted)) for _ in range(2)]
    tested = [tested_by_user(experiment, begun) for _ in range(2)]
    steps = [told(experiment, found[0]) for found in made if found is not None]
    if alike(*tested) and (len(steps) < 2 or alike(*steps)):
        return
    named = [type(part).__name__ for part in experiment_parts(experiment) if not own_parts([part])]
    raise ConfigurationError(
        f"{' or '.join(named)} gives another result when it is called again at the same point, step and seed: it "
        "changes something that it keeps (a global, an attribute, a tensor written in place), or it draws random "
        "numbers from elsewhere than torch. The runs of a sweep would disturb one another. Return what changes as part "
        "of the state (a module keeps it in a buffer), and draw by torch (torch.rand; torch.randint for "
        "the seed of another generator)."
    )


def told(experiment: Experiment, carry: Carry) -> list[Tensor]:
    """Return what must be the same after two steps from one place.

    A sum of a step on several threads, or on a GPU, may round in another way each time, of which a method that looks at
    signs makes another step. So the parameters count only where the method is the user's own.
    """
    if is_gpu(carry.losses.device):
        return [carry.losses]
    _, *method = experiment_parts(experiment)
    return tensors((carry.losses, carry.gradients, carry.objective) if own_parts(method) else carry)


def tested_by_user(experiment: Experiment, carry: Carry) -> list[Tensor]:
    """Return the test metrics at a carry where code of the user's own computes them; nothing where it is descend's.

    Raises:
        ConfigurationError: that code raises.
    """
    objective = experiment.objective
    if own_parts([defining(objective, "evaluate")]):
        return []
    name, device = f"{type(objective).__name__}.evaluate", carry.losses.device
    with torch.no_grad(), users_code(name, "correct it there", device):
        return [*Standing.of(experiment, carry).tested(experiment, carry).values()]


def check_metrics(experiment: Experiment, names: tuple[str, ...], origin: Origin, batch: Batch) -> None:
    """Require that a metric of the user's own sees in a step what it saw there before, and what a new one sees.

    Args:
        names: of the losses.

    Raises:
        ConfigurationError: it does not: it keeps something of the step at which it looked first, say.
    """
    own = users_metrics(experiment)
    if not own:
        return
    points = [tried(partial(point_of, experiment, place, batch)) for place in (origin, elsewhere(origin))]
    for name, metric in own.items():
        new = tried(partial(copy.deepcopy, metric)) or metric
        asked = [(metric, points[0]), (metric, points[1]), (metric, points[1]), (new, points[1])]
        found = [
            tried(partial(seen, replace(experiment, metrics={name: each}), names, (name,), *point))
            for each, point in asked
            if point is not None
        ]
        _, *again = [[*x.values()] for x in found if x is not None] or [[]]
        if not all(alike(x, again[0]) for x in again):
            raise ConfigurationError(
                f"The metric {name} ({type(metric).__name__}) gives another value when it looks at the same step "
                "again: it changes something that it keeps, or depends on something else than the step. The runs "
                "of a sweep would disturb one another. Make it a function of what it is given alone; or write "
                "batchable: ClassVar[bool] = False into its class: it is then called as it is, once for each value."
            )


def point_of(experiment: Experiment, origin: Origin, batch: Batch) -> tuple[Carry, Carry, Tensor, Batch]:
    """Return a run's first step as `seen` takes it: the carries before and after it, the weights, the batch."""
    carry = lift(start(experiment, origin))
    after, made = take(experiment, carry, [batch], ((),), uncounted)
    return carry, after, made.weights[0], batch


def elsewhere(origin: Origin) -> Origin:
    """Return another place to begin, not far away."""
    return origin._replace(params={name: x * 1.0625 + 0.03125 for name, x in origin.params.items()})


def tried(function: Callable[[], T]) -> T | None:
    """Return what a function gives, or None where it raises: a user's own code may raise anything."""
    try:
        with never_exits(), torch.no_grad():
            return function()
    except Exception as error:
        if is_failure(error):
            raise
        return None
