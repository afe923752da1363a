"""Which parts of an experiment are descend's own; the user's are tried before they are trusted."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from descend.engine.experiment import Experiment
from descend.metrics.metric import Metric

TRUSTED = ("descend", "torch", "builtins", "numpy")
"""Packages whose own parts are not tried: descend's contracts are tested, and the others hold data."""

ROUNDING = 16
"""Two computations of the same numbers may differ by this many units in the last place of the greatest."""


MOST_LOOKED_AT = 100
"""Of a list or a dict: a longer one holds data, not parts."""


def own_alone(experiment: Experiment) -> bool:
    """Tell whether all of an experiment is descend's own, whose contracts are tested."""
    return own_parts(experiment_parts(experiment))


def experiment_parts(experiment: Experiment) -> list[Any]:
    """Return the parts of which a step is made, the objective first."""
    return [experiment.objective, experiment.optimizer, experiment.aggregator, experiment.schedule, experiment.clip]


def own_parts(parts: Sequence[Any]) -> bool:
    """Tell whether parts, and all that they keep, are descend's own."""
    return all(module_of(x).split(".")[0] in TRUSTED for part in parts for x in parts_within(part))


def users_metrics(experiment: Experiment) -> dict[str, Metric]:
    """Return the metrics of the user's own that say of themselves that they may be recorded."""
    may = {name: x for name, x in experiment.metrics.items() if x.batchable and not x.arrays}
    return {name: metric for name, metric in may.items() if not own_parts([metric])}


def parts_within(part: Any) -> Iterator[Any]:
    """Return a part, what it keeps, and what that keeps, tensors and plain values included."""
    if isinstance(part, functools.partial):
        kept: Iterable[Any] = [part.func, *part.args, *part.keywords.values()]
    else:
        yield part
        kept = kept_by(part)
    for x in kept:
        yield from parts_within(x)


def kept_by(part: Any) -> Iterable[Any]:
    """Return what a part keeps where one can look into it: the fields of a dataclass, the layers of a network."""
    if isinstance(part, dict | list | tuple):
        return islice(part.values() if isinstance(part, dict) else part, MOST_LOOKED_AT)
    if isinstance(part, nn.Module):
        return part.children()
    return vars(part).values() if dataclasses.is_dataclass(part) and not isinstance(part, type) else ()


def module_of(x: Any) -> str:
    """Return the module of a function, or of a value's class."""
    return str(getattr(x, "__module__", None) or type(x).__module__)


def alike(found: Sequence[Tensor], right: Sequence[Tensor]) -> bool:
    """Tell whether tensors are the same but for rounding."""
    return len(found) == len(right) and all(close(x, y) for x, y in zip(found, right, strict=True))


def close(found: Tensor, right: Tensor) -> bool:
    """Tell whether two tensors are the same but for rounding."""
    if found.shape != right.shape or found.dtype != right.dtype:
        return False
    if not right.is_floating_point() or not right.numel():
        return torch.equal(found, right)
    apart = ROUNDING * torch.finfo(right.dtype).eps * float(right.abs().nan_to_num(0.0, 0.0).amax())
    return torch.allclose(found, right, rtol=0.0, atol=apart, equal_nan=True)
