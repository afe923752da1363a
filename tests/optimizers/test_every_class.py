"""Every class of torch.optim and pytorch_optimizer makes its own loop's steps, or is refused for its true reason."""

import inspect
import io
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import torch

from descend.errors import ConfigurationError
from descend.optimizers.torch_optim import TorchOptim
from descend.types import Params

pytestmark = pytest.mark.long

STEPS = 50
SEED = 11


def classes(module: Any) -> list[str]:
    found = (x for x in vars(module).values() if inspect.isclass(x) and issubclass(x, torch.optim.Optimizer))
    return sorted({x.__name__ for x in found} - {"Optimizer"})


NAMES = classes(torch.optim) + [f"pytorch_optimizer.{name}" for name in classes(pytorch_optimizer)]

# Why a class cannot be run.
REFUSED = {
    "SparseAdam": "does not support dense gradients",
    **dict.fromkeys(("LOMO", "AdaLOMO", "AdamMini"), "takes a model where others take parameters"),
    **dict.fromkeys(("GSAM", "SAM", "FriendlySAM", "LookSAM", "WSAM"), "changes the steps .* 'base_optimizer'"),
    **dict.fromkeys(
        ("Lookahead", "Magma", "OrthoGrad", "PCGrad", "SafeFP16Optimizer", "ScheduleFreeWrapper", "TRAC"),
        "changes the steps of another optimizer, its argument 'optimizer'",
    ),
    "AliG": "no argument 'lr'",
    "DeMo": "need to install `einops`",
    "DistributedMuon": "process group",
    "FAdam": "expected dtype float",  # it takes float32 alone
    "LoRARite": "shapes cannot be multiplied",  # it takes pairs of low-rank factors alone
}

MUON = {name: {"use_muon": True} for name in ("AdaGO", "AdaMuon", "DistributedMuon", "Muon", "MuonClip", "NorMuon")}
PROJECTED = {"rank": 2, "update_proj_gap": 5, "scale": 1.0, "projection_type": "std"}

# Without them a class does not run, or does not do what sets it apart within so few steps.
OPTIONS: dict[str, dict[str, Any]] = MUON | {
    "BSAM": {"num_data": 12},
    "Ranger21": {"num_iterations": 50, "lookahead_merge_time": 5},
    "SPAM": {"update_proj_gap": 10, "density": 0.5, "warmup_epoch": 5},
    "StableSPAM": {"update_proj_gap": 10},
    "GaLore": PROJECTED,
    "Fira": PROJECTED,
    "SWATS": {"ams_bound": True},
    "SaRA": {"threshold": 0.8},
    "AdaHessian": {"update_period": 3},
    "SophiaH": {"update_period": 3},
    "EmoNavi": {"use_shadow": True},
}
RATES = {"A2Grad": 0.01, "SaRA": 0.01}

# These read their options from the group.
GROUPED = {*MUON, "GaLore", "Fira"}

# What a loop must do for a class.
VALUE = {"EmoNavi", "EmoFact", "EmoLynx"}
CLOSURE = {"LBFGS", "BSAM"}
GRAPH = {"AdaHessian", "SophiaH"}
AVERAGED = {"ScheduleFreeAdamW", "ScheduleFreeRAdam", "ScheduleFreeSGD", "SPlus"}


def start(name: str) -> Params:
    kind: dict[str, Any] = {"generator": torch.Generator("cpu").manual_seed(5), "dtype": torch.float64, "device": "cpu"}
    params = {"first": torch.randn(3, 4, **kind), "second": torch.randn(4, 2, **kind), "bias": torch.randn(4, **kind)}
    if name.rpartition(".")[2] in {*MUON, "SpectralSphere"}:
        del params["bias"]  # these are for matrices alone
    return params


def loss(params: Params) -> torch.Tensor:
    hidden = torch.tanh(params["first"] + params.get("bias", 0.0))
    return ((hidden @ params["second"] - 1) ** 2).sum() + 0.01 * sum((x**2).sum() for x in params.values())


@contextmanager
def seeded() -> Iterator[None]:
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        random.seed(SEED)
        np.random.seed(SEED)  # noqa: NPY002
        yield
    random.setstate(python)
    np.random.set_state(legacy)  # noqa: NPY002


