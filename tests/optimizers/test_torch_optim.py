"""The adapter gives what the wrapped class gives in a loop of its own, to the last bit."""

import copy
from typing import Any

import pytest
import pytorch_optimizer
import torch
from hydra.utils import instantiate

from descend.errors import ConfigurationError
from descend.menu.compose import compose
from descend.optimizers.torch_optim import TorchOptim
from descend.types import Params

STEPS = 12
CLASSES = [
    name
    for name, value in vars(torch.optim).items()
    if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and name not in ("Optimizer", "SparseAdam")
]


def start(dtype: torch.dtype = torch.float32) -> Params:
    kind: dict[str, Any] = {"generator": torch.Generator("cpu").manual_seed(5), "dtype": dtype, "device": "cpu"}
    return {"first": torch.randn(3, 4, **kind), "second": torch.randn(4, 2, **kind)}


def loss(params: Params) -> torch.Tensor:
    return ((torch.tanh(params["first"]) @ params["second"] - 1) ** 2).sum()


def by_hand(kind: Any, **options: Any) -> Params:
    params = {name: x.requires_grad_() for name, x in start().items()}
    optimizer = kind(list(params.values()), **options)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(params)
        value.backward()
        return value

    for _ in range(STEPS):
        closure()
        optimizer.step(closure) if kind is torch.optim.LBFGS else optimizer.step()
    return {name: x.detach() for name, x in params.items()}


def by_adapter(optimizer: TorchOptim) -> Params:
    params = start()
    state = optimizer.init(params)
    for _ in range(STEPS):
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        gradients = dict(zip(leaves, torch.autograd.grad(loss(leaves), tuple(leaves.values())), strict=True))
        with torch.no_grad():
            params, state = optimizer.step(params, gradients, state, loss)
    return params


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_of_torch_optim(name: str) -> None:
    expected = by_hand(getattr(torch.optim, name))
    assert loss(expected) < loss(start())
    torch.testing.assert_close(by_adapter(TorchOptim(name=name)), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "lr", "options"),
    [
        ("LBFGS", 0.5, {"line_search_fn": "strong_wolfe", "history_size": 4}),
        ("Adam", 0.02, {"betas": [0.8, 0.99], "amsgrad": True}),
        ("AdamW", 0.02, {"fused": True}),
        ("SGD", 0.01, {"momentum": 0.9, "nesterov": True, "foreach": True}),
    ],
)
def test_options(name: str, lr: float, options: dict[str, Any]) -> None:
    expected = by_hand(getattr(torch.optim, name), lr=lr, **options)
    torch.testing.assert_close(by_adapter(TorchOptim(lr, name, options)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["Lion", "Prodigy", "AdaBelief"])
def test_a_class_of_another_library(name: str) -> None:
    expected = by_hand(getattr(pytorch_optimizer, name))
    found = by_adapter(TorchOptim(name=f"pytorch_optimizer.{name}"))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "lr"), [("LBFGS", 1), ("Adadelta", 1.0), ("Adafactor", 0.01), ("AdamW", 0.001)])
def test_without_a_learning_rate_takes_the_default_of_the_class(name: str, lr: float) -> None:
    assert TorchOptim(name=name).lr == lr


def test_a_scheduled_learning_rate_reaches_the_class() -> None:
    optimizer = TorchOptim(lr=0.1, name="SGD")
    params = start()
    state = optimizer.init(params)
    ones = {name: torch.ones_like(x) for name, x in params.items()}
    params, state = optimizer.step(params, ones, state, loss)
    halved = copy.copy(optimizer)
    object.__setattr__(halved, "lr", 0.05)
    after, _ = halved.step(params, ones, state, loss)
    torch.testing.assert_close(after, {name: x - 0.05 for name, x in params.items()})


def test_a_scheduled_learning_rate_multiplies_what_the_method_made_of_it() -> None:
    """pytorch_optimizer's ASGD changes the learning rate of its group itself; a schedule halves what it made of it."""
    params = start(torch.float64)
    points = {name: x.clone().requires_grad_() for name, x in params.items()}
    optimizer, twin = (
        TorchOptim(lr=0.1, name="pytorch_optimizer.ASGD"),
        pytorch_optimizer.ASGD(list(points.values()), lr=0.1),
    )
    state = optimizer.init(params)
    for step in range(5):
        if step == 3:
            object.__setattr__(optimizer, "lr", torch.tensor(0.05, dtype=torch.float64))
            assert twin.param_groups[0]["lr"] != 0.1
            twin.param_groups[0]["lr"] *= 0.5
        for x in points.values():
            x.grad = x.detach().clone()
        params, state = optimizer.step(params, params, state, loss)
        twin.step()
        for name, x in points.items():
            torch.testing.assert_close(params[name], x.detach(), rtol=1e-14, atol=0)


