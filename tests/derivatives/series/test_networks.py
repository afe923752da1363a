"""Whole networks of torch.nn, unchanged, expanded along their parameters."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from descend.derivatives.series import decomposed, expand

ORDER = 4


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(6, 18)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part.unflatten(-1, (2, 3)).transpose(1, 2) for part in self.project(x).chunk(3, -1))
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


FLAT, IMAGES, TOKENS = (4, 6), (3, 2, 6, 6), (2, 5, 6)
NETWORKS = {
    "mlp": (FLAT, lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 3))),
    "residual": (FLAT, lambda: nn.Sequential(Residual(), Residual(), nn.Softplus(), nn.Linear(6, 2))),
    "cnn": (
        IMAGES,
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(4, 2, 2), nn.Flatten(), nn.Tanh()
        ),
    ),
    "layer norm": (FLAT, lambda: nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2))),
    "batch norm": (FLAT, lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))),
    "batch norm, evaluation": (FLAT, lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh()).eval()),
    "norms": (
        IMAGES,
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.BatchNorm2d(4)
        ),
    ),
    "attention": (TOKENS, lambda: nn.Sequential(Attention(), nn.RMSNorm(6), nn.Linear(6, 1))),
    "encoder": (TOKENS, lambda: nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, activation="gelu")),
    "recurrent": (TOKENS, lambda: nn.GRU(6, 4)),
    "max pool": (IMAGES, lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.MaxPool2d(2), nn.Tanh(), nn.Flatten())),
    "bilinear": (FLAT, lambda: nn.Sequential(nn.Linear(6, 6), nn.GLU(), nn.Softmax(-1))),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_along_its_parameters_agrees_with_nested_differentiation(name: str) -> None:
    shape, build = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    network = build().double()
    buffers = {key: value.clone() for key, value in network.named_buffers()}
    x = torch.randn(shape, dtype=torch.float64, generator=generator)
    params = {
        key: torch.randn(value.shape, dtype=torch.float64, generator=generator) * 0.4
        for key, value in network.named_parameters()
    }
    direction = {
        key: torch.randn(value.shape, dtype=torch.float64, generator=generator) for key, value in params.items()
    }

    def loss(p: dict[str, Tensor]) -> Tensor:
        values = functional_call(network, p, (x,))
        return ((values[0] if isinstance(values, tuple) else values) ** 2).mean()

    rows = expand(loss, params, direction, ORDER)
    if "norm" not in name:
        assert all(torch.equal(value, buffers[key]) for key, value in network.named_buffers())

    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    with decomposed():
        exact = [loss({key: value + t * direction[key] for key, value in params.items()})]
    for k in range(1, ORDER + 1):
        exact.append(torch.autograd.grad(exact[-1], t, create_graph=True)[0] / k)
    torch.testing.assert_close(rows, torch.stack(exact).detach(), rtol=1e-10, atol=1e-12)
