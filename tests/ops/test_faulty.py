"""What each mistake in a custom Function breaks, and what finds it."""

from collections.abc import Callable

import pytest
import torch
from ops.faulty import (
    DerivativeOnContext,
    DetachedBackward,
    ItemInBackward,
    JvpIsNotBackward,
    MaskWrite,
    NoJvp,
    NoneReturned,
    NothingSavedForForward,
    NoVmapRule,
    NumpyInBackward,
    OldStyle,
    OnceDifferentiable,
    Right,
    WrongDerivative,
    WrongShape,
    through,
)
from torch import Tensor
from torch.autograd import Function, gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, vmap

X = torch.tensor([0.5, -0.8, 1.1], dtype=torch.float64)
TRUE = torch.diag(6 * X * torch.cos(X**3) - 9 * X**4 * torch.sin(X**3))


def point() -> Tensor:
    return X.clone().requires_grad_()


def double_backward(loss: Callable[[Tensor], Tensor]) -> Tensor:
    leaf = point()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    return torch.stack([torch.autograd.grad(g, leaf, retain_graph=True)[0] for g in gradient])


def gradient_only(function: type[Function]) -> bool:
    return gradcheck(function.apply, point(), check_forward_ad=False, raise_exception=False)


def test_right_is_right() -> None:
    loss = through(Right)
    for found in (double_backward(loss), hessian(loss)(X), jacrev(jacrev(loss))(X), jacrev(jacfwd(loss))(X)):
        torch.testing.assert_close(found, TRUE)
    assert gradcheck(Right.apply, point(), check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(Right.apply, point(), check_fwd_over_rev=True)
    torch.testing.assert_close(vmap(grad(loss))(X), grad(loss)(X))


def test_old_style_raises_under_every_transform() -> None:
    loss = through(OldStyle)
    for transform in (grad(loss), vmap(loss), jacrev(loss), jacfwd(loss)):
        with pytest.raises(RuntimeError, match="setup_context"):
            transform(X)
    torch.testing.assert_close(double_backward(loss), TRUE)


def test_no_vmap_rule_raises_under_vmap() -> None:
    loss = through(NoVmapRule)
    torch.testing.assert_close(grad(loss)(X), 3 * X**2 * torch.cos(X**3))
    with pytest.raises(RuntimeError, match="vmap"):
        vmap(loss)(X)


def test_no_jvp_raises_in_forward_mode() -> None:
    loss = through(NoJvp)
    torch.testing.assert_close(double_backward(loss), TRUE)
    with pytest.raises((RuntimeError, NotImplementedError), match="jvp"):
        jacfwd(loss)(X)


def test_nothing_saved_for_forward_raises_in_forward_mode() -> None:
    loss = through(NothingSavedForForward)
    torch.testing.assert_close(double_backward(loss), TRUE)
    with pytest.raises(ValueError, match="not enough values to unpack"):
        jacfwd(loss)(X)


@pytest.mark.parametrize("function", [DerivativeOnContext, DetachedBackward])
def test_constant_derivative_passes_gradcheck_and_loses_the_curvature(function: type[Function]) -> None:
    wrong = torch.diag(-9 * X**4 * torch.sin(X**3))
    torch.testing.assert_close(double_backward(through(function)), wrong)
    torch.testing.assert_close(jacrev(jacrev(through(function)))(X), wrong)
    assert gradient_only(function)
    assert not gradgradcheck(function.apply, point(), raise_exception=False)


def test_once_differentiable_raises_or_is_silently_wrong() -> None:
    loss = through(OnceDifferentiable)
    leaf = point()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(gradient.sum(), leaf, retain_graph=True)
    assert torch.autograd.grad(gradient.sum(), leaf, materialize_grads=True)[0].tolist() == [0.0, 0.0, 0.0]
    assert not torch.allclose(jacrev(jacrev(loss))(X), TRUE, rtol=0.1)


def test_jvp_that_is_not_backward_spoils_the_hessian() -> None:
    loss = through(JvpIsNotBackward)
    torch.testing.assert_close(double_backward(loss), TRUE)
    assert not torch.allclose(hessian(loss)(X), TRUE, rtol=0.01)
    assert gradient_only(JvpIsNotBackward)
    assert gradgradcheck(JvpIsNotBackward.apply, point(), check_fwd_over_rev=False)
    assert not gradcheck(JvpIsNotBackward.apply, point(), check_forward_ad=True, raise_exception=False)


def test_mask_write_raises_under_vmap() -> None:
    loss = through(MaskWrite)
    leaf = point()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    torch.testing.assert_close(gradient, (X >= 0) * torch.cos(X.clamp_min(0)))
    with pytest.raises(RuntimeError, match="vmap"):
        vmap(grad(loss))(X)


@pytest.mark.parametrize("function", [ItemInBackward, NumpyInBackward])
def test_numbers_taken_out_in_backward_raise_under_vmap(function: type[Function]) -> None:
    loss = through(function)
    torch.testing.assert_close(torch.autograd.functional.jacobian(loss, X), 3 * X**2 * torch.cos(X**3))
    with pytest.raises(RuntimeError):
        vmap(grad(loss))(X)


def test_wrong_shape_raises() -> None:
    leaf = point()
    with pytest.raises(RuntimeError, match="invalid gradient at index 0"):
        torch.autograd.grad(through(WrongShape)(leaf), leaf)


def test_none_is_a_missing_gradient() -> None:
    leaf = point()
    assert torch.autograd.grad(through(NoneReturned)(leaf), leaf, allow_unused=True) == (None,)


def test_wrong_derivative_is_found_by_finite_differences_alone() -> None:
    loss = through(WrongDerivative)
    torch.testing.assert_close(hessian(loss)(X), double_backward(loss))
    assert not gradient_only(WrongDerivative)
