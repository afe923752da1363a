"""Where, in which precision and how a run computes, chosen by name or by the size of the problem."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from descend.devices import exact
from descend.errors import ConfigurationError
from descend.memory import keep_freed

# Multiply-adds of one step (parameters × examples). On small nets a second thread makes a step 5 to 13 times slower,
# more where other programs want the processor too; an accelerator's launch overhead likewise wants work to pay for it.
THREADS_PAY = 20_000_000
ACCELERATOR_PAYS = 20_000_000

COMMON = (torch.float32, torch.float64)
"""Every device but Metal has these."""


def choose_device(name: str, work: int) -> torch.device:
    """Return the device named, or for `auto` an accelerator where one is present and the problem is large.

    Raises:
        ConfigurationError: the name is none of these, or this machine lacks the device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() and work >= ACCELERATOR_PAYS else "cpu")
    if re.fullmatch(r"cpu|mps|cuda(:\d+)?", name) is None:
        raise ConfigurationError(f"device is {name!r}, but it must be auto, cpu, cuda, cuda:1 (a number) or mps.")
    device = torch.device(name)
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        others = ", or install a CUDA build of torch on a machine with a GPU" if not count else ""
        there = " or ".join(["device=cpu", *(f"device=cuda:{i}" for i in range(count))])
        raise ConfigurationError(
            f"device is {name!r}, but this machine offers torch {count} CUDA device{'' if count == 1 else 's'}; "
            f"use {there}{others}."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError("device is 'mps', but this machine has no Metal device; use device=cpu.")
    return device


def choose_dtype(name: str, default: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the floating dtype named, or for `auto` the default, float32 where the device has no other.

    Raises:
        ConfigurationError: the name is not that of a floating torch dtype, or the device lacks it.
    """
    if name == "auto":
        return torch.float32 if device.type == "mps" else default
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ConfigurationError(
            f"dtype is {name!r}, but derivatives need a floating dtype; use auto, float32 or float64."
        )
    if dtype == torch.float64 and device.type == "mps":
        raise ConfigurationError("dtype is 'float64', but Metal has no such numbers; use dtype=float32 or device=cpu.")
    if dtype not in COMMON:
        require_arithmetic(dtype, device)
    return dtype


def require_arithmetic(dtype: torch.dtype, device: torch.device) -> None:
    """Raise ConfigurationError where a device cannot add, multiply and take roots of numbers of a type."""
    try:
        some = torch.ones((2, 2), dtype=dtype, device=device)
        (some @ some + some).sqrt()
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        name = str(dtype).removeprefix("torch.")
        raise ConfigurationError(
            f"dtype is {name!r}, but {device} has no arithmetic for such numbers ({reason}); use float32 or float64."
        ) from error


def choose_threads(threads: str | int, work: int) -> int:
    """Return the number of CPU threads: as given, or for `auto` one for small problems and all for large.

    Raises:
        ConfigurationError: neither `auto` nor a positive whole number.
    """
    if threads == "auto":
        return 1 if work < THREADS_PAY else torch.get_num_threads()
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigurationError(f"threads is {threads!r}, but it must be auto or a whole number of at least 1.")
    return threads


@contextmanager
def computing(threads: int, device: torch.device) -> Iterator[None]:
    """Compute with `threads` CPU threads inside, on a GPU exactly and repeatably; afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    keep_freed()
    try:
        with exact(device):
            yield
    finally:
        torch.set_num_threads(before)
