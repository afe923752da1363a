"""Every method equals its reference implementation, step by step, in float64 with drawn hyperparameters.

Both are given the same parameters and gradients at each step, those on the reference's path, each with a state of its
own. A reference that rounds inside to a lower precision is patched to stay in float64; each patch says where.
"""

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import pytorch_optimizer
import scipy.optimize
import torch
from exact import default_float64
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_optimizer.base.optimizer import BaseOptimizer
from pytorch_optimizer.optimizer import alig
from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5
from torch import Tensor
from torch.nn import functional

from descend.engine.flat import begin_state, make_update, point_reported
from descend.errors import ConfigurationError
from descend.graph.chance import Chance
from descend.kinds import usual_kinds
from descend.optimizers.adabelief import AdaBelief
from descend.optimizers.adafactor import Adafactor
from descend.optimizers.adahessian import AdaHessian
from descend.optimizers.ademamix import AdEMAMix
from descend.optimizers.adopt import ADOPT
from descend.optimizers.barzilai_borwein import BarzilaiBorwein
from descend.optimizers.came import CAME
from descend.optimizers.dadapt_adam import DAdaptAdam
from descend.optimizers.groups import Groups, ParameterGroup
from descend.optimizers.hutchinson import random_normals, random_signs
from descend.optimizers.lamb import LAMB
from descend.optimizers.lars import LARS
from descend.optimizers.mars import MARS
from descend.optimizers.muon import Muon
from descend.optimizers.normuon import NorMuon
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.polyak import Polyak
from descend.optimizers.prodigy import Prodigy
from descend.optimizers.psgd_kron import PSGDKron
from descend.optimizers.schedule_free_adamw import ScheduleFreeAdamW
from descend.optimizers.schedule_free_sgd import ScheduleFreeSGD
from descend.optimizers.sgd import SGD
from descend.optimizers.shampoo import Shampoo
from descend.optimizers.signum import Signum
from descend.optimizers.soap import SOAP
from descend.optimizers.sophia import SophiaH
from descend.optimizers.stochastic_polyak import StochasticPolyak
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
        looks: whether a step evaluates the loss.
    """

    method: type[Optimizer]
    twin: Twin
    drawn: dict[str, st.SearchStrategy]
    exactly: Callable[[], AbstractContextManager[Any]] = nullcontext
    names: tuple[str, ...] = ("kernel", "matrix", "vector")
    looks: bool = False


# References that round


def without_bfloat16() -> AbstractContextManager[Any]:
    """torch.optim.Muon iterates in bfloat16."""
    return patch.object(Tensor, "bfloat16", Tensor.clone)


def newton_schulz_in_float64() -> AbstractContextManager[Any]:
    """So does pytorch_optimizer, by a default argument, its last but for none."""
    names = zero_power_via_newton_schulz_5.__code__.co_varnames
    defaults = zero_power_via_newton_schulz_5.__defaults__ or ()
    first = names.index("dtype") - (zero_power_via_newton_schulz_5.__code__.co_argcount - len(defaults))
    exact = (*defaults[:first], torch.float64, *defaults[first + 1 :])
    return patch.object(zero_power_via_newton_schulz_5, "__defaults__", exact)


def without_a_second_epsilon() -> AbstractContextManager[Any]:
    """pytorch_optimizer adds 1e-15 to second moments, which no paper has."""

    def root_plus(ams_bound: bool, exp_avg_sq: Tensor, max_exp_avg_sq: Any, eps: float, **_: Any) -> Tensor:
        return exp_avg_sq.sqrt().add_(eps)

    return patch.object(BaseOptimizer, "apply_ams_bound", staticmethod(root_plus))


def float64_for_float32() -> AbstractContextManager[Any]:
    """pytorch_optimizer decomposes matrices in float32."""
    return patch.object(torch, "float32", torch.float64)


@contextmanager
def exact_norm_of_alig() -> Iterator[None]:
    """pytorch_optimizer adds up ‖g‖² in float32, and adds 1e-6, which no paper has."""
    squares = alig.get_global_gradient_norm
    with (
        patch.object(Tensor, "float", Tensor.double),
        patch.object(alig, "get_global_gradient_norm", lambda groups: squares(groups) - 1e-6),
    ):
        yield


def one_by_one(method: Callable[..., torch.optim.Optimizer], **fixed: Any) -> Twin:
    """The reference takes our names; its form for single tensors."""
    return lambda params, options: method(params, **options, **fixed, foreach=False)


def of_three(method: Callable[..., torch.optim.Optimizer], own: dict[str, str], **fixed: Any) -> Twin:
    """The reference has our third decay among its betas, and others of our names by its own."""

    def made(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
        betas = (*options["betas"], options["beta3"])
        rest = {own.get(name, name): x for name, x in options.items() if name not in ("betas", "beta3", "eps")}
        eps = options["eps"]
        given = dict(zip(("eps1", "eps2"), eps, strict=True)) if isinstance(eps, tuple) else {"eps": eps}
        return method(params, betas=betas, **rest, **given, **fixed, foreach=False)

    return made


class AdamWithTrust(torch.optim.Optimizer):
    """LAMB from torch.optim.Adam, whose steps from 0 at the rate 1 are −m̂ / (√v̂ + ε), and the paper's line 10.

    pytorch_optimizer's Lamb has the form of the paper's third version, another one.
    """

    def __init__(self, params: list[Tensor], options: dict[str, Any]) -> None:
        super().__init__(params, options)
        self._directions = [torch.zeros_like(x) for x in params]
        own = {name: options[name] for name in ("betas", "eps")}
        self._adam = torch.optim.Adam(self._directions, lr=1.0, **own, foreach=False)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it never looks at a closure
        [group] = self.param_groups
        for x, direction in zip(group["params"], self._directions, strict=True):
            direction.zero_().grad = x.grad
        self._adam.step()
        for x, direction in zip(group["params"], self._directions, strict=True):
            update = group["weight_decay"] * x - direction
            x -= group["lr"] * x.norm() / update.norm() * update


def polyak(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    return pytorch_optimizer.AliG(params, max_lr=options.get("lr") if "c" in options else None, momentum=0.0)


def lars(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    own = {name: options[name] for name in ("lr", "momentum", "weight_decay")}
    return pytorch_optimizer.LARS(params, **own, trust_coefficient=options["trust"], foreach=False)


def normuon(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    own = {"ns_steps": "iterations", "use_adjusted_lr": "match_rms_adamw"}
    same = ("lr", "momentum", "weight_decay", "nesterov", "beta2", *own)
    given = {name: options[own.get(name, name)] for name in same}
    return pytorch_optimizer.NorMuon([{"params": params, "use_muon": True, **given}], foreach=False)


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

estimated = {"lr": st.floats(0.3, 2), "betas": st.tuples(st.floats(0, 0.99), st.floats(0.5, 0.9999))}
estimated |= {"eps": eps, "weight_decay": weight_decay, "d0": st.floats(1e-4, 1e-2)}

CASES = {
    "NorMuon, pytorch_optimizer.NorMuon": Case(
        NorMuon,
        normuon,
        muon | {"beta2": st.floats(0, 0.99)},
        newton_schulz_in_float64,
        ("kernel", "matrix", "tall"),
    ),
    "ADOPT, pytorch_optimizer.ADOPT": Case(
        # It counts the first step in its clipping, too; the paper and its authors' code do not.
        ADOPT,
        one_by_one(pytorch_optimizer.ADOPT, weight_decouple=True, clip_lambda=lambda step: (step - 1) ** 0.25),
        family,
    ),
    "AdEMAMix, pytorch_optimizer.AdEMAMix": Case(
        AdEMAMix,
        of_three(pytorch_optimizer.AdEMAMix, {"warmup": "t_alpha_beta3"}, weight_decouple=True),
        family | {"beta3": st.floats(0.9, 0.9999), "alpha": st.floats(0, 10), "warmup": st.sampled_from([5, 1000])},
    ),
    "MARS, pytorch_optimizer.MARS": Case(
        # It divides ε, too, by what corrects the second moment, and its authors' code does not: so ε is 0 here.
        MARS,
        one_by_one(pytorch_optimizer.MARS, optimize_1d=True),
        family | {"gamma": st.floats(0, 0.1), "eps": st.just(0.0)},
        without_a_second_epsilon,
    ),
    "MARS without correction, torch.optim.AdamW": Case(
        MARS,
        lambda params, options: torch.optim.AdamW(params, **{x: options[x] for x in family}, foreach=False),
        family | {"gamma": st.just(0.0)},
    ),
    "LAMB, torch.optim.Adam": Case(LAMB, AdamWithTrust, family),
    "LARS, pytorch_optimizer.LARS": Case(
        LARS,
        lars,
        {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": st.floats(1e-3, 1)},
    ),
    "Adafactor, torch.optim.Adafactor": Case(
        Adafactor,
        one_by_one(torch.optim.Adafactor),
        {
            "lr": st.floats(1e-3, 1),
            "beta2_decay": st.floats(-1, -0.5),
            "eps": st.tuples(st.none() | st.floats(1e-10, 1e-2), st.floats(1e-4, 1)),
            "d": st.floats(1, 2),
            "weight_decay": weight_decay,
        },
    ),
    "CAME, pytorch_optimizer.CAME": Case(
        CAME,
        of_three(pytorch_optimizer.CAME, {"clip": "clip_threshold"}),
        {
            "lr": lr,
            "betas": betas,
            "beta3": st.floats(0.1, 0.9999),
            "eps": st.tuples(st.floats(1e-30, 1e-8), st.floats(1e-16, 1e-8)),
            "clip": st.floats(0.5, 2),
            "weight_decay": weight_decay,
        },
    ),
    "AdaBelief, pytorch_optimizer.AdaBelief": Case(
        AdaBelief, one_by_one(pytorch_optimizer.AdaBelief), family | {"eps": st.floats(1e-16, 1e-6)}
    ),
    "Signum, pytorch_optimizer.SignSGD": Case(
        Signum,
        one_by_one(pytorch_optimizer.SignSGD),
        {"lr": lr, "momentum": momentum, "weight_decay": weight_decay},
    ),
    "Prodigy, pytorch_optimizer.Prodigy": Case(
        Prodigy, one_by_one(pytorch_optimizer.Prodigy), estimated | {"d_coef": st.floats(0.5, 2)}
    ),
    "DAdaptAdam, pytorch_optimizer.DAdaptAdam": Case(
        DAdaptAdam, one_by_one(pytorch_optimizer.DAdaptAdam, weight_decouple=True), estimated
    ),
    "Polyak, pytorch_optimizer.AliG": Case(Polyak, polyak, {}, exact_norm_of_alig, looks=True),
    "StochasticPolyak, pytorch_optimizer.AliG": Case(
        StochasticPolyak, polyak, {"lr": st.floats(0.1, 10), "c": st.just(1.0)}, exact_norm_of_alig, looks=True
    ),
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
            closure: Any = functools.partial(loss, START | before)
            twin.step(*[closure] if case.looks else [])
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
            look = (lambda params: loss(START | params)) if case.looks else no_loss
            found, state = optimizer.step(before, gradients, state, look)
            for key, x in after.items():
                error = (found[key] - x).abs().max() / x.abs().max()
                assert error <= TOLERANCE, f"{key} differs by {error:.1e} after {step + 1} steps"


# Methods that estimate the Hessian's diagonal: the reference is handed an estimate from the same probe

Draw = Callable[[Params], Tensor]

curvature = {"lr": lr, "betas": betas, "weight_decay": weight_decay}
ESTIMATED = {
    "AdaHessian": (
        AdaHessian,
        random_signs,
        lambda params, o: pytorch_optimizer.AdaHessian(
            params, **{x: o[x] for x in o if x != "averaged"}, foreach=False
        ),
        curvature | {"eps": eps, "hessian_power": st.floats(0.2, 1), "averaged": st.booleans()},
    ),
    "SophiaH": (
        SophiaH,
        random_normals,
        # Its learning rate is ours over γ, and its ε likewise.
        lambda params, o: pytorch_optimizer.SophiaH(
            params,
            lr=o["lr"] / o["gamma"],
            betas=o["betas"],
            p=o["gamma"],
            eps=o["eps"] / o["gamma"],
            weight_decay=o["weight_decay"] * o["gamma"],
            update_period=o["every"],
            foreach=False,
        ),
        curvature | {"eps": eps, "gamma": st.floats(0.01, 1), "every": st.integers(1, 4)},
    ),
}


def kron(params: list[Tensor], options: dict[str, Any]) -> torch.optim.Optimizer:
    """Its share of steps is drawn up by ours; it keeps to no precision but float32, unless patched."""

    def share(step: int) -> Tensor:
        falling = math.exp(-options["decay"] * (step - options["flat"]))
        return torch.tensor(min(1.0, max(options["least"], falling)), dtype=torch.float64, device="cpu")

    twin = pytorch_optimizer.Kron(
        params,
        lr=options["lr"],
        momentum=options["momentum"],
        weight_decay=options["weight_decay"],
        pre_conditioner_update_probability=share,
        max_size_triangular=options["largest"],
        precondition_dtype=torch.float64,
        balance_prob=0.5,
    )
    twin.defaults["precondition_lr"] = twin.param_groups[0]["precondition_lr"] = options["renewal"]
    return twin


@settings(max_examples=8)
@given(
    options=st.fixed_dictionaries(
        {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "renewal": st.floats(0.01, 0.5),
            "flat": st.sampled_from([0.0, 4.0]),
            "decay": st.floats(0.1, 0.5),
            "least": st.floats(0.2, 1),
            "largest": st.sampled_from([4, 100]),
        }
    )
)
def test_with_the_same_noise_psgd_is_pytorch_optimizers_kron(options: dict[str, Any]) -> None:
    optimizer, params = PSGDKron(**options), {name: x.clone().requires_grad_() for name, x in START.items()}
    with float64_for_float32(), torch.random.fork_rng(devices=[]):
        twin, state = kron(list(params.values()), options), optimizer.init(START)
        for step in range(STEPS):
            before = {name: x.detach().clone() for name, x in params.items()}
            gradients = gradients_at(before)
            for key, x in params.items():
                x.grad = gradients[key].clone()
            with Chance(0, step), torch.no_grad():
                found, state = optimizer.step(before, gradients, state, no_loss)
            with Chance(0, step):
                twin.step()
            for key, x in params.items():
                error = (found[key] - x.detach()).abs().max() / x.detach().abs().max()
                assert error <= TOLERANCE, f"{key} differs by {error:.1e} after {step + 1} steps"


def estimate_by_jacobian(params: Params, probe: Tensor, averaged: bool) -> list[Tensor]:
    """Return z ⊙ Hz from the whole Hessian of the small network, which torch.autograd.functional computes."""
    sizes = [x.numel() for x in params.values()]

    def flat(vector: Tensor) -> Tensor:
        parts = zip(params.items(), vector.split(sizes), strict=True)
        return loss({name: part.view_as(x) for (name, x), part in parts})

    point = torch.cat([x.reshape(-1) for x in params.values()])
    with torch.enable_grad():
        found = probe * (torch.autograd.functional.hessian(flat, point) @ probe)
    shaped = [part.view_as(x).clone() for part, x in zip(found.split(sizes), params.values(), strict=True)]
    return [x.abs().mean((2, 3), keepdim=True).expand_as(x) if averaged and x.dim() == 4 else x for x in shaped]


@pytest.mark.parametrize("name", ESTIMATED)
@settings(max_examples=4)
@given(data=st.data())
def test_with_the_same_probes_equals_its_reference(name: str, data: st.DataObject) -> None:
    method, draw, make, drawn = ESTIMATED[name]
    options: dict[str, Any] = data.draw(st.fixed_dictionaries(drawn))
    optimizer, params = method(**options), {name: x.clone().requires_grad_() for name, x in START.items()}
    twin, state = make(list(params.values()), options), optimizer.init(START)
    for step in range(STEPS):
        before = {name: x.detach().clone() for name, x in params.items()}
        gradients = gradients_at(before)
        with Chance(0, step), torch.no_grad():
            found, state = optimizer.step(before, gradients, state, loss)
        with Chance(0, step):
            probe = draw(before)
        for key, x in params.items():
            x.grad = gradients[key].clone()
        due = step % options.get("every", 1) == 0
        hessian: Any = estimate_by_jacobian(before, probe, options.get("averaged", False)) if due else None
        twin.step(**{"hessian": hessian} if due else {})
        for key, x in params.items():
            error = (found[key] - x.detach()).abs().max() / x.detach().abs().max()
            assert error <= TOLERANCE, f"{key} differs by {error:.1e} after {step + 1} steps"


# Laws


def followed(optimizer: Optimizer, params: Params, f: Callable[[Params], Tensor], steps: int) -> list[Params]:
    """Return the points at which gradients are taken, and the last one that is reported."""
    state, path = optimizer.init(params), [params]
    for _ in range(steps):
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        gradients = dict(zip(leaves, torch.autograd.grad(f(leaves), tuple(leaves.values())), strict=True))
        with torch.no_grad():
            params, state = optimizer.step(params, gradients, state, f)
        path.append(params)
    return [*path, optimizer.reported(params, state)]


def test_schedule_free_without_momentum_is_averaging() -> None:
    """β = 0: torch.optim.SGD makes the points, and torch's AveragedModel averages those after the steps."""
    *found, average = followed(ScheduleFreeSGD(lr=0.05, momentum=0.0), START, loss, STEPS)
    params = {name: x.clone().requires_grad_() for name, x in START.items()}
    module = torch.nn.ParameterDict(params)
    sgd, averaged = torch.optim.SGD(module.values(), lr=0.05), torch.optim.swa_utils.AveragedModel(module)
    for after in found[1:]:
        sgd.zero_grad()
        loss(dict(module)).backward()
        sgd.step()
        averaged.update_parameters(module)
        for name, x in module.items():
            torch.testing.assert_close(after[name], x.detach(), rtol=1e-12, atol=1e-12)
    assert isinstance(averaged.module, torch.nn.ParameterDict)
    for name, x in averaged.module.items():
        torch.testing.assert_close(average[name], x.detach(), rtol=1e-12, atol=1e-12)


