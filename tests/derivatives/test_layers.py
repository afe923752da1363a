"""The layers of a network: which calls are found, and their gradients beside those of autograd."""

import pytest
import torch
from network_problems import Pictures, Problem, draw
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from descend.derivatives.layers import layer_gradients, layers_of
from descend.types import Params


def found_in(module: nn.Module, *shape: int) -> dict[str, str | None]:
    x = torch.ones(shape)
    params = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    return layers_of(lambda params: functional_call(module, params, (x,)), params)


def test_layers_are_found_with_their_biases() -> None:
    assert found_in(Pictures(), 1, 2, 4, 4) == {
        "conv.weight": "conv.bias",
        "each.weight": None,
        "last.weight": "last.bias",
    }
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    frozen[0].bias.requires_grad_(False)
    frozen[1].weight.requires_grad_(False)
    assert found_in(frozen, 1, 2) == {"0.weight": None}


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.ConvTranspose2d(2, 2, 3),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 2, 3)),
    ],
    ids=["padding by name", "groups", "transposed", "weight norm"],
)
def test_what_is_no_layer_is_not_found(module: nn.Module) -> None:
    assert found_in(module, 1, 2, 5, 5) == {}


def test_the_places_of_all_calls_of_a_layer_count() -> None:
    layer, x, y = nn.Linear(3, 3, bias=False).double(), draw(4, 3), draw(4, 5, 3)
    problem = Problem(layer, x, draw(4))

    def outputs(params: Params) -> Tensor:
        w = params["weight"]
        return functional.linear(functional.linear(x, w).tanh(), w).sum(1) + functional.linear(y, w).sum((1, 2))

    found, rest = layer_gradients(outputs, lambda z: z.square().sum(), problem.params, {"weight": None})
    assert rest == {}
    inputs, gradients = found["weight"]
    assert inputs.shape == gradients.shape == (4, 7, 3)
    leaf = problem.params["weight"].clone().requires_grad_()
    (expected,) = torch.autograd.grad(outputs({"weight": leaf}).square().sum(), [leaf])
    torch.testing.assert_close(torch.einsum("npo,npi->oi", gradients, inputs), expected)
