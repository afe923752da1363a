"""The autoencoder that is used to compare second-order methods."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Sigmoid layers that narrow to a linear code and widen again, mirrored: 784-1000-500-250-30-250-500-1000-784.

    Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks" (2006); trained from random
    weights by Martens, "Deep learning via Hessian-free optimization" (2010). The weights are drawn by Glorot & Bengio
    (2010), the biases are 0.

    Args:
        widths: widths of the inputs, of each hidden layer of the encoder, and of the code.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        sizes = [*widths, *reversed(widths[:-1])]
        self.code = len(widths) - 2
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        for layer in layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return reconstructions between 0 and 1, [n, widths[0]], of inputs of that shape."""
        for i, layer in enumerate(self.layers):
            x = layer(x) if i == self.code else torch.sigmoid(layer(x))
        return x
