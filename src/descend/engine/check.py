"""The checks of a run's start, made once before the first step."""

import math
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from descend.derivatives.directional import taylor
from descend.derivatives.graph import autograd_errors_explained, require_complete_gradients
from descend.devices import is_failure, is_out_of_memory
from descend.engine.experiment import Experiment
from descend.engine.losses import Evaluation, LossGradients, total
from descend.engine.step import Origin, Standing, start
from descend.errors import ConfigurationError, Exited, never_exits
from descend.graph.chance import Chance
from descend.graph.compat import writings
from descend.metrics.metric import name_of_test
from descend.objectives.objective import Objective
from descend.types import Params

TORCH = Path(torch.__file__).parent


def check_floating(params: Params) -> None:
    """Require floating parameters: no derivative exists with respect to whole numbers.

    Raises:
        ConfigurationError: naming the parameter and its dtype.
    """
    for name, x in params.items():
        if not x.is_floating_point():
            raise ConfigurationError(
                f"The parameter {name!r} has dtype {x.dtype}, but only floating point numbers have derivatives; "
                f"start it from floating point numbers (3.0 instead of 3)."
            )


def check_start(experiment: Experiment, origin: Origin) -> tuple[str, ...]:
    """Require named, scalar, finite losses with a finite gradient at the start, and return their names.

    Warns:
        UserWarning: a loss depends on no parameter.

    Raises:
        ConfigurationError: naming the loss or gradient and what is wrong with it.
    """
    names, infinite = examine_start(experiment, origin)
    if infinite is not None:
        raise ConfigurationError(infinite)
    return names


def examine_start(experiment: Experiment, origin: Origin) -> tuple[tuple[str, ...], str | None]:
    """Return the names of the losses, and a sentence where a loss or its gradient is not finite at this start.

    In a sweep one such start is one run that diverges; all else that is wrong, is so at every start.

    Warns, raises:
        As `check_start`, for all but what is not finite.
    """
    found = losses_at(experiment, origin)
    objective = type(experiment.objective).__name__
    infinite = None
    for name, value in zip(found.losses, found.values.tolist(), strict=True):
        if not math.isfinite(value):
            infinite = f"The loss {name!r} of {objective} is {value} at the start; choose a start where it is finite."
            break
    if not any(loss.requires_grad for loss in found.losses.values()):
        raise ConfigurationError(
            f"No loss of {objective} depends on its parameters, so no gradient exists; "
            "check that the losses are computed from the parameters by torch operations, without detach."
        )
    for name, loss in found.losses.items():
        if not loss.requires_grad:
            warnings.warn(
                f"The loss {name!r} of {objective} depends on no parameter, so its gradient is zero and it decides "
                "nothing; compute it from the parameters without detach, or leave it out.",
                UserWarning,
                stacklevel=2,
            )
    gradients = gradients_at(found, objective)
    for name, gradient in gradients.items():
        if infinite is None and not torch.isfinite(gradient).all():
            infinite = f"The gradient of {objective} in {name!r} is not finite at the start; choose another start."
    if experiment.stop.metric is not None:
        check_metric(experiment, origin, experiment.stop.metric)
    if infinite is None:
        check_orders(experiment, origin, gradients, torch.ones_like(found.values))
    return tuple(found.losses), infinite


def check_metric(experiment: Experiment, origin: Origin, name: str) -> None:
    """Require that there is the test metric which is to decide.

    Raises:
        ConfigurationError: there are others, or none.
    """
    with torch.no_grad():
        carry = start(experiment, origin)
        there = sorted(map(name_of_test, Standing.of(experiment, carry).tested(experiment, carry)))
    if name not in there:
        has = f"the test metrics {', '.join(there)}; name one of them" if there else "no test metrics"
        raise ConfigurationError(f"stop.metric is {name!r}, but {type(experiment.objective).__name__} has {has}.")


