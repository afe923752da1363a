"""A machine with two pretend GPUs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pretend
import pytest
import torch

from descend import devices
from descend.engine import experiment, placement
from descend.graph import recorder

FREE, RESERVED, ALLOCATED = 8 << 30, 3 << 30, 1 << 30
"""What the driver has left of a GPU, what torch took of it, and what of that is in use."""


@contextmanager
def two_gpus() -> Iterator[None]:
    """Let `device=cuda` inside mean the pretend device, of which there are two."""
    pretend.register()
    named = placement.choose_device

    def choose(name: str, work: int) -> torch.device:
        found = named(name, work)
        return torch.device(pretend.NAME, found.index or 0) if found.type == "cuda" else found

    told: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: pretend.COUNT,
        "get_device_name": lambda device=None: "a pretend GPU",
        "mem_get_info": lambda device=None: (FREE, 2 * FREE),
        "memory_reserved": lambda device=None: RESERVED,
        "memory_allocated": lambda device=None: ALLOCATED,
        "synchronize": lambda device=None: pretend.count("waits", "synchronize"),
        "empty_cache": lambda: None,
        "get_rng_state": pretend.Module.get_rng_state,
        "set_rng_state": pretend.Module.set_rng_state,
    }
    with ExitStack() as stack:
        for module in (experiment, placement):
            stack.enter_context(patch.object(module, "choose_device", choose))
        stack.enter_context(patch.object(devices, "GPUS", ("cuda", pretend.NAME)))
        stack.enter_context(patch.object(recorder, "memory", pretend.memory))
        for name, answer in told.items():
            stack.enter_context(patch.object(torch.cuda, name, answer))
        stack.enter_context(patch.object(torch.backends.cudnn, "version", lambda: 92000))  # torch's own asks the driver
        # Torch walks back on a thread of each device's own, on which functorch's transforms are not known.
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        yield


@pytest.fixture
def gpus() -> Iterator[None]:
    """A machine with two pretend GPUs."""
    with two_gpus():
        yield
