"""Parameters seen as one vector: its norm and inner product, without concatenating."""

import torch
from torch import Tensor

from descend.types import Params


def dot(left: Params, right: Params) -> Tensor:
    """Return ⟨left, right⟩ over all parameters, shape []."""
    return torch.stack([torch.dot(x.flatten(), right[name].flatten()) for name, x in left.items()]).sum()


def norm(params: Params) -> Tensor:
    """Return ‖params‖₂ over all parameters, shape []."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(x) for x in params.values()]))
