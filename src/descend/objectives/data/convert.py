"""Converts arrays and tensors to the types that training needs."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.errors import ConfigurationError


def as_inputs(name: str, values: Any) -> Tensor:
    """Return inputs as float64; integers become int64 and are treated as indices (tokens).

    Bytes (uint8) are treated as pixels and booleans as numbers: both become float64.

    Raises:
        ConfigurationError: they are not real numbers.
    """
    x = as_tensor(name, values)
    return x.double() if x.is_floating_point() or x.dtype in (torch.uint8, torch.bool) else x.long()


def as_targets(name: str, values: Any) -> Tensor:
    """Return targets as float64; integers and booleans become int64 and are treated as classes.

    Raises:
        ConfigurationError: they are not real numbers.
    """
    x = as_tensor(name, values)
    return x.double() if x.is_floating_point() else x.long()


def as_tensor(name: str, values: Any) -> Tensor:
    """Return real numbers as a tensor on the CPU."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "fiub":
            raise ConfigurationError(f"The {name} are of the type {values.dtype}, but real numbers are needed.")
        wide = values.dtype.kind == "f" and values.dtype.itemsize > 8
        return torch.from_numpy(np.array(values, dtype=np.float64 if wide else values.dtype.newbyteorder("=")))
    if not isinstance(values, Tensor) or values.is_complex():
        kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise ConfigurationError(f"The {name} are of the type {kind}, but real numbers are needed.")
    return values.detach().to("cpu")
