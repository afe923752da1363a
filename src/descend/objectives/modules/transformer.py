"""The block that transformers repeat."""

import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention of each position to all positions, or (causal) to itself and those before it.

    Vaswani et al., "Attention is all you need" (2017). It is written out, because torch's fused attention has no second
    derivative.

    Args:
        width: numbers at a position, a multiple of `heads`.
        heads: number of heads.
        causal: attend to no later position.
        bias: whether the linear layers have a bias.
        dropout: probability that a weight of the attention is dropped in training.
    """

    def __init__(self, width: int, heads: int, causal: bool, bias: bool, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width is {width}, but it must be a multiple of heads, {heads}")
        self.heads, self.causal = heads, causal
        self.into = nn.Linear(width, 3 * width, bias=bias)  # queries, keys and values
        self.out = nn.Linear(width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, positions, width] for inputs of the same shape."""
        queries, keys, values = self.into(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
        if self.causal:
            ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(ahead, -math.inf)
        weights = self.dropout(scores.softmax(dim=-1))
        return self.out((weights @ values).transpose(1, 2).flatten(start_dim=2))


class TransformerBlock(nn.Module):
    """Attention, then a layer of 4 × width with GELU; each comes after a layer norm and is added to its input.

    Pre-norm, as in Radford et al., "Language models are unsupervised multitask learners" (2019).

    Args:
        width, heads, causal, bias: see `Attention`.
        dropout: probability that an output of either part is dropped in training.
    """

    def __init__(self, width: int, heads: int, causal: bool, bias: bool, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)
        self.attention = Attention(width, heads, causal, bias, dropout)
        self.wide = nn.Linear(width, 4 * width, bias=bias)
        self.narrow = nn.Linear(4 * width, width, bias=bias)
        self.activation, self.dropout = nn.GELU(), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, positions, width] for inputs of the same shape."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.narrow(self.activation(self.wide(self.norm2(x)))))


def draw(module: nn.Module, depth: int) -> None:
    """Draw the weights as nanoGPT does: normal, of deviation 0.02, or 0.02/√(2d) where outputs are added to the input.

    Radford et al., "Language models are unsupervised multitask learners" (2019): d is the depth, the number of blocks.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            added = name.endswith(("attention.out", "narrow"))
            nn.init.normal_(part.weight, std=0.02 / math.sqrt(2 * depth) if added else 0.02)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