def gradients_at(found: LossGradients, objective: str) -> Params:
    """Return the gradient of the sum of the losses.

    Raises:
        ConfigurationError: where a custom backward returns None, or another shape, or raises.
    """
    guarded = users_code(f"The gradient of {objective}", "correct the backward it comes from", found.values.device)
    with guarded, require_complete_gradients(found.losses.values()), autograd_errors_explained():
        return found.combined(torch.ones_like(found.values))


def check_orders(experiment: Experiment, origin: Origin, gradients: Params, weights: Tensor) -> None:
    """Require the losses to be differentiable as often as the optimizer and the metrics ask, tried along the gradient.

    Raises:
        ConfigurationError: naming the operation that is not.
    """
    asked = [metric.differentiates for metric in experiment.metrics.values()]
    order = max([experiment.optimizer.differentiates, *asked])
    if order > 1:
        taylor(total(beginning(experiment, origin), weights), origin.params, gradients, order)


def losses_at(experiment: Experiment, origin: Origin) -> LossGradients:
    """Return the losses over the whole data, having checked that they are named scalars."""
    objective = type(experiment.objective).__name__
    with torch.enable_grad():
        leaves = {name: x.detach().requires_grad_() for name, x in origin.params.items()}
        device = origin.seed.device
        with users_code(f"{objective}.losses", "correct it there, or choose another start", device):
            own = experiment.objective.with_state(origin.objective)
            before = versions(own)
            losses = own.losses(leaves, None)
    if changed := [name for name, version in versions(own).items() if version != before.get(name, version)]:
        raise ConfigurationError(
            f"{objective}.losses writes into {changed[0]} of the objective itself, which no checkpoint would keep; "
            "return it as state from training_losses, or hand the module to objective=module, which sees to its "
            "buffers."
        )
    if not isinstance(losses, dict) or not losses:
        raise ConfigurationError(
            f"{objective}.losses returned {type(losses).__name__}, but it must return a dict of named scalar tensors."
        )
    for name, loss in losses.items():
        if not isinstance(loss, torch.Tensor) or loss.dim() != 0:
            found = f"a tensor of shape {list(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise ConfigurationError(
                f"The loss {name!r} of {objective} is {found}, but a loss is one number: a tensor of shape []; "
                "take its sum or mean."
            )
    return LossGradients(leaves, losses)


def versions(objective: Objective) -> dict[str, int]:
    """Return how often each tensor that an objective holds, or a module of its, was written into, by name."""
    found: dict[str, int] = {}
    for name, value in getattr(objective, "__dict__", {}).items():
        if isinstance(value, torch.nn.Module):
            found |= {f"{name}.{key}": writings(x) for key, x in value.state_dict(keep_vars=True).items()}
        elif isinstance(value, torch.Tensor):
            found[name] = writings(value)
    return found


def beginning(experiment: Experiment, origin: Origin) -> Evaluation:
    """Return the losses over the whole data, as they are at the start."""
    return Evaluation(experiment.objective, origin.objective, chance=Chance(origin.seed, 0))


def require_device(error: Exception, name: str, device: torch.device) -> None:
    """Raise ConfigurationError where memory ran out, and the error itself where the device stopped."""
    if is_out_of_memory(error):
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigurationError(
            f"{name} does not fit into the memory of {device} at the start: {reason}. Choose a smaller problem or "
            "batch, end what else uses that memory, or choose another device."
        ) from error
    if is_failure(error):
        raise error


@contextmanager
def users_code(name: str, advice: str, device: torch.device) -> Iterator[None]:
    """Turn whatever a user's own code raises, which may be anything, into a ConfigurationError."""
    try:
        with never_exits():
            yield
    except (ConfigurationError, Exited):
        raise
    except Exception as error:
        require_device(error, name, device)
        raise ConfigurationError(
            f"{name} raised {type(error).__name__} at the start: {error} ({place(error)}); {advice}."
        ) from error


def place(error: BaseException) -> str:
    """Return the file and line where an error came from, outside torch."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if TORCH not in Path(frame.filename).parents]
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}"
