"""What every aggregator that computes through torchjd shares."""

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor

from descend.errors import ConfigurationError


def import_torchjd(module: str, aggregator: str) -> ModuleType:
    """Return a module of torchjd.

    Raises:
        ConfigurationError: torchjd is not installed; names the aggregator that needs it, and the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"aggregator={aggregator} computes its weights through torchjd 0.18, which cannot be imported here "
            f"({error}); install it with: pip install 'descend[torchjd]'."
        ) from error


def weigh(weighting: Callable[[Tensor], Tensor], matrix: Tensor, losses: Tensor) -> Tensor:
    """Return the weights that a torchjd weighting finds in float64 on the CPU, placed and shaped like the losses.

    They are NaN where the matrix is not finite: the solvers behind torchjd raise then, and the run would end without
    telling which loss it was.
    """
    if not torch.isfinite(matrix).all():
        return torch.full_like(losses, torch.nan)
    with warnings.catch_warnings():
        # cvxpy warns of the way torchjd states its problem; the solvers when they stop short of their own tolerance, at
        # almost every step near a stationary point; numpy where a loss has no gradient. The user could mend none of it.
        warnings.simplefilter("ignore")
        return weighting(matrix.detach().to(device="cpu", dtype=torch.float64)).to(losses)
