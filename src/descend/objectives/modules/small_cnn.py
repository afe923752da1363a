"""A small convolutional network in ordinary PyTorch, with a batch norm and a dropout."""

from torch import Tensor, nn
from torch.nn import functional


class SmallCNN(nn.Module):
    """Two 3 × 3 convolutions, each with a batch norm, a SiLU and a 2 × 2 average pool; a dropout; a linear layer.

    Args:
        channels: channels of the first convolution; the second has twice as many.
        side: height and width of the pictures, a multiple of 4.
        classes: number of outputs.
        dropout: probability that a feature is dropped in training.
    """

    def __init__(self, channels: int = 8, side: int = 8, classes: int = 10, dropout: float = 0.1) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1, bias=False)  # the batch norm after it has a bias
        self.second = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(2 * channels)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * channels * (side // 4) ** 2, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return [n, classes] for pictures [n, 1, side, side]."""
        x = functional.avg_pool2d(functional.silu(self.norm1(self.first(pictures))), 2)
        x = functional.avg_pool2d(functional.silu(self.norm2(self.second(x))), 2)
        return self.last(self.dropout(x.flatten(start_dim=1)))
