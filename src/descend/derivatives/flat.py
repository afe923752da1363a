"""Parameters as one vector and back, in the order of the dict."""

import torch
from torch import Tensor

from descend.types import Params


def ravel(params: Params) -> Tensor:
    """Lay every parameter end to end in one vector [n], in dict order, each in row-major order."""
    return torch.cat([value.reshape(-1) for value in params.values()])


def unravel(vector: Tensor, like: Params) -> Params:
    """Cut `vector` [..., n] into the names and shapes of `like`: each [..., *shape], views where strides allow.

    Leading axes (rows of a matrix, a batch of directions) stay in front.
    """
    sizes = [value.numel() for value in like.values()]
    pieces = vector.split(sizes, dim=-1)
    lead = vector.shape[:-1]
    return {name: piece.reshape(lead + value.shape) for piece, (name, value) in zip(pieces, like.items(), strict=True)}
