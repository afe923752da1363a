"""Functions that are not twice differentiable, each refused in a sentence that says where."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from derivative_problems import normal
from torch import Tensor
from torch.autograd.function import once_differentiable

from descend.derivatives import GaussNewtonProduct, HessianProduct, gradient, hessian
from descend.errors import ConfigurationError
from descend.types import Loss, Params


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * grad


class WrongShape(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad[:1]


def attention(params: Params) -> Tensor:
    x = params["x"].view(1, 1, 4, 4)
    return F.scaled_dot_product_attention(x, x, x).square().sum()


def distances(params: Params) -> Tensor:
    x = params["x"].view(4, 4)
    return torch.cdist(x, x + 1).square().sum()


def through_once(params: Params) -> Tensor:
    return Once.apply(params["x"]).sum()


@pytest.mark.parametrize(
    ("f", "where"),
    [(attention, "scaled_dot_product"), (distances, "cdist"), (through_once, r"Once \(grad_fn OnceBackward\)")],
)
def test_the_operation_without_a_second_derivative_is_named(f: Loss, where: str) -> None:
    params = {"x": normal(16)}
    gradient(f, params)
    with pytest.raises(ConfigurationError, match=where):
        hessian(f, params)
    with pytest.raises(ConfigurationError, match=where):
        HessianProduct(f, params)(normal(16))


def test_autograd_itself_is_silent_about_once_differentiable() -> None:
    """The second derivative of Σx³ is not zero; when this fails, torch raises and our own check can go."""
    x = normal(3).requires_grad_()
    (slopes,) = torch.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    assert not slopes.requires_grad


def test_gauss_newton_is_refused_where_its_backward_cannot_be_differentiated() -> None:
    with pytest.raises(ConfigurationError, match="Once"):
        GaussNewtonProduct(lambda p: Once.apply(p["x"]), lambda z: z.square().sum(), {"x": normal(3)})(normal(3))


def test_a_gradient_of_the_wrong_shape_is_refused_with_the_functions_name() -> None:
    with pytest.raises(ConfigurationError, match=r"WrongShapeBackward.*\[1\].*\[3\]"):
        gradient(lambda p: WrongShape.apply(p["x"]).sum(), {"x": normal(3)})


def test_errors_in_the_function_itself_pass_through() -> None:
    def f(params: Params) -> Tensor:
        raise RuntimeError("derivative of my patience is not implemented")

    with pytest.raises(RuntimeError, match="patience") as caught:
        hessian(f, {"x": normal(3)})
    assert not isinstance(caught.value, ConfigurationError)
