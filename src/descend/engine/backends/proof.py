"""Whether a step can be made again, and recorded: what passes through NumPy or Python is recorded as a constant."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from descend.devices import is_failure, is_gpu
from descend.engine.block import take
from descend.engine.drawn import check_draws, defining
from descend.engine.experiment import Experiment
from descend.engine.own import alike, own_alone, own_parts
from descend.engine.program import Program, seen
from descend.engine.step import Carry, Origin, Standing, lift, start, uncounted
from descend.errors import ConfigurationError, Untraceable, never_exits
from descend.graph.code import python_function
from descend.graph.trace import tensors
from descend.types import Batch

SHARE = 0.01
"""A recorded step may differ from the step by this share of how far the result moved; a constant does by all of it."""


def check_repeatable(experiment: Experiment, origin: Origin, batch: Batch) -> None:
    """Require that a step made again from the same place finds the same.

    What a class of the user's keeps in a global or an attribute would be shared by the runs of a sweep, and lost to a
    run that is resumed.

    Raises:
        ConfigurationError: it finds something else.
    """
    if own_alone(experiment):
        return
    check_draws(experiment.objective, int(origin.seed))
    try:
        with never_exits():
            begun = start(experiment, origin)
            first, second = (take(experiment, lift(begun), [batch], ((),), uncounted)[0] for _ in range(2))
            tested = [tested_by_user(experiment, begun) for _ in range(2)]
    except Exception as error:  # a user's own code may raise anything; the run itself will tell it
        if is_failure(error):
            raise
        return
    losses_alone = is_gpu(first.losses.device)  # which adds up gradients in another order each time
    found, again = (tensors(carry.losses if losses_alone else carry) for carry in (first, second))
    if alike(found, again) and alike(*tested):
        return
    parts = [experiment.objective, experiment.optimizer, experiment.aggregator, experiment.schedule]
    named = [type(part).__name__ for part in parts if not own_parts([part])]
    raise ConfigurationError(
        f"{' or '.join(named)} gives another result when it is called again at the same point, step and seed: it "
        "changes something that it keeps (a global, an attribute, a tensor written in place), or it draws random "
        "numbers from elsewhere than torch. The runs of a sweep would disturb one another. Return what changes as part "
        "of the state (a module keeps it in a buffer), and draw by torch (torch.rand; torch.randint for "
        "the seed of another generator)."
    )


def tested_by_user(experiment: Experiment, carry: Carry) -> list[Tensor]:
    """Return the test metrics at a carry where code of the user's own computes them; nothing where it is descend's."""
    if own_parts([defining(experiment.objective, "evaluate")]):
        return []
    with torch.no_grad():
        return [*Standing.of(experiment, carry).tested(experiment, carry).values()]


def check_faithful(program: Program, origin: Origin, batch: Batch) -> None:
    """Compare the recorded step with the step itself at a second point.

    Raises:
        Untraceable: they differ.
    """
    if own_alone(program.experiment):
        return
    numbers, experiment, second = program.numbers, program.experiment, elsewhere(origin)
    try:
        found = [carry_after(program, point, batch) for point in (origin, second)]
        carry = program.start(numbers, second)
        own = tensors(take(experiment, carry, [batch], ((),), uncounted)[0])
    except Exception as error:  # a user's own code may raise anything where it was not asked to go
        if is_failure(error):
            raise
        raise Untraceable(f"it raised {type(error).__name__} at a second point: {error}") from error
    for here, there, right in zip(found[0], found[1], own, strict=True):
        if not agree(there, right, here):
            raise Untraceable("its values pass through NumPy or Python, or chance, where recording cannot follow")


def elsewhere(origin: Origin) -> Origin:
    """Return another place to begin, not far away."""
    return origin._replace(params={name: x * 1.0625 + 0.03125 for name, x in origin.params.items()})


def check_metrics(program: Program, origin: Origin, batch: Batch) -> None:
    """Find the metrics of the user's own whose recording differs from what they are; those will be called instead.

    Raises:
        ConfigurationError: a metric gives another value when it looks at the same step again.
    """
    experiment = program.experiment
    own = {name: x for name, x in experiment.metrics.items() if x.batchable and not x.arrays and not own_parts([x])}
    if not own:
        return
    with torch.no_grad():
        carry: Carry = program.start(program.numbers, elsewhere(origin))
        after, made = take(experiment, carry, [batch], ((),), uncounted)
        point = carry, after, made.weights[0], batch
        for name, metric in own.items():
            look = partial(seen, experiment, program.names, (name,), *point)
            right, again = tried(look), tried(look)
            if right is None or again is None:
                continue  # the run itself will tell what it raised
            if not alike([*again.values()], [*right.values()]):
                raise ConfigurationError(
                    f"The metric {name} ({type(metric).__name__}) gives another value when it looks at the same step "
                    "again: it changes something that it keeps, or depends on something else than the step. The runs "
                    "of a sweep would disturb one another. Make it a function of what it is given alone; or write "
                    "batchable: ClassVar[bool] = False into its class: it is then called as it is, once for each value."
                )
            found = tried(partial(recorded_look, program, name, point))
            if found is None or not alike([*found.values()], [right[key] for key in found]):
                program.hosted.add(name)


def recorded_look(program: Program, name: str, point: Sequence[Any]) -> dict[str, Tensor]:
    """Return what the recording of a metric finds; `point` is what `Program.look` takes behind the numbers."""
    recorded = program.look((name,))
    flat = python_function(recorded.graph)(*program.numbers.values(), *tensors(point))
    found: dict[str, Tensor] = recorded.tree(flat)
    return found


def tried(function: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor] | None:
    """Return what a function gives, or None where it raises: a user's own code may raise anything."""
    try:
        with never_exits():
            return function()
    except Exception as error:
        if is_failure(error):
            raise
        return None


def carry_after(program: Program, origin: Origin, batch: Batch) -> Sequence[Tensor]:
    """Return the carry after one recorded step from `origin`."""
    carry: Carry = program.start(program.numbers, origin)
    with torch.no_grad():
        step = python_function(program.step(()).graph)
        return step(*program.numbers.values(), *tensors(carry), *tensors(batch))[: program.kept]


def agree(found: Tensor, right: Tensor, before: Tensor) -> bool:
    """Tell whether two results agree, measured by how far the right one moved from that at the first point."""
    if not found.is_floating_point():
        return bool((found == right).all())
    scale = (right - before).abs().nan_to_num().amax() * SHARE if right.numel() else 0
    rounding = 1e3 * torch.finfo(right.dtype).eps * right.abs().nan_to_num().amax() if right.numel() else 0
    same = (found - right).abs() <= scale + rounding
    return bool((same | (found == right) | (found.isnan() & right.isnan())).all())