def test_barzilai_borwein_in_one_dimension_is_the_secant_method() -> None:
    """Both forms, against single steps of scipy.optimize.newton without a derivative, on f = x⁴/4 + x² − x."""
    for long in (True, False):
        f = lambda params: params["x"] ** 4 / 4 + params["x"] ** 2 - params["x"]  # noqa: E731
        found = followed(BarzilaiBorwein(0.1, long), {"x": torch.tensor(2.0, dtype=torch.float64)}, f, 6)
        path = [float(params["x"]) for params in found]
        for before, x, after in zip(path, path[1:], path[2:5], strict=False):
            slope = lambda x: x**3 + 2 * x - 1  # noqa: E731
            expected = scipy.optimize.newton(slope, before, x1=x, maxiter=1, tol=1e-300, disp=False)
            assert after == pytest.approx(float(expected), rel=1e-10)


def test_the_polyak_step_halves_the_way_to_the_minimum_of_a_quadratic() -> None:
    """Of f = ½ ‖x‖² + 3 the step is f − f* over ‖g‖², ½."""
    f = lambda params: 0.5 * (params["x"] ** 2).sum() + 3  # noqa: E731
    x = torch.tensor([3.0, -4.0], dtype=torch.float64)
    found = followed(Polyak(optimum=3.0), {"x": x}, f, 3)
    assert found[3]["x"].tolist() == pytest.approx((x / 8).tolist(), rel=1e-12)