def test_a_clipped_gradient_stays_clipped_where_the_class_asks_for_the_loss_or_for_a_graph() -> None:
    """An own evaluation of the gradient would undo what the clipping did."""
    for name in ("EmoNavi", "AdaHessian", "SophiaH"):
        optimizer, params = TorchOptim(name=f"pytorch_optimizer.{name}"), start(torch.float64)
        zero = {key: torch.zeros_like(x) for key, x in params.items()}
        state = optimizer.begin(params, 0)
        with torch.no_grad():
            _, after = optimizer.step(params, zero, state, loss)
        for key in params:
            assert not after["entries"][key]["exp_avg" if name != "SophiaH" else "momentum"].any()


def test_seeds_are_runs_of_their_own() -> None:
    optimizer, params = TorchOptim(name="pytorch_optimizer.Gravity", lr=0.01), start()

    def after(seed: int) -> Params:
        return optimizer.step(params, params, optimizer.begin(params, seed), loss)[0]

    torch.manual_seed(1)
    first = after(3)
    torch.manual_seed(2)
    torch.testing.assert_close(after(3), first, rtol=0, atol=0)
    assert not torch.equal(after(4)["first"], first["first"])


def test_first_order_classes_do_not_evaluate_the_loss() -> None:
    def forbidden(params: Params) -> torch.Tensor:
        raise AssertionError("the loss was evaluated")

    optimizer, params = TorchOptim(name="Adam"), start()
    optimizer.step(params, params, optimizer.init(params), forbidden)


def test_a_class_that_changes_gradients_in_place_does_not_change_ours() -> None:
    optimizer = TorchOptim(name="pytorch_optimizer.Lion", options={"maximize": True})
    params, gradients = start(), start()
    with torch.no_grad():
        optimizer.step(params, gradients, optimizer.init(params), loss)
    torch.testing.assert_close(gradients, start(), rtol=0, atol=0)


def test_options_on_the_command_line() -> None:
    overrides = ["optimizer=torch", "optimizer.name=LBFGS", "optimizer.options={line_search_fn: strong_wolfe}"]
    node = compose(["objective=rosenbrock", *overrides]).optimizer
    assert instantiate(node, _convert_="all") == TorchOptim(name="LBFGS", options={"line_search_fn": "strong_wolfe"})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "adafacto"}, "did you mean Adafactor"),
        ({"name": "lbfgs"}, "did you mean LBFGS"),
        ({"name": "Optimizer"}, "no such optimizer; choose one of ASGD, Adadelta"),
        ({"name": "lr_scheduler"}, "no such optimizer"),
        ({"name": "pytorch_optimizer.Lio"}, "did you mean Lion"),
        ({"name": "no_such_library.Lion"}, "no_such_library cannot be imported"),
        ({"name": "Adam", "options": {"beta": 0.9}}, "'beta', but Adam takes only betas, eps"),
        ({"name": "Adam", "options": {"lr": 0.9}}, "'lr', but Adam takes only"),
        ({"name": "Adam", "options": {"betas": [2, 3]}}, "betas=.2, 3.: Invalid beta parameter"),
        ({"name": "SparseAdam"}, "SparseAdam does not support dense gradients"),
        ({"name": "Adam", "lr": -1.0}, "TorchOptim.lr is -1.0"),
        ({"name": "pytorch_optimizer.SAM"}, "changes the steps of another optimizer, its argument 'base_optimizer'"),
        ({"name": "pytorch_optimizer.AdamMin"}, "did you mean Adan or Adam"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{sentence}.*[.?]$"):
        TorchOptim(**fields)


def test_parameters_that_the_class_cannot_take_are_refused() -> None:
    vector = {"x": torch.zeros(3, dtype=torch.float32, device="cpu")}
    with pytest.raises(ConfigurationError, match=r"Muon only supports 2D parameters.*\.$"):
        TorchOptim(name="Muon").init(vector)
