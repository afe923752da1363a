"""Functions whose derivatives are known by other means than the code under test."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.types import Loss, Params


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def symmetric(size: int, seed: int = 0) -> Tensor:
    matrix = normal(size, size, seed=seed)
    return matrix + matrix.T


def with_spectrum(values: Tensor, seed: int = 0) -> Tensor:
    """A symmetric matrix [n, n] with these eigenvalues [n] and random eigenvectors."""
    vectors = torch.linalg.qr(normal(len(values), len(values), seed=seed)).Q
    return vectors @ values.diag() @ vectors.T


def quadratic(matrix: Tensor) -> Loss:
    return lambda params: params["x"] @ matrix @ params["x"] / 2


def rosenbrock(params: Params) -> Tensor:
    x = params["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_hessian(x: Tensor) -> Tensor:
    """The Hessian by hand."""
    main = torch.zeros_like(x)
    main[:-1] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    main[1:] += 200
    off = -400 * x[:-1]
    return main.diag() + off.diag(1) + off.diag(-1)


def layer_norm_by_hand(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def batch_norm_by_hand(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm_by_hand(x.T, weight[:, None], bias[:, None]).T


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, weight, bias, training=True)


Normalisation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""x, weight and bias -> x normalised."""


class Network:
    """A tanh network with a normalisation between its layers, on fixed data; 100 parameters in float64."""

    def __init__(self, normalisation: Normalisation | None = None) -> None:
        self.normalisation = normalisation
        self.inputs, self.targets = normal(12, 5, seed=1), torch.arange(12) % 4

    def init(self) -> Params:
        params = {"w1": normal(8, 5, seed=2) / 2, "b1": normal(8, seed=3) / 4}
        params |= {"scale": 1 + normal(8, seed=4) / 4, "shift": normal(8, seed=5) / 4}
        return params | {"w2": normal(4, 8, seed=6) / 2, "b2": normal(4, seed=7) / 4}

    def logits(self, params: Params) -> Tensor:
        hidden = F.linear(self.inputs, params["w1"], params["b1"])
        if self.normalisation is not None:
            hidden = self.normalisation(hidden, params["scale"], params["shift"])
        return F.linear(hidden.tanh(), params["w2"], params["b2"])

    def loss(self, params: Params) -> Tensor:
        return F.cross_entropy(self.logits(params), self.targets)
