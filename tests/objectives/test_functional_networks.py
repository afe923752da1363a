"""The functional networks equal those of torch.nn with the same parameters."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from descend.errors import ConfigurationError
from descend.objectives.networks import CNN, MLP, draw_layer
from descend.types import Params


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loaded(module: nn.Module, params: Params) -> nn.Module:
    """The torch.nn twin with our parameters, matched by their order."""
    module.load_state_dict(dict(zip(module.state_dict(), params.values(), strict=True)))
    return module


def inputs(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded(1), dtype=torch.float64)


def test_mlp_equals_a_stack_of_linear_layers() -> None:
    params = MLP(hidden=(5, 3)).init(seeded(0), (1, 2, 3), 4)
    assert list(params) == [f"linear{i}.{part}" for i in (1, 2, 3) for part in ("weight", "bias")]
    twin = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 4)).double()
    x = inputs(7, 1, 2, 3)
    found = MLP(hidden=(5, 3), activation=torch.tanh)(params, x)
    torch.testing.assert_close(found, loaded(twin, params)(x), rtol=1e-12, atol=1e-12)


def test_mlp_with_norm_equals_layer_norm_before_each_activation() -> None:
    network = MLP(hidden=[5], norm=True)
    params = network.init(seeded(0), (6,), 2)
    assert torch.equal(params["norm1.weight"], torch.ones(5, dtype=torch.float64))
    assert torch.equal(params["norm1.bias"], torch.zeros(5, dtype=torch.float64))
    params["norm1.weight"] += inputs(5)
    params["norm1.bias"] -= inputs(5)
    twin = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 2)).double()
    x = inputs(7, 6)
    torch.testing.assert_close(network(params, x), loaded(twin, params)(x), rtol=1e-12, atol=1e-12)


def test_without_hidden_layers_it_is_linear() -> None:
    params = MLP(hidden=[]).init(seeded(0), (6,), 2)
    x = inputs(7, 6)
    expected = x @ params["linear1.weight"].T + params["linear1.bias"]
    torch.testing.assert_close(MLP(hidden=[])(params, x), expected, rtol=1e-12, atol=1e-12)


def test_cnn_equals_convolutions_and_average_pools() -> None:
    network = CNN(channels=(3, 4), activation=torch.tanh)
    params = network.init(seeded(0), (2, 9, 12), 5)
    twin = nn.Sequential(
        *(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(4 * 2 * 3, 5)),
    ).double()
    x = inputs(7, 2, 9, 12)
    torch.testing.assert_close(network(params, x), loaded(twin, params)(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "twin"), [((400, 30), nn.Linear(30, 400)), ((100, 5, 3, 3), nn.Conv2d(5, 100, 3))], ids=["linear", "conv"]
)
def test_layers_are_drawn_as_torch_draws_them(shape: tuple[int, ...], twin: nn.Module) -> None:
    weight, bias = draw_layer(seeded(0), shape)
    torch.manual_seed(0)
    layer: Any = twin
    layer.reset_parameters()
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    for ours, theirs in ((weight, layer.weight), (bias, layer.bias)):
        assert ours.shape == theirs.shape
        assert ours.dtype == torch.float64
        assert 0.97 * bound < float(ours.abs().max()) <= bound
        assert 0.97 * bound < float(theirs.detach().abs().max()) <= bound * (1 + 1e-6)
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert weight.mean().item() == pytest.approx(0, abs=0.03 * bound)


@pytest.mark.parametrize("width", [0, -3])
def test_widths_that_are_no_counts_are_refused(width: int) -> None:
    with pytest.raises(ConfigurationError, match=r"MLP\.hidden\[1\] is"):
        MLP(hidden=[4, width])
    with pytest.raises(ConfigurationError, match=r"CNN\.channels\[0\] is"):
        CNN(channels=[width])


def test_a_picture_too_small_for_the_pools_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="4 × 4"):
        CNN(channels=[2, 2, 2]).init(seeded(0), (1, 4, 4), 3)
    with pytest.raises(ConfigurationError, match="pictures"):
        CNN().init(seeded(0), (30,), 3)
