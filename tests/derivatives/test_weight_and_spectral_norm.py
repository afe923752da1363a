"""Second derivatives through weight_norm and spectral_norm: right, or refused, where torch is wrong in silence."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from descend.derivatives import HessianProduct, derivative_tensor, hessian, taylor
from descend.derivatives.directional import series_taylor
from descend.derivatives.orders import nested_derivative
from descend.errors import ConfigurationError

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
G, V = "0.parametrizations.weight.original0", "0.parametrizations.weight.original1"


def network(first: nn.Module) -> nn.Module:
    return nn.Sequential(first, nn.Tanh(), nn.Linear(6, 2)).double()


def drawn(net: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(x.shape, generator=generator, dtype=x.dtype) for name, x in net.named_parameters()}


def loss_of(net: nn.Module) -> Callable[[dict[str, Tensor]], Tensor]:
    return lambda params: functional_call(net, params, (X,)).square().mean()


def by_hand(params: dict[str, Tensor]) -> Tensor:
    """Salimans & Kingma (2016), eq. 2, in elementary operations."""
    weight = params[G] * params[V] / params[V].norm(dim=1, keepdim=True)
    hidden = torch.tanh(X @ weight.T + params["0.bias"])
    return (hidden @ params["2.weight"].T + params["2.bias"]).square().mean()


NORMED = network(nn.utils.parametrizations.weight_norm(nn.Linear(4, 6)))


def test_torch_has_the_second_derivative_wrong() -> None:
    """When this fails torch has mended it, and `weight_norm` in series/normalisation.py can go."""
    params = {name: x.requires_grad_() for name, x in drawn(NORMED).items()}
    gradient = torch.autograd.grad(loss_of(NORMED)(params), list(params.values()), create_graph=True)
    index = list(params).index(V)
    (second,) = torch.autograd.grad(gradient[index].sum(), params[V])
    exact = torch.autograd.grad(by_hand(params), params[V], create_graph=True)[0]
    (expected,) = torch.autograd.grad(exact.sum(), params[V])
    assert (second - expected).abs().max() > 0.01 * expected.abs().max()


def test_weight_norm_is_computed_from_elementary_operations() -> None:
    params, loss = drawn(NORMED), loss_of(NORMED)
    exact = hessian(by_hand, params)
    torch.testing.assert_close(hessian(loss, params), exact)
    vector = torch.linspace(-1, 1, len(exact), dtype=torch.float64)
    torch.testing.assert_close(HessianProduct(loss, params)(vector), exact @ vector)
    torch.testing.assert_close(derivative_tensor(loss, params, 2), exact)
    direction = {name: torch.ones_like(x) for name, x in params.items()}
    for order in (2, 4):
        torch.testing.assert_close(taylor(loss, params, direction, order), taylor(by_hand, params, direction, order))
    torch.testing.assert_close(
        series_taylor(loss, params, direction, 2), taylor(by_hand, params, direction, 2), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_weight_norm_over_any_axes(dim: int) -> None:
    v = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    g = torch.norm_except_dim(v, 2, dim) * 1.7

    def normed(x: Tensor) -> Tensor:
        return torch._weight_norm(v + x, g, dim).pow(3).sum().expand(x.shape)

    point = torch.zeros((), dtype=torch.float64)
    value = nested_derivative(normed, 2)(point)
    h = 1e-4
    first = nested_derivative(normed, 1)
    torch.testing.assert_close(value, (first(point + h) - first(point - h)) / (2 * h), rtol=1e-6, atol=1e-6)


SPECTRAL: dict[str, Callable[[nn.Module], nn.Module]] = {
    "parametrization": nn.utils.parametrizations.spectral_norm,
    "hook": nn.utils.spectral_norm,
}


@pytest.mark.filterwarnings("ignore:.*deprecated in favor of `torch.nn.utils.parametrizations:FutureWarning")
@pytest.mark.parametrize("kind", SPECTRAL)
def test_spectral_norm_is_refused_in_training_and_right_in_evaluation(kind: str) -> None:
    torch.manual_seed(0)
    net = network(SPECTRAL[kind](nn.Linear(4, 6)))
    params = drawn(net)
    direction = {name: torch.ones_like(x) for name, x in params.items()}
    for ask in (
        hessian,
        HessianProduct,
        lambda f, p: taylor(f, p, direction, 2),
        lambda f, p: taylor(f, p, direction, 3),
    ):
        with pytest.raises(ConfigurationError, match=r"through spectral_norm in training.*module\.eval"):
            ask(loss_of(copy.deepcopy(net)), params)
    loss, h = loss_of(net.eval()), 1e-5
    second = float(taylor(loss, params, direction, 2)[2]) * 2

    def slope(t: float) -> float:
        moved = {name: x + t * direction[name] for name, x in params.items()}
        return float(taylor(loss, moved, direction, 1)[1])

    assert second == pytest.approx((slope(h) - slope(-h)) / (2 * h), rel=1e-6)


def test_a_spectral_norm_that_is_not_differentiated_is_left_alone() -> None:
    torch.manual_seed(0)
    net = network(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 6))).requires_grad_(False)
    assert hessian(loss_of(net), {"2.bias": torch.zeros(2, dtype=torch.float64)}).shape == (2, 2)
