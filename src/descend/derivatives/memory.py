"""Refuses a matrix that does not fit into memory, before the system kills the process."""

import torch

from descend.errors import ConfigurationError
from descend.memory import free_bytes

# Asking the system costs more than a small Hessian does, and no machine that runs torch lacks this much.
ALWAYS_FREE = 2**26


def require_memory(size: int, dtype: torch.dtype, device: torch.device) -> None:
    """Raise ConfigurationError if a matrix [size, size] does not fit in the free memory of `device`."""
    needed = size**2 * dtype.itemsize
    if needed <= ALWAYS_FREE or needed <= (free := free_bytes(device)):
        return
    raise ConfigurationError(
        f"The full matrix of {size:,} parameters has {size**2:,} entries, {needed / 2**30:,.1f} GiB in {dtype}, and "
        f"{free / 2**30:,.1f} GiB are free on {device}. Use HessianProduct, which multiplies by the matrix without "
        "forming it; spectrum, trace and density need only its products."
    )
