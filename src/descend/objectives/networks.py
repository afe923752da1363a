"""Small networks as pure functions of their parameters."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from descend.checks import check_value
from descend.errors import ConfigurationError
from descend.types import Params

Activation = Callable[[Tensor], Tensor]


class Network(ABC):
    """A function from inputs [batch, …] to outputs [batch, outputs], which is given its parameters."""

    @abstractmethod
    def init(self, generator: torch.Generator, shape: Sequence[int], outputs: int) -> Params:
        """Draw float64 parameters for inputs of shape [batch, *shape], on the generator's device."""

    @abstractmethod
    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        """Return the outputs, [batch, outputs], of the inputs, [batch, *shape]."""


def draw_layer(generator: torch.Generator, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Draw a weight of `shape`, [out, in, …], and a bias, [out], uniform on ±1/√fan_in: PyTorch's default.

    He et al., "Delving deep into rectifiers" (2015), with the gain of a leaky ReLU of slope √5, as in torch.nn.Linear
    and torch.nn.Conv2d.
    """
    bound = prod(shape[1:]) ** -0.5

    def draw(size: Sequence[int]) -> Tensor:
        unit = torch.rand(tuple(size), generator=generator, dtype=torch.float64, device=generator.device)
        return bound * (2 * unit - 1)

    return draw(shape), draw(shape[:1])


@dataclass(frozen=True)
class MLP(Network):
    """Fully connected layers with an activation between them; without a hidden layer it is a linear model.

    Args:
        hidden: width of each hidden layer.
        activation: applied elementwise after each hidden layer, Tensor -> Tensor of the same shape.
        norm: normalise each hidden layer before its activation: Ba, Kiros & Hinton, "Layer normalization" (2016),
            with a learned scale and shift.
    """

    hidden: Sequence[int] = (128, 64)
    activation: Activation = torch.relu
    norm: bool = False

    def __post_init__(self) -> None:
        for i, width in enumerate(self.hidden):
            check_value(f"{type(self).__name__}.hidden[{i}]", width, at_least=1)

    def init(self, generator: torch.Generator, shape: Sequence[int], outputs: int) -> Params:
        params = {}
        widths = [prod(shape), *self.hidden, outputs]
        for i, (fan_in, width) in enumerate(pairwise(widths), start=1):
            params[f"linear{i}.weight"], params[f"linear{i}.bias"] = draw_layer(generator, (width, fan_in))
            if self.norm and i < len(widths) - 1:
                params[f"norm{i}.weight"] = torch.ones(width, dtype=torch.float64, device=generator.device)
                params[f"norm{i}.bias"] = torch.zeros(width, dtype=torch.float64, device=generator.device)
        return params

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        x = inputs.flatten(start_dim=1)
        for i, width in enumerate(self.hidden, start=1):
            x = functional.linear(x, params[f"linear{i}.weight"], params[f"linear{i}.bias"])
            if self.norm:
                x = functional.layer_norm(x, (width,), params[f"norm{i}.weight"], params[f"norm{i}.bias"])
            x = self.activation(x)
        last = len(self.hidden) + 1
        return functional.linear(x, params[f"linear{last}.weight"], params[f"linear{last}.bias"])


@dataclass(frozen=True)
class CNN(Network):
    """3 × 3 convolutions, each followed by an activation and a 2 × 2 average pool, then one linear layer.

    The pool averages because a maximum has no unique derivative where neighbours tie, as blank pixels do.

    Args:
        channels: channels of each convolution; each pool halves height and width.
        activation: applied elementwise after each convolution, Tensor -> Tensor of the same shape.
    """

    channels: Sequence[int] = (16, 32)
    activation: Activation = torch.relu

    def __post_init__(self) -> None:
        for i, width in enumerate(self.channels):
            check_value(f"{type(self).__name__}.channels[{i}]", width, at_least=1)

    def init(self, generator: torch.Generator, shape: Sequence[int], outputs: int) -> Params:
        params = {}
        smallest = 2 ** len(self.channels)
        if len(shape) != 3 or min(shape[1:]) < smallest:
            found = " × ".join(str(length) for length in shape[1:] or shape)
            raise ConfigurationError(
                f"CNN has {len(self.channels)} pools and needs pictures of at least {smallest} × {smallest} pixels, "
                f"but the inputs are {found}: give it fewer channels, or use an MLP."
            )
        fan_in, height, width = shape
        for i, channels in enumerate(self.channels, start=1):
            params[f"conv{i}.weight"], params[f"conv{i}.bias"] = draw_layer(generator, (channels, fan_in, 3, 3))
            fan_in, height, width = channels, height // 2, width // 2
        features = fan_in * height * width
        params["linear.weight"], params["linear.bias"] = draw_layer(generator, (outputs, features))
        return params

    def __call__(self, params: Params, inputs: Tensor) -> Tensor:
        x = inputs
        for i in range(1, len(self.channels) + 1):
            x = functional.conv2d(x, params[f"conv{i}.weight"], params[f"conv{i}.bias"], padding=1)
            x = functional.avg_pool2d(self.activation(x), kernel_size=2)
        return functional.linear(x.flatten(start_dim=1), params["linear.weight"], params["linear.bias"])
