"""Every op of the menu, held to the contract of `descend.ops.op.Op`."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, jacfwd, jacrev, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from descend.ops.op import Op

MENU = sorted((Path(__file__).parents[2] / "conf" / "op").glob("*.yaml"))
FACTORIES = {torch.tensor, torch.as_tensor, torch.full, torch.zeros, torch.ones, torch.empty, torch.arange, torch.eye}


def points(op: Op, count: int = 6, seed: int = 0) -> Tensor:
    """Float64 points [count] in the op's domain, at least 0.05 from every kink."""
    generator = torch.Generator().manual_seed(seed)
    low, high = op.domain
    drawn = low + (high - low) * torch.rand(64 * count, generator=generator, dtype=torch.float64)
    for kink in op.kinks:
        drawn = drawn[(drawn - kink).abs() > 0.05]
    return drawn[:count]


def loss_through(op: Op) -> Callable[[Tensor], Tensor]:
    """A scalar function whose Hessian is dense and reaches the op's second derivative."""

    def loss(x: Tensor) -> Tensor:
        y = op(x)
        weight = torch.linspace(0.1, 0.7, y.numel(), dtype=y.dtype, device=y.device)
        return torch.tanh((weight * y).sum()) + torch.sin(y).sum()

    return loss


def gradient_of(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The gradient by the real autograd, as the engine takes it."""

    def gradient(x: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(loss(leaf), leaf)[0]

    return gradient


def double_backward(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    rows = [torch.autograd.grad(g, leaf, retain_graph=True, materialize_grads=True)[0] for g in gradient]
    return torch.stack(rows)


@pytest.fixture(params=MENU, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def op(path: Path) -> Op:
    return instantiate(OmegaConf.load(path))


def test_the_menu_is_not_empty() -> None:
    assert len(MENU) >= 24


def test_yaml_says_what_it_is_and_states_every_default(path: Path, op: Op) -> None:
    first, second = path.read_text().splitlines()[:2]
    assert first.startswith("# ")
    assert second.startswith("_target_: ")
    stated = {name: value for name, value in OmegaConf.load(path).items() if name != "_target_"}
    assert stated == {field.name: field.default for field in dataclasses.fields(op)}  # type: ignore[arg-type]  # an op is a dataclass
    assert op == type(op)()


def test_op_is_a_frozen_dataclass(op: Op) -> None:
    assert isinstance(op, Op)
    kind: Any = type(op)
    assert kind.__dataclass_params__.frozen


def test_first_derivative(op: Op) -> None:
    x = points(op).requires_grad_()
    forward = op.declines_forward_mode is None
    if op.declines_gradcheck is None:
        assert gradcheck(op, x, check_forward_ad=forward, check_batched_grad=True, check_batched_forward_grad=forward)
    else:
        # The clip alters only gradients beyond its limit, so the ones sent back are large.
        assert not gradcheck(lambda x: 3 * op(x), x, raise_exception=False), "declines gradcheck, yet passes it"


def test_second_derivative(op: Op) -> None:
    x = points(op).requires_grad_()
    forward = op.declines_forward_mode is None
    assert gradgradcheck(op, x, check_fwd_over_rev=forward, check_batched_grad=True)


def test_third_derivative(op: Op) -> None:
    def slope(x: Tensor) -> Tensor:
        return torch.autograd.grad(op(x).sum(), x, create_graph=True)[0] + 0 * x

    assert gradgradcheck(slope, points(op).requires_grad_())


def test_jvp_is_the_transpose_of_vjp(op: Op) -> None:
    x = points(op)
    if op.declines_forward_mode is None:
        torch.testing.assert_close(jacfwd(op)(x), jacrev(op)(x), rtol=1e-14, atol=1e-15)
    else:
        with pytest.raises((RuntimeError, NotImplementedError), match="jvp"):
            jacfwd(op)(x)


def test_vmap_is_a_loop(op: Op) -> None:
    x = points(op, count=12).reshape(3, 4)
    loss = loss_through(op)
    for function in (op, loss, grad(loss)):
        torch.testing.assert_close(vmap(function)(x), torch.stack([function(row) for row in x]), rtol=1e-14, atol=1e-15)
        last = vmap(function, in_dims=-1, out_dims=-1)(x.T.contiguous())
        torch.testing.assert_close(last.movedim(-1, 0), vmap(function)(x), rtol=1e-14, atol=1e-15)


def test_batched_hyperparameters_are_a_loop(op: Op) -> None:
    """A sweep puts a tensor of shape [] where the number was, and vmaps over it."""
    for field in dataclasses.fields(op):  # type: ignore[arg-type]  # an op is a dataclass
        if not isinstance(field.default, float):
            continue
        values = torch.tensor([0.3, 0.6, 0.9], dtype=torch.float64)
        x = points(op, count=4)

        def slope(value: Tensor | float, x: Tensor, name: str = field.name) -> Tensor:
            changed = copy.copy(op)
            object.__setattr__(changed, name, value)
            return grad(loss_through(changed))(x)

        serial = torch.stack([slope(value, x) for value in values.tolist()])
        torch.testing.assert_close(vmap(slope, in_dims=(0, None))(values, x), serial, rtol=1e-14, atol=1e-15)


def test_hessian_by_two_routes(op: Op) -> None:
    x, loss = points(op), loss_through(op)
    outer = jacfwd if op.declines_forward_mode is None else jacrev
    torch.testing.assert_close(outer(jacrev(loss))(x), double_backward(loss, x), rtol=1e-12, atol=1e-13)


def test_traced_and_compiled_is_eager(op: Op) -> None:
    """Traced at some points, run at others: a branch taken in Python would be baked in."""
    gradient = gradient_of(loss_through(op))
    graph = make_fx(gradient)(points(op))
    other = points(op, seed=1)
    torch.testing.assert_close(graph(other), gradient(other), rtol=1e-14, atol=1e-15)
    compiled = torch.compile(graph, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(other), gradient(other), rtol=1e-14, atol=1e-15)


class PlacedFactories(TorchFunctionMode):
    """Refuses a tensor made without saying where."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        assert function not in FACTORIES or {"device", "dtype"} <= kwargs.keys(), f"{function.__name__}: {kwargs}"
        return function(*args, **kwargs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_dtype_and_device_are_kept(op: Op, dtype: torch.dtype, device: str) -> None:
    x = points(op).to(device=device, dtype=dtype).requires_grad_()
    with PlacedFactories():
        y = op(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        if op.declines_forward_mode is None:
            with forward_ad.dual_level():
                tangent = forward_ad.unpack_dual(op(forward_ad.make_dual(x.detach(), x.detach()))).tangent
            assert (tangent.dtype, tangent.device, tangent.shape) == (x.dtype, x.device, x.shape)
    for result in (y, slope):
        assert (result.dtype, result.device, result.shape) == (x.dtype, x.device, x.shape)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1, 2, 3)])
def test_every_shape_is_kept(op: Op, shape: tuple[int, ...]) -> None:
    x = torch.full(shape, 0.5 * sum(op.domain) + 0.2, dtype=torch.float64, requires_grad=True)
    assert op(x).shape == x.shape
    assert torch.autograd.grad(op(x).sum(), x)[0].shape == x.shape


def test_input_is_untouched(op: Op) -> None:
    x = points(op)
    before = x.clone()
    gradient_of(loss_through(op))(x)
    assert torch.equal(x, before)
