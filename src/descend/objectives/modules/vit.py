"""A small vision transformer."""

from torch import Tensor, nn

from descend.objectives.modules.transformer import TransformerBlock, draw


class ViT(nn.Module):
    """A transformer over the patches of a picture, whose outputs are averaged before the last layer.

    Dosovitskiy et al., "An image is worth 16 × 16 words" (2021); the average in place of a class token: Beyer, Zhai &
    Kolesnikov, "Better plain ViT baselines for ImageNet-1k" (2022).

    Args:
        classes: number of outputs.
        side: height and width of the pictures, a multiple of `patch`.
        patch: height and width of a patch.
        depth: number of blocks.
        width, heads, dropout: see `TransformerBlock`.
        channels: channels of the pictures.
    """

    def __init__(
        self,
        classes: int,
        side: int = 28,
        patch: int = 4,
        depth: int = 4,
        width: int = 64,
        heads: int = 4,
        dropout: float = 0.0,
        channels: int = 1,
    ) -> None:
        super().__init__()
        if side % patch:
            raise ValueError(f"side is {side}, but it must be a multiple of patch, {patch}")
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.places = nn.Embedding((side // patch) ** 2, width)
        blocks = (TransformerBlock(width, heads, causal=False, bias=True, dropout=dropout) for _ in range(depth))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, classes)
        draw(self, depth)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return [n, classes] for pictures [n, channels, side, side]."""
        x = self.patches(pictures).flatten(start_dim=2).transpose(1, 2) + self.places.weight
        return self.last(self.norm(self.blocks(x)).mean(dim=1))
