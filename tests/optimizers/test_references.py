"""Every method equals its reference implementation, step by step, in float64 with drawn hyperparameters.

Both are given the same parameters and gradients at each step, those on the reference's path, each with a state of its
own. A reference that rounds inside to a lower precision is patched to stay in float64; each patch says where.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import pytorch_optimizer
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_optimizer.base.optimizer import BaseOptimizer
from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5
from torch import Tensor
from torch.nn import functional

from descend.optimizers.muon import Muon
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from descend.optimizers.schedule_free_sgd import ScheduleFreeSGD
from descend.optimizers.shampoo import Shampoo
from descend.optimizers.soap import SOAP
from descend.types import Params

STEPS = 12
TOLERANCE = 1e-10

Twin = Callable[[list[Tensor], dict[str, Any]], torch.optim.Optimizer]

lr, eps = st.floats(1e-4, 0.05), st.floats(1e-10, 1e-4)
weight_decay = st.just(0.0) | st.floats(1e-3, 0.3)
momentum, betas = st.floats(0.05, 0.99), st.tuples(st.floats(0.05, 0.99), st.floats(0.1, 0.9999))
family = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}


@dataclass(frozen=True)
class Case:
    """A method beside its reference.

    Attributes:
        method: ours.
        twin: makes the reference of the parameters and of our hyperparameters.
        drawn: our hyperparameters.
        exactly: patches the reference where it rounds.
        names: the parameters that the method takes; all by default.
    """

    method: type[Optimizer]
    twin: Twin
    drawn: dict[str, st.SearchStrategy]
    exactly: Callable[[], AbstractContextManager[Any]] = nullcontext
    names: tuple[str, ...] = ("kernel", "matrix", "vector")


# References that round


def without_bfloat16() -> AbstractContextManager[Any]:
    """torch.optim.Muon iterates in bfloat16."""
    return patch.object(Tensor, "bfloat16", Tensor.clone)


def newton_schulz_in_float64() -> AbstractContextManager[Any]:
    """So does pytorch_optimizer, by a default argument, its last but for none."""
    names = zero_power_via_newton_schulz_5.__code__.co_varnames
    defaults = zero_power_via_newton_schulz_5.__defaults__
    first = names.index("dtype") - (zero_power_via_newton_schulz_5.__code__.co_argcount - len(defaults))
    exact = (*defaults[:first], torch.float64, *defaults[first + 1 :])
    return patch.object(zero_power_via_newton_schulz_5, "__defaults__", exact)


def without_a_second_epsilon() -> AbstractContextManager[Any]:
    """pytorch_optimizer adds 1e-15 to second moments, which no paper has."""

    def root_plus(ams_bound: bool, exp_avg_sq: Tensor, max_exp_avg_sq: Any, eps: float, *_: float) -> Tensor:
        return exp_avg_sq.sqrt().add_(eps)

    return patch.object(BaseOptimizer, "apply_ams_bound", staticmethod(root_plus))


def float64_for_float32() -> AbstractContextManager[Any]:
    """pytorch_optimizer decomposes matrices in float32."""
    return patch.object(torch, "float32", torch.float64)


def one_by_one(method: type[torch.optim.Optimizer]) -> Twin:
    """The reference takes our names; its form for single tensors."""
    return lambda params, options: method(params, **options, foreach=False)


def torch_muon(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    same = {name: options[name] for name in ("lr", "momentum", "weight_decay", "nesterov", "eps")}
    adjust = "match_rms_adamw" if options["match_rms_adamw"] else "original"
    return torch.optim.Muon(params, **same, ns_steps=options["iterations"], adjust_lr_fn=adjust)


def muon_of_kernels(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    own = {"ns_steps": "iterations", "use_adjusted_lr": "match_rms_adamw"}
    given = {name: options[own.get(name, name)] for name in ("lr", "momentum", "weight_decay", "nesterov", *own)}
    return pytorch_optimizer.Muon([{"params": params, "use_muon": True, **given}])


def soap(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    own = {"precondition_frequency": "every", "max_precondition_dim": "largest"}
    given = {name: options[own.get(name, name)] for name in ("lr", "betas", "eps", "weight_decay", *own)}
    return pytorch_optimizer.SOAP(params, **given)


def shampoo(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    options = {"lr": options["lr"], "weight_decay": options["weight_decay"], "matrix_eps": options["eps"]}
    return pytorch_optimizer.Shampoo(params, **options)


muon = {
    "lr": lr,
    "momentum": momentum,
    "weight_decay": weight_decay,
    "nesterov": st.booleans(),
    "iterations": st.integers(1, 6),
    "match_rms_adamw": st.booleans(),
}

CASES = {
    "SOAP, pytorch_optimizer.SOAP": Case(
        SOAP, soap, family | {"every": st.integers(1, 5), "largest": st.sampled_from([4, 100])}, float64_for_float32
    ),
    "Shampoo, pytorch_optimizer.Shampoo": Case(
        Shampoo, shampoo, {"lr": lr, "weight_decay": weight_decay, "eps": st.floats(1e-3, 1e-1), "every": st.just(1)}
    ),
    "Muon, torch.optim.Muon": Case(Muon, torch_muon, muon | {"eps": eps}, without_bfloat16, ("matrix", "tall")),
    "Muon, pytorch_optimizer.Muon": Case(
        Muon, muon_of_kernels, muon, newton_schulz_in_float64, ("kernel", "matrix", "tall")
    ),
    "ScheduleFreeSGD, pytorch_optimizer.ScheduleFreeSGD": Case(
        ScheduleFreeSGD,
        one_by_one(pytorch_optimizer.ScheduleFreeSGD),
        {"lr": lr, "momentum": momentum, "weight_decay": weight_decay},
    ),
    "ScheduleFreeAdamW, pytorch_optimizer.ScheduleFreeAdamW": Case(
        ScheduleFreeAdamW, one_by_one(pytorch_optimizer.ScheduleFreeAdamW), family, without_a_second_epsilon
    ),
}

# A small network


generator = torch.Generator(device="cpu").manual_seed(7)
images = torch.randn(6, 2, 4, 4, generator=generator, dtype=torch.float64, device="cpu")
targets = torch.randn(6, 7, generator=generator, dtype=torch.float64, device="cpu")
SHAPES = {"kernel": (3, 2, 2, 2), "matrix": (3, 5), "tall": (7, 5), "vector": (7,)}
START = {
    name: 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    for name, shape in SHAPES.items()
}


def loss(params: Params) -> Tensor:
    seen = functional.conv2d(images, params["kernel"]).tanh().mean(dim=(2, 3))
    return ((torch.tanh(seen @ params["matrix"]) @ params["tall"].T + params["vector"] - targets) ** 2).mean()


@torch.enable_grad()
def gradients_at(params: Params) -> Params:
    leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
    found = torch.autograd.grad(loss(START | leaves), tuple(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


@contextmanager
def default_float64() -> Iterator[None]:
    """References keep counters and averages of numbers in the default dtype."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def follow(case: Case, options: dict[str, Any]) -> Iterator[tuple[Params, Params, Params]]:
    """Yield the reference's parameters before and after each step, and the gradients it was given."""
    params = {name: START[name].clone().requires_grad_() for name in case.names}
    with default_float64(), case.exactly():
        twin = case.twin(list(params.values()), options)
        for _ in range(STEPS):
            before = {name: x.detach().clone() for name, x in params.items()}
            gradients = gradients_at(before)
            for name, x in params.items():
                x.grad = gradients[name].clone()
            twin.step()
            yield before, {name: x.detach().clone() for name, x in params.items()}, gradients


def no_loss(params: Params) -> Tensor:
    raise AssertionError("a method of the first order does not evaluate the loss")


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=4)
@given(data=st.data())
def test_equals_its_reference(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    options = data.draw(st.fixed_dictionaries(case.drawn))
    optimizer = case.method(**options)
    state: Any = None
    with torch.no_grad():
        for step, (before, after, gradients) in enumerate(follow(case, options)):
            state = optimizer.init(before) if state is None else state
            found, state = optimizer.step(before, gradients, state, no_loss)
            for key, x in after.items():
                error = (found[key] - x).abs().max() / x.abs().max()
                assert error <= TOLERANCE, f"{key} differs by {error:.1e} after {step + 1} steps"
