"""Whether a number reaches a step by its own field alone: a class of the user's may keep it where nobody looks.

A global, an attribute of the class, or a value kept when it was first asked for is the same for all runs of a group. So
a few runs of a group make two steps as they would in it and as their own overrides build them, before it is stacked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from descend.devices import is_failure
from descend.engine.block import take
from descend.engine.experiment import Experiment
from descend.engine.numbers import with_leaves
from descend.engine.own import alike, own_alone
from descend.engine.placement import computing
from descend.engine.step import start, uncounted
from descend.engine.stopping import Stopping
from descend.engine.streams import Beginning, begin
from descend.errors import Untraceable, never_exits
from descend.graph.trace import tensors
from descend.sweeps.job import Group

STEPS = 2
"""Two steps: what a method keeps between steps has no effect before the second."""


@never_exits()
def check_fields_alone(group: Group, build: Callable[[Sequence[str]], Experiment]) -> None:
    """Compare runs of a group with what their overrides build.

    They are the first, and one that differs from it in its seed, in its objective, and in each number.

    Raises:
        Untraceable: one of them is another.
    """
    if own_alone(group.template):
        return
    template, placed = unwatched(group.template), None
    columns: list[Sequence[float]] = [*group.numbers.values(), group.seeds, [id(o) for o in group.objectives]]
    for place in dict.fromkeys([0, *map(first_other, columns)]):
        one = begin(template, [group.seeds[place]], [group.objectives[place]], own=False)
        placed = placed or one.experiment  # it may keep from the first run on what it was asked for
        numbers = {leaf: column[place] for leaf, column in group.numbers.items()} if place else {}
        in_it = after(with_leaves(placed, numbers), one)
        own = unwatched(build(group.jobs[place].overrides))  # only now: to make it may change what is kept
        one = begin(own, [own.seed], [own.objective], own=False)
        alone = after(one.experiment, one)
        if alone is not None and (in_it is None or not alike(in_it, alone)):
            raise Untraceable("a number reaches its step by another way than its field, or chance does")


def first_other(values: Sequence[float]) -> int:
    """Return the first place of a value that is not the first one; 0 where all are the same."""
    return next((i for i, x in enumerate(values) if x != values[0]), 0)


def unwatched(experiment: Experiment) -> Experiment:
    """Return an experiment without metrics, and without the rules that look at them."""
    return replace(experiment, metrics={}, stop=Stopping())


def after(experiment: Experiment, one: Beginning) -> list[Tensor] | None:
    """Return all that a run carries on after its first steps, or None where they raise: the run itself will say how."""
    try:
        with computing(one.threads, one.streams.device), torch.no_grad():
            carry = start(experiment, one.origin.of_run(0))
            batches = [one.streams.draw() for _ in range(STEPS)]
            carry, _ = take(experiment, carry, batches, ((),) * STEPS, uncounted)
    except Exception as error:  # a user's own code may raise anything
        if is_failure(error):
            raise
        return None
    return tensors(carry)