def test_a_method_of_matrices_says_so() -> None:
    for method in (Muon(), NorMuon()):
        with pytest.raises(ConfigurationError, match=r"matrices.*vector has shape \[7\].*by groups"):
            method.suited(START, usual_kinds(START))


def test_groups_report_the_average_of_a_schedule_free_group() -> None:
    """The others' parameters are reported as they are, also where the engine hands a group one vector."""
    start = {name: torch.cat([x.flatten()] * 9) for name, x in START.items()}
    free, plain = ScheduleFreeSGD(lr=0.1), SGD(lr=0.1)
    groups = Groups(groups={"free": ParameterGroup(free, names="[mt]*"), "plain": ParameterGroup(plain)})
    assert groups.has_other_points
    params, state = start, begin_state(groups, start, 0)
    alone = {name: start[name] for name in ("matrix", "tall")}
    own = free.init(alone)
    for _ in range(3):
        params, state = make_update(groups, params, params, state, no_loss)
        alone, own = free.step(alone, alone, own, no_loss)
    reported = point_reported(groups, params, state)
    for name, x in params.items():
        assert torch.equal(reported[name], own["average"][name] if name in alone else x)


def test_muon_in_bfloat16_is_torchs() -> None:
    """Of float32 parameters, where torch's own iterates in bfloat16."""
    params = {name: x.float() for name, x in START.items() if x.dim() == 2}
    twin = [x.clone().requires_grad_() for x in params.values()]
    reference, state = torch.optim.Muon(twin, lr=0.02, weight_decay=0.0), Muon(bfloat16=True).init(params)
    for _ in range(3):
        before = {name: x.detach().clone() for name, x in zip(params, twin, strict=True)}
        gradients = {name: x.float() for name, x in gradients_at({k: x.double() for k, x in before.items()}).items()}
        for x, gradient in zip(twin, gradients.values(), strict=True):
            x.grad = gradient.clone()
        reference.step()
        found, state = Muon(bfloat16=True).step(before, gradients, state, no_loss)
        for x, new in zip(twin, found.values(), strict=True):
            torch.testing.assert_close(new, x.detach(), rtol=1e-6, atol=1e-6)
