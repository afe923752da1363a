"""How much memory is free, so that a matrix too large is refused with a sentence instead of a killed process."""

import os
from pathlib import Path

import torch

from descend import devices
from descend.errors import ConfigurationError

# Asking the system costs more than a small Hessian does, and no machine that runs torch lacks this much.
ALWAYS_FREE = 2**26


def free_bytes(device: torch.device) -> float:
    """Bytes that can still be allocated on `device`; on systems that do not tell, all of the machine's memory."""
    if devices.is_gpu(device):
        return devices.free_bytes(device)
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return min(int(fields["MemAvailable"].split()[0]) * 1024, _container_free_bytes())


def _container_free_bytes() -> float:
    """What the control group (version 2) of this process still allows; infinite without one."""
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")


def require_memory(size: int, dtype: torch.dtype, device: torch.device) -> None:
    """Raise ConfigurationError if a matrix [size, size] does not fit in the free memory of `device`."""
    needed = size**2 * dtype.itemsize
    if needed <= ALWAYS_FREE or needed <= (free := free_bytes(device)):
        return
    raise ConfigurationError(
        f"The full matrix of {size:,} parameters has {size**2:,} entries, {needed / 2**30:,.1f} GiB in {dtype}, and "
        f"{free / 2**30:,.1f} GiB are free on {device}. Use HessianProduct, which multiplies by the matrix without "
        "forming it; spectrum, trace and density need no more than that."
    )
