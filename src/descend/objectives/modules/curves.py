"""The networks that the authors of MNIST-1D compare on its curves."""

from collections.abc import Callable

from torch import Tensor, nn


class CurveMLP(nn.Module):
    """Two hidden layers, the second of which is added to the first: h = σ(W₁x), W₃(h + σ(W₂h)).

    Args:
        points: points of a curve.
        classes: number of outputs.
        width: width of the hidden layers.
        activation: applied elementwise, Tensor -> Tensor of the same shape.
    """

    def __init__(self, points: int, classes: int, width: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(points, width), nn.Linear(width, width)
        self.last, self.activation = nn.Linear(width, classes), activation

    def forward(self, curves: Tensor) -> Tensor:
        """Return [n, classes] for curves [n, points]."""
        x = self.activation(self.first(curves))
        return self.last(x + self.activation(self.second(x)))


class CurveCNN(nn.Module):
    """Three convolutions, each of which halves the length, and a linear layer.

    Args:
        points: points of a curve, a multiple of 8.
        classes: number of outputs.
        channels: channels of each convolution.
        activation: applied elementwise, Tensor -> Tensor of the same shape.
    """

    def __init__(self, points: int, classes: int, channels: int, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, channels, 5, stride=2, padding=1)
        self.second = nn.Conv1d(channels, channels, 3, stride=2, padding=1)
        self.third = nn.Conv1d(channels, channels, 3, stride=2, padding=1)
        self.last, self.activation = nn.Linear(channels * (points // 8), classes), activation

    def forward(self, curves: Tensor) -> Tensor:
        """Return [n, classes] for curves [n, points]."""
        x = curves[:, None]
        for layer in (self.first, self.second, self.third):
            x = self.activation(layer(x))
        return self.last(x.flatten(start_dim=1))


class CurveGRU(nn.Module):
    """A gated recurrent unit that reads the points one by one, from both ends, and a linear layer of all its states.

    Args:
        points: points of a curve.
        classes: number of outputs.
        width: width of the state in each direction.
    """

    def __init__(self, points: int, classes: int, width: int) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True, bidirectional=True)
        self.last = nn.Linear(2 * width * points, classes)

    def forward(self, curves: Tensor) -> Tensor:
        """Return [n, classes] for curves [n, points]."""
        states, _ = self.gru(curves[:, :, None])
        return self.last(states.flatten(start_dim=1))
