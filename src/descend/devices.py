"""What descend asks of a GPU: how much memory is free, to wait for it, and to compute exactly."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

GPUS = ("cuda",)
"""The types of device to which this file applies."""

FAILURES = (torch.OutOfMemoryError, torch.AcceleratorError)
"""What a device raises that has nothing to do with the function it carries out: its memory is full, or it stopped."""

# With these a float32 product has the 23 bits that it has on a CPU; TF32, the default of cuDNN's convolutions, has 10.
BACKENDS: Any = torch.backends  # torch's stubs lack a part of them
PRECISIONS: dict[str, Any] = {
    "matmul": BACKENDS.cuda.matmul,
    "convolution": BACKENDS.cudnn.conv,
    "recurrent": BACKENDS.cudnn.rnn,
}
IEEE = "ieee"
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""CuBLAS repeats to the bit only with memory of its own for each stream; it looks here when it is first used."""

MEMORY: Any = torch.utils.deterministic


def is_gpu(device: torch.device) -> bool:
    """Tell whether a device is a GPU."""
    return device.type in GPUS


def gpu_count() -> int:
    """Return how many GPUs this machine has; 1 where it has none, so that one can divide by it."""
    return max(1, torch.cuda.device_count())


def free_on_gpu(device: torch.device) -> int:
    """Return the bytes that this process can still allocate on a GPU.

    That is what the driver has left, and what torch took from it before and uses no more.
    """
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + cached


def give_back() -> None:
    """Give unused memory back to the driver, for a next try that needs larger pieces, and for other processes."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def in_turn(number: int) -> Iterator[None]:
    """Let `cuda` inside mean the GPU whose turn it is: that of the first process, the second… of those on a machine."""
    if torch.cuda.device_count() > 1:
        with torch.cuda.device(number % torch.cuda.device_count()):
            yield
    else:
        yield


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all that it was asked to; a CPU has."""
    if is_gpu(device):
        torch.cuda.synchronize(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def is_failure(error: BaseException) -> bool:
    """Tell whether it was the device that failed, and not what it was asked to carry out."""
    return is_out_of_memory(error) or isinstance(error, FAILURES)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Compute as exactly as a CPU does inside, and the same at every repetition; afterwards as before.

    Torch warns of an operation that it cannot repeat to the bit on a GPU. On a CPU nothing is changed. The workspace of
    cuBLAS stays as it is set here, for it is looked at once in a process.
    """
    if not is_gpu(device):
        yield
        return
    os.environ.setdefault(*WORKSPACE)
    cudnn, before = torch.backends.cudnn, {name: flags.fp32_precision for name, flags in PRECISIONS.items()}
    chosen = cudnn.deterministic, cudnn.benchmark
    repeated = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = MEMORY.fill_uninitialized_memory
    try:
        for flags in PRECISIONS.values():
            flags.fp32_precision = IEEE
        cudnn.deterministic, cudnn.benchmark = True, False
        torch.use_deterministic_algorithms(True, warn_only=True)
        MEMORY.fill_uninitialized_memory = False  # no number here is read before it is written
        yield
    finally:
        for name, flags in PRECISIONS.items():
            flags.fp32_precision = before[name]
        cudnn.deterministic, cudnn.benchmark = chosen
        torch.use_deterministic_algorithms(repeated[0], warn_only=repeated[1])
        MEMORY.fill_uninitialized_memory = fills


def described(device: torch.device) -> dict[str, Any]:
    """Return what decides the bits of a GPU's results: its name, the versions below torch, and the precision."""
    if not is_gpu(device):
        return {}
    return {
        "device_name": torch.cuda.get_device_name(device),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": driver(),
        "precision": dict.fromkeys(PRECISIONS, IEEE),
        "algorithms": "deterministic wherever torch has such",
    }


@cache
def driver() -> str | None:
    """Return the version of NVIDIA's driver; None where it cannot be asked."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else None
