"""The global generators of torch, NumPy and Python, from which other people's code draws, lent to one run."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from descend.graph.chance import direct_draws
from descend.types import State


@contextmanager
def generators_kept(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """Leave the generators of torch, numpy and Python after the block as they were before it.

    Args:
        devices: GPUs whose generators are kept too.
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with direct_draws(), torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def seed(number: int) -> None:
    """Seed all of them."""
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002


@contextmanager
def seeded(number: int) -> Iterator[None]:
    """Begin all of them at a seed within the block, on the CPU, and leave them afterwards as they were before it."""
    with generators_kept():
        torch.default_generator.manual_seed(number)
        random.seed(number)
        np.random.seed(number % 2**32)  # noqa: NPY002
        yield


def generator_states(devices: Sequence[torch.device] = ()) -> State:
    """Return where the generators stand, as tensors and numbers."""
    _, words, spare = random.getstate()
    _, keys, place, has_spare, spare_normal = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "devices": [torch.cuda.get_rng_state(device) for device in devices],
        "python": {"words": torch.tensor(words, dtype=torch.int64, device="cpu"), "spare": spare},
        "numpy": {
            "keys": torch.tensor(np.asarray(keys).astype(np.int64), dtype=torch.int64, device="cpu"),
            "place": int(place),
            "has_spare": int(has_spare),
            "spare": float(spare_normal),
        },
    }


def restore_generators(state: State, devices: Sequence[torch.device] = ()) -> None:
    """Put the generators where `generator_states` found them."""
    torch.set_rng_state(state["torch"])
    for device, stood in zip(devices, state["devices"], strict=True):
        torch.cuda.set_rng_state(stood, device)
    random.setstate((3, tuple(state["python"]["words"].tolist()), state["python"]["spare"]))
    legacy = state["numpy"]
    keys = legacy["keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, legacy["place"], legacy["has_spare"], legacy["spare"]))  # noqa: NPY002
