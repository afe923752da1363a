"""A small residual network."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3 × 3 convolutions with batch norms, and a shortcut past them: a 1 × 1 convolution where shapes change.

    Args:
        before: channels of the inputs.
        channels: channels of the outputs; where they differ from `before`, height and width are halved.
        activation: applied elementwise, Tensor -> Tensor of the same shape.
    """

    def __init__(self, before: int, channels: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        stride = 1 if channels == before else 2
        self.first = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.past: nn.Module = nn.Identity()
        if stride > 1:
            self.past = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return [n, channels, …] for [n, before, …]."""
        inner = self.activation(self.norm1(self.first(x)))
        return self.activation(self.norm2(self.second(inner)) + self.past(x))


class ResNet(nn.Module):
    """A convolution and residual blocks, whose outputs are averaged over all positions before the last layer.

    He, Zhang, Ren & Sun, "Deep residual learning for image recognition" (2016), section 4.2, with projections (B) where
    shapes change. With one block for each of three widths it is 8 layers deep.

    Args:
        classes: number of outputs.
        widths: channels of the blocks, from first to last; the first convolution has as many as the first.
        blocks: residual blocks of each width.
        activation: applied elementwise, Tensor -> Tensor of the same shape.
        channels: channels of the pictures.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int],
        blocks: int,
        activation: Callable[[Tensor], Tensor],
        channels: int = 1,
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.norm, self.activation = nn.BatchNorm2d(widths[0]), activation
        depths = [width for width in widths for _ in range(blocks)]
        self.blocks = nn.Sequential(*(Residual(a, b, activation) for a, b in pairwise([widths[0], *depths])))
        self.last = nn.Linear(widths[-1], classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return [n, classes] for pictures [n, channels, height, width]."""
        x = self.blocks(self.activation(self.norm(self.first(pictures))))
        return self.last(x.mean(dim=(2, 3)))