def by_hand(name: str) -> Params:
    """The loop that one writes, as the documentation of each class shows it."""
    short = name.rpartition(".")[2]
    kind = getattr(pytorch_optimizer if "." in name else torch.optim, short)
    options = dict(OPTIONS.get(short, {})) if "." in name else {}
    params = {key: x.requires_grad_() for key, x in start(name).items()}
    own = ("use_muon", *PROJECTED) if short in GROUPED else ()
    group = {"params": list(params.values())} | {key: options.pop(key) for key in own if key in options}
    rate = {"lr": RATES[short]} if short in RATES else {}
    with seeded():
        optimizer = kind([group], **rate, **options)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            value = loss(params)
            gradients = torch.autograd.grad(value, list(params.values()), create_graph=short in GRAPH)
            for x, gradient in zip(params.values(), gradients, strict=True):
                x.grad = gradient
            return value

        for _ in range(STEPS):
            closure()
            optimizer.step(closure) if short in VALUE | CLOSURE else optimizer.step()
        if short in AVERAGED:
            optimizer.eval()
    optimizer.zero_grad()
    return {key: x.detach() for key, x in params.items()}


def adapter(name: str) -> TorchOptim:
    short = name.rpartition(".")[2]
    return TorchOptim(RATES.get(short), name, OPTIONS.get(short, {}) if "." in name else {})


def by_adapter(name: str) -> Params:
    """The steps by the adapter; its state goes through a file after every fifth."""
    optimizer, params = adapter(name), start(name)
    state = optimizer.begin(params, SEED)
    for i in range(STEPS):
        leaves = {key: x.detach().requires_grad_() for key, x in params.items()}
        gradients = dict(zip(leaves, torch.autograd.grad(loss(leaves), tuple(leaves.values())), strict=True))
        with torch.no_grad():
            params, state = optimizer.step(params, gradients, state, loss)
        if i % 5 == 0:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            buffer.seek(0)
            optimizer, state = adapter(name), torch.load(buffer, weights_only=True)
    return optimizer.reported(params, state)


def numpy_state() -> list[int]:
    state: Any = np.random.get_state()  # noqa: NPY002
    return state[1].tolist()


@pytest.mark.parametrize("name", [name for name in NAMES if name.rpartition(".")[2] not in REFUSED])
def test_makes_the_steps_of_its_own_loop(name: str) -> None:
    expected = by_hand(name)
    assert all(not torch.equal(x, expected[key]) for key, x in start(name).items()), "it stood still"
    before = torch.get_rng_state(), random.getstate(), numpy_state()
    torch.testing.assert_close(by_adapter(name), expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), numpy_state())


@pytest.mark.parametrize("name", [name for name in NAMES if name.rpartition(".")[2] in REFUSED])
def test_is_refused_for_its_true_reason(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{REFUSED[name.rpartition('.')[2]]}.*\.$"):
        adapter(name).begin(start(name), 0)


# The page of the docs

VERSION = ".".join(version("pytorch_optimizer").split(".")[:2])
PAGE = Path(__file__).parents[2] / "docs" / "optimizers-by-name.md"

INTRODUCTION = f"""\
# Optimizers of other libraries, by name

`optimizer=torch optimizer.name=<name>` runs a class of `torch.optim`, or of pytorch_optimizer {VERSION} by its full
name: `optimizer.name=pytorch_optimizer.Lion`. Other arguments of the class go into `optimizer.options`, for example
`optimizer.options='{{weight_decay: 0.01}}'`. Such a run is not stacked in a sweep: it goes one after the other.

A class that runs makes, to 1e-12, the steps of the loop that its own documentation shows: a test holds each to 50 steps
on a small network, its state saved and loaded on the way, and writes this page
(`python tests/optimizers/test_every_class.py > docs/optimizers-by-name.md`). The adapter gives a class what it needs: a
closure, gradients with a graph, evaluation mode, random numbers of the run. The others are refused when configured, for
the reason that stands here.

| class | here | with these options, or why not |
|---|---|---|
"""


def reason(name: str) -> str:
    """Return why a class is refused, from the message that a user reads."""
    with pytest.raises(ConfigurationError) as refused:
        adapter(name).begin(start(name), 0)
    text = str(refused.value).removeprefix(f"optimizer.name is {name!r}, but ")
    text = re.sub(r"^\S+ cannot optimize these parameters with [^:]*: ", "", text)
    return text.partition("; ")[0]


def row(name: str) -> str:
    short = name.rpartition(".")[2]
    if short in REFUSED:
        return f"| `{name}` | refused | {reason(name)} |"
    given = {"lr": RATES[short]} if short in RATES else {}
    given |= OPTIONS.get(short, {}) if "." in name else {}
    needed = ", ".join(f"`{key}: {value}`" for key, value in given.items())
    return f"| `{name}` | runs | {needed} |"


def page() -> str:
    return INTRODUCTION + "".join(f"{row(name)}\n" for name in NAMES)


def test_the_page_of_the_docs_has_what_was_found() -> None:
    assert PAGE.read_text() == page()


if __name__ == "__main__":
    print(page(), end="")
