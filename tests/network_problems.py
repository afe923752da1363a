"""Small networks on examples, in the form that methods of the Fisher matrix ask for, and their dense matrices."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, jacrev
from torch.nn import functional

from descend.graph.chance import Chance
from descend.objectives import labels
from descend.objectives.module import usual_loss
from descend.optimizers.optimizer import Optimizer
from descend.types import Composed, Params


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Problem:
    """A module on examples: its loss in the form that methods ask for.

    Args:
        noise: for numbers, the labels' distance from the outputs, in deviations; None draws them.
    """

    def __init__(self, module: nn.Module, inputs: Tensor, targets: Tensor, noise: Tensor | None = None) -> None:
        self.module, self.inputs, self.targets, self.noise = module.double(), inputs, targets, noise
        self.params = {name: x.detach() for name, x in module.named_parameters()}

    def outputs(self, params: Params) -> Tensor:
        found: Tensor = functional_call(self.module, params, (self.inputs,))
        return found

    def outer(self, outputs: Tensor) -> Tensor:
        return usual_loss(outputs, self.targets)

    def drawn(self, outputs: Tensor) -> Tensor:
        at = outputs.detach()
        if self.noise is not None:
            y = at + 0.5**0.5 * self.noise
        elif self.targets.is_floating_point():
            y = labels.drawn_numbers(at)
        else:
            y = labels.drawn_classes(at)
        return self.targets.numel() ** 0.5 * usual_loss(outputs, y)

    def __call__(self, params: Params) -> Tensor:
        return self.outer(self.outputs(params))

    def composed(self) -> Composed:
        return Composed(self.outputs, self.outer, self.drawn)

    def gradients(self) -> Params:
        leaves = {name: x.clone().requires_grad_() for name, x in self.params.items()}
        with torch.enable_grad():
            found = torch.autograd.grad(self(leaves), list(leaves.values()))
        return dict(zip(leaves, found, strict=True))

    def curvature(self) -> Tensor:
        """The Gauss-Newton matrix [n, n], by torch.func, in dict order."""
        rows = jacrev(self.outputs)(self.params)
        count = self.outputs(self.params).numel()
        jacobian = torch.cat([rows[name].reshape(count, -1) for name in self.params], dim=1)
        inner = hessian(self.outer)(self.outputs(self.params)).reshape(count, count)
        return jacobian.T @ inner @ jacobian

    def direction(self, optimizer: Optimizer) -> Params:
        """The first step of a method, divided by its rate."""
        return self.step(optimizer)[0]

    def step(self, optimizer: Optimizer) -> tuple[Params, Any]:
        own = optimizer.attached(self.composed(), self.params)
        with torch.no_grad(), Chance(0, 0):
            new, state = own.step(self.params, self.gradients(), own.init(self.params), self)
        return {name: (x - new[name]) / optimizer.lr for name, x in self.params.items()}, state


def classifier(seed: int = 0) -> Problem:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return Problem(net, draw(7, 4), torch.arange(7) % 3)


def regression(*widths: int, bias: bool = True, examples: int = 12) -> Problem:
    """A deep linear network, its labels around the outputs such that their covariance is the identity on the batch."""
    torch.manual_seed(1)
    net = nn.Sequential(*(nn.Linear(a, b, bias=bias) for a, b in itertools.pairwise(widths)))
    orthogonal = torch.linalg.qr(draw(examples, widths[-1], seed=3)).Q * examples**0.5
    return Problem(net, draw(examples, widths[0]), draw(examples, widths[-1], seed=2), orthogonal)


class Pictures(nn.Module):
    """A convolution with stride, padding and dilation, an activation in place, one with a name, and a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1))
        self.norm = nn.GroupNorm(1, 3)
        self.each = nn.Linear(3, 4, bias=False)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        places = functional.relu(self.conv(x), inplace=True)
        places = self.norm(places).flatten(2).mT
        found: Tensor = self.last(torch.tanh(self.each(places)).mean(1))
        return found


def pictures() -> Problem:
    torch.manual_seed(4)
    return Problem(Pictures(), draw(5, 2, 4, 4), torch.arange(5) % 3)
