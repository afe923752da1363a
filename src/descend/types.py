"""Names for the shapes of data that every part of descend hands to the next. No logic lives here."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

Params = dict[str, Tensor]
"""Parameters by name, each of any shape; gradients and directions have the same names and shapes."""

Losses = dict[str, Tensor]
"""Scalar losses by name, each of shape []."""

Batch = Any
"""What an objective draws for one step: a tensor, a dict of tensors, or None for the whole objective."""

State = Any
"""What an optimizer or aggregator carries from step to step: nested dicts of tensors and numbers."""

Loss = Callable[[Params], Tensor]
"""One scalar function of the parameters, differentiable in them."""
