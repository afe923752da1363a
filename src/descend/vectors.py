"""Parameters seen as one vector: its length, norm and inner product, without concatenating; and quotients of such."""

import torch
from torch import Tensor

from descend.types import Params


def numel(params: Params) -> int:
    """Return how many numbers the parameters are."""
    return sum(x.numel() for x in params.values())


def dot(left: Params, right: Params) -> Tensor:
    """Return ⟨left, right⟩ over all parameters, shape []."""
    return torch.stack([torch.dot(x.flatten(), right[name].flatten()) for name, x in left.items()]).sum()


def total_size(params: Params) -> Tensor:
    """Return ‖params‖₁ over all parameters, shape []."""
    return torch.stack([x.abs().sum() for x in params.values()]).sum()


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """Return a / b, and 0 where b is 0: so the cosine with a vector that is zero is."""
    return torch.where(b == 0, torch.zeros_like(a), a / b)


def norm(params: Params) -> Tensor:
    """Return ‖params‖₂ over all parameters, shape []."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(x) for x in params.values()]))
