"""The contract of an op: one function of a tensor, element by element, whose derivative may be written by hand."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Op(ABC):
    """An elementwise function x ↦ y of any shape, dtype and device, which y keeps.

    Subclasses are frozen dataclasses whose fields are hyperparameters, constants of the derivative; a field annotated
    `float` may hold a tensor of shape [] where runs that differ in it are batched. An op declares in a sentence
    what it cannot do by design, and the contract tests check that sentence.
    """

    domain: ClassVar[tuple[float, float]] = (-3.0, 3.0)
    """Where tests and audits draw x: inside, off the kinks, the op has all its derivatives."""

    declines_gradcheck: ClassVar[str | None] = None
    """Why `backward` is by design not the derivative of `forward`; None where it is."""

    declines_forward_mode: ClassVar[str | None] = None
    """Why no `jvp` can agree with `backward`; None where one does."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """Values of x where the op or one of its derivatives jumps."""
        return ()

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Apply the op to `x` of any shape."""


def scalar_like(value: float | Tensor, x: Tensor) -> Tensor:
    """`value` as a tensor of shape [] with the dtype of `x`, and its device if `value` is a Python number."""
    if isinstance(value, Tensor):
        return value.to(x.dtype)
    return torch.full((), value, dtype=x.dtype, device=x.device)
