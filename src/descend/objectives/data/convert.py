"""Arrays and tensors in the types that training wants."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.errors import ConfigurationError


def as_inputs(name: str, values: Any) -> Tensor:
    """Return inputs as float64, or int64 where they are whole numbers, which are taken for indices (tokens).

    Bytes (uint8) are taken for pixels, and truth values for numbers: both become float64.

    Raises:
        ConfigurationError: they are no real numbers.
    """
    x = as_tensor(name, values)
    return x.double() if x.is_floating_point() or x.dtype in (torch.uint8, torch.bool) else x.long()


def as_targets(name: str, values: Any) -> Tensor:
    """Return targets as float64, or int64 where they are whole numbers or truth values, which are taken for classes.

    Raises:
        ConfigurationError: they are no real numbers.
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
