"""A small language model."""

import torch
from torch import Tensor, nn

from descend.objectives.modules.transformer import TransformerBlock, draw


class GPT(nn.Module):
    """A decoder-only transformer that shares the weight of its last layer with its embedding.

    Radford et al., "Language models are unsupervised multitask learners" (2019). The default size is the one that
    nanoGPT (github.com/karpathy/nanoGPT) trains on a CPU, without biases like there.

    Args:
        classes: size of the vocabulary; `Module` replaces None by that of its data.
        context: most tokens of an input.
        depth: number of blocks.
        width, heads, dropout: see `TransformerBlock`.
    """

    def __init__(
        self,
        classes: int | None = None,
        context: int = 64,
        depth: int = 4,
        width: int = 128,
        heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if classes is None:
            raise ValueError("classes is None, which is for descend.objectives.module.Module to fill in")
        self.context = context
        self.tokens, self.places = nn.Embedding(classes, width), nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        blocks = (TransformerBlock(width, heads, causal=True, bias=False, dropout=dropout) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width, bias=False)
        self.last = nn.Linear(width, classes, bias=False)
        self.last.weight = self.tokens.weight
        draw(self, depth)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores of the next token, [n, length, classes], for tokens [n, length]."""
        length = tokens.shape[1]
        if length > self.context:
            raise ValueError(f"inputs have {length} tokens, but context is {self.context}")
        places = torch.arange(length, dtype=torch.int64, device=tokens.device)
        x = self.dropout(self.tokens(tokens) + self.places(places))
        return self.last(self.norm(self.blocks(x)))
