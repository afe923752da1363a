"""References computed in float64."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def default_float64() -> Iterator[None]:
    """References keep counters and averages of numbers in the default dtype."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
