"""Groups of parameters: equal to the param_groups of torch.optim, by pattern and kind, alone and stacked."""

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command
from torch import Tensor, nn
from torch.nn import functional

import descend
from descend.engine.experiment import Experiment
from descend.engine.flat import VECTOR, begin_state
from descend.engine.numbers import leaves
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.kinds import usual_kinds
from descend.metrics.learning_rate import LearningRate
from descend.objectives.data.digits import Digits
from descend.objectives.module import Module
from descend.objectives.networks import CNN, MLP
from descend.optimizers.adam import Adam
from descend.optimizers.adamw import AdamW
from descend.optimizers.groups import Groups, ParameterGroup
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.sgd import SGD
from descend.optimizers.torch_optim import TorchOptim
from descend.schedules.constant import Constant
from descend.schedules.exponential import Exponential
from descend.types import Loss, Observation, Params, State

STEPS = 60
Make = Callable[[Mapping[str, Tensor]], list[torch.optim.Optimizer]]
MLP_PARAMETERS = ["objective=digits_mlp", "objective.network.hidden=[8]", "metrics=none", "derivatives=none"]


class Pixels(nn.Module):
    """A layer of every kind: embedded grey values, a convolution, norms, an output that is tied to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded = nn.Embedding(8, 4)
        self.conv = nn.Conv2d(4, 5, 3)
        self.batch_norm = nn.BatchNorm2d(5)
        self.layer_norm = nn.LayerNorm(5)
        self.scale = nn.Parameter(torch.tensor([1.0, 0.5, 2.0, 1.0, 1.5]))
        self.last = nn.Linear(5, 10)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.embedded((7 * x[:, 0].clamp(0, 1)).long()).permute(0, 3, 1, 2)
        seen = self.batch_norm(torch.tanh(self.conv(seen))).mean(dim=(2, 3))
        return self.last(self.layer_norm(seen) * self.scale)


WEIGHTS = ["conv.weight", "last.weight"]
TABLES = ["embedded.weight"]
OTHERS = [
    *("conv.bias", "batch_norm.weight", "batch_norm.bias", "layer_norm.weight", "layer_norm.bias"),
    *("scale", "last.bias"),
]
KINDS = {
    "conv.weight": "convolution",
    "last.weight": "matrix",
    "embedded.weight": "embedding",
    "conv.bias": "bias",
    "last.bias": "bias",
    "scale": "vector",
    **{f"{layer}.{own}": "norm" for layer in ("batch_norm", "layer_norm") for own in ("weight", "bias")},
}


def trained_by_hand(module: nn.Module, experiment: Experiment, groups: list[dict[str, Any]], gamma: float) -> Params:
    """Train with torch.optim.AdamW as one writes it, on the batches of the experiment."""
    net, objective = copy.deepcopy(module).train(), experiment.objective
    assert isinstance(objective, Module)
    named = dict(net.named_parameters())
    optimizer = torch.optim.AdamW([{**group, "params": [named[name] for name in group["params"]]} for group in groups])
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)
    generator = experiment.generator()
    objective.start_and_state(generator)
    batches = objective.batches(generator)
    for _ in range(STEPS):
        batch = next(batches)
        optimizer.zero_grad()
        functional.cross_entropy(net(objective.train_inputs[batch]), objective.train_targets[batch]).backward()
        optimizer.step()
        scheduler.step()
    return dict(named)


@pytest.mark.parametrize("gamma", [1.0, 0.95])
def test_equal_to_param_groups_of_torch_on_a_network_of_every_kind(gamma: float) -> None:
    torch.manual_seed(5)
    module = Pixels().double()
    optimizer = Groups(
        groups={
            "tables": ParameterGroup(AdamW(lr=0.02, betas=(0.8, 0.99)), kinds="embedding"),
            "weights": ParameterGroup(AdamW(lr=0.01, weight_decay=0.3), kinds=("matrix", "convolution")),
            "rest": ParameterGroup(AdamW(lr=0.003, weight_decay=0.0)),
        }
    )
    schedule = Constant() if gamma == 1.0 else Exponential(gamma)
    objective = Module(module, Digits(), batch_size=64)
    made = Run(Experiment(objective, optimizer, schedule=schedule, steps=STEPS, dtype="float64"))
    for _ in made:
        pass
    assert made.loop.backend.name == "graph"
    groups = [
        {"params": TABLES, "lr": 0.02, "betas": (0.8, 0.99), "weight_decay": 0.01},
        {"params": WEIGHTS, "lr": 0.01, "weight_decay": 0.3},
        {"params": OTHERS, "lr": 0.003, "weight_decay": 0.0},
    ]
    expected = trained_by_hand(module, made.experiment, groups, gamma)
    assert made.params.keys() == expected.keys()
    for name, x in expected.items():
        torch.testing.assert_close(made.params[name], x.detach(), rtol=1e-10, atol=1e-10)


# The same gradients for both


SHAPES = {"first.weight": (7, 5), "first.bias": (7,), "norm.weight": (7,), "norm.bias": (7,), "last.weight": (3, 7)}


def drawn(seed: int) -> Params:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, dtype=torch.float64, generator=generator) for name, shape in SHAPES.items()}


def no_loss(params: Params) -> Tensor:
    raise AssertionError("these methods do not evaluate the loss")


def followed(optimizer: Optimizer, steps: int = STEPS) -> Params:
    """The parameters after steps with drawn gradients."""
    params, state = drawn(0), optimizer.begin(drawn(0), 0)
    for step in range(steps):
        params, state = optimizer.step(params, drawn(step + 1), state, no_loss)
    return params


def followed_by_torch(make: Make, steps: int = STEPS) -> Params:
    points = {name: x.requires_grad_() for name, x in drawn(0).items()}
    optimizers = make(points)
    for step in range(steps):
        for name, gradient in drawn(step + 1).items():
            points[name].grad = gradient
        for each in optimizers:
            each.step()
    return {name: x.detach() for name, x in points.items()}


MATRICES, VECTORS = ["first.weight", "last.weight"], ["first.bias", "norm.weight", "norm.bias"]


def two_groups(points: Mapping[str, Tensor], matrices: dict[str, Any], vectors: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"params": [points[name] for name in MATRICES], **matrices},
        {"params": [points[name] for name in VECTORS], **vectors},
    ]


@pytest.mark.parametrize("name", ["AdamW", "pytorch_optimizer.AdaBelief"])
def test_adapters_equal_param_groups_to_the_bit(name: str) -> None:
    import pytorch_optimizer

    adapted = {
        "matrices": ParameterGroup(TorchOptim(lr=0.01, name=name, options={"weight_decay": 0.1}), kinds="matrix"),
        "rest": ParameterGroup(TorchOptim(lr=0.003, name=name, options={"weight_decay": 0.0})),
    }
    optimizer = Groups(groups=adapted)
    assert not optimizer.batchable
    method = getattr(pytorch_optimizer if "." in name else torch.optim, name.split(".")[-1])

    def make(points: Mapping[str, Tensor]) -> list[torch.optim.Optimizer]:
        return [method(two_groups(points, {"lr": 0.01, "weight_decay": 0.1}, {"lr": 0.003, "weight_decay": 0.0}))]

    expected = followed_by_torch(make)
    for key, x in followed(optimizer).items():
        assert x.equal(expected[key]), key


def test_each_group_has_its_own_method() -> None:
    optimizer = Groups(
        groups={
            "hidden": ParameterGroup(SGD(lr=0.01, momentum=0.9), names="first.*", kinds="matrix"),
            "others": ParameterGroup(Adam(lr=0.002)),
        }
    )

    def make(points: Mapping[str, Tensor]) -> list[torch.optim.Optimizer]:
        rest = [x for name, x in points.items() if name != "first.weight"]
        return [torch.optim.SGD([points["first.weight"]], lr=0.01, momentum=0.9), torch.optim.Adam(rest, lr=0.002)]

    expected = followed_by_torch(make)
    for name, x in followed(optimizer).items():
        torch.testing.assert_close(x, expected[name], rtol=1e-12, atol=1e-12)


def test_by_default_weights_alone_decay() -> None:
    def make(points: Mapping[str, Tensor]) -> list[torch.optim.Optimizer]:
        return [torch.optim.AdamW(two_groups(points, {}, {"weight_decay": 0.0}), lr=0.05)]

    expected = followed_by_torch(make)
    for name, x in followed(Groups(lr=0.05)).items():
        torch.testing.assert_close(x, expected[name], rtol=1e-12, atol=1e-12)


def test_each_group_of_an_entrywise_method_is_one_vector() -> None:
    params = {name: x.repeat_interleave(20, dim=0) for name, x in drawn(0).items()}
    state = begin_state(Groups(), params, 0)
    assert state.keys() == {"vectors", "rest"}
    assert all(VECTOR in own for own in state.values())


# Kinds


def test_a_module_knows_the_kinds_of_its_layers() -> None:
    objective = Module(Pixels, Digits())
    assert objective.kinds(objective.init(torch.Generator().manual_seed(0))) == KINDS


class Tied(nn.Module):
    """The output layer, which stands first, is the table of an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.table = nn.Linear(6, 10, bias=False), nn.Embedding(10, 6)
        self.table.weight = self.last.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.table((9 * x[:, 0].clamp(0, 1)).long()).mean(dim=(1, 2)))


def test_a_shared_table_is_an_embedding() -> None:
    objective = Module(Tied, Digits())
    assert objective.kinds(objective.init(torch.Generator().manual_seed(0))) == {"last.weight": "embedding"}


def params_of(module: nn.Module) -> Params:
    return {name: x.detach() for name, x in module.named_parameters()}


def test_kinds_by_name_and_shape() -> None:
    generator = torch.Generator().manual_seed(0)
    assert usual_kinds(MLP(hidden=(4,), norm=True).init(generator, (6,), 3)) == {
        "linear1.weight": "matrix", "linear1.bias": "bias", "norm1.weight": "norm", "norm1.bias": "norm",
        "linear2.weight": "matrix", "linear2.bias": "bias",
    }  # fmt: skip
    found = usual_kinds(CNN(channels=(2,)).init(generator, (1, 8, 8), 3))
    assert (found["conv1.weight"], found["conv1.bias"], found["linear.weight"]) == ("convolution", "bias", "matrix")
    found = usual_kinds(params_of(nn.LSTM(3, 4)))
    assert (found["weight_ih_l0"], found["bias_hh_l0"]) == ("matrix", "bias")
    found = usual_kinds(params_of(nn.TransformerEncoderLayer(4, 2, 8)))
    assert (found["self_attn.in_proj_weight"], found["self_attn.in_proj_bias"]) == ("matrix", "bias")
    assert (found["norm2.weight"], found["norm2.bias"], found["linear1.bias"]) == ("norm", "norm", "bias")
    assert usual_kinds({"x": torch.zeros(2), "s": torch.zeros(()), "start": torch.zeros(1, 2, 3)}) == {
        "x": "vector", "s": "vector", "start": "tensor",
    }  # fmt: skip


# What reaches a group


@dataclass(frozen=True)
class Seen(Optimizer):
    """Keeps the seed that it was given, and what the loss is at its parameters and at others."""

    def init(self, params: Params) -> State:
        return {}

    def begin(self, params: Params, seed: int) -> State:
        return {"seed": seed}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        moved = {name: x + 1 for name, x in params.items()}
        return moved, state | {"here": float(loss(params)), "there": float(loss(moved))}


def test_a_group_sees_the_loss_as_a_function_of_its_own_parameters() -> None:
    params = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    both = {name: ParameterGroup(Seen(), names=name) for name in params}
    optimizer = Groups(groups=both)
    begun = optimizer.begin(params, 7)
    assert begun["a"]["seed"] == 7
    assert begun["b"]["seed"] != 7  # two groups of one class draw different numbers
    new, state = optimizer.step(params, params, begun, lambda given: given["a"] * 10 + given["b"])
    assert (state["a"]["here"], state["a"]["there"]) == (23.0, 33.0)
    assert (state["b"]["here"], state["b"]["there"]) == (23.0, 24.0)
    assert {name: float(x) for name, x in new.items()} == {"a": 3.0, "b": 4.0}


@dataclass(frozen=True)
class Told(Seen):
    """Keeps the kinds that it is told."""

    told: Mapping[str, str] | None = None

    def suited(self, params: Params, kinds: Mapping[str, str]) -> "Told":
        assert params.keys() == kinds.keys()
        return replace(self, told=kinds)


def test_a_method_is_told_the_kinds_of_its_own_parameters() -> None:
    objective = Module(Pixels, Digits())
    params = objective.init(torch.Generator().manual_seed(0))
    groups = {"tables": ParameterGroup(Told(), kinds="embedding"), "rest": ParameterGroup(AdamW())}
    suited = Groups(groups=groups).suited(params, objective.kinds(params))
    tables = suited.groups["tables"].optimizer
    assert isinstance(tables, Told)
    assert tables.told == {"embedded.weight": "embedding"}
    assert suited.division(params)["tables"] == TABLES  # by shape it would be a matrix, as in any other objective


def test_every_number_of_every_group_is_one_that_sweeps_stack() -> None:
    experiment = Experiment(Module(Pixels, Digits()), Groups())
    numbers = {leaf[2:] for leaf in leaves(experiment) if leaf[:2] == ("optimizer", "groups")}
    own = {("lr",), ("betas", 0), ("betas", 1), ("eps",), ("weight_decay",)}
    assert numbers == {(name, "optimizer", *leaf) for name in ("vectors", "rest") for leaf in own}


def test_the_learning_rate_of_each_group_is_logged(observe: Callable[..., Observation]) -> None:
    params = {"x": torch.zeros(2, dtype=torch.float64)}
    rates = Groups().scaled(0.5).rates
    assert {name: float(x) for name, x in LearningRate()(observe(params, lr=rates)).items()} == {
        "learning_rate/vectors": 0.0005, "learning_rate/rest": 0.0005,
    }  # fmt: skip
    [(name, common)] = LearningRate()(observe(params, lr=Groups(lr=0.25).scaled(0.5).rates)).items()
    assert (name, float(common)) == ("learning_rate", 0.125)


def test_all_is_looked_at_while_groups_train() -> None:
    """Metrics change nothing; there is no edge of stability where rates differ."""
    own = [*MLP_PARAMETERS[:2], "optimizer=groups", "optimizer.groups.rest.optimizer.lr=0.01", "steps=8"]
    plain = descend.run([*own, "metrics=none", "derivatives=none"])
    watched = descend.run([*own, "metrics=curvature", "derivatives=none"])
    assert plain.value == watched.value
    names = set(watched.records["name"])
    assert "curvature/top/0" in names
    assert "curvature/edge" not in names


# The menu


def test_a_rate_for_all_groups_and_one_of_their_own() -> None:
    def value(*overrides: str) -> float:
        return descend.run([*MLP_PARAMETERS, "optimizer=groups", "steps=5", *overrides]).value

    rest, vectors = ("optimizer.groups.rest.optimizer.lr=0.01", "optimizer.groups.vectors.optimizer.lr=0.01")
    assert value("optimizer.lr=0.01") == value(rest, vectors) != value(rest)


def test_a_method_of_the_menu_for_a_group() -> None:
    lion = "optimizer@optimizer.groups.rest.optimizer=lion"
    found = descend.run([*MLP_PARAMETERS, "optimizer=groups", lion, "steps=5"])
    assert found.status == "finished"
    assert found.value != descend.run([*MLP_PARAMETERS, "optimizer=groups", "steps=5"]).value


SGD_NODE = "optimizer: {_target_: descend.optimizers.sgd.SGD}"
WRONG = {
    "no such name": (
        [f"+optimizer.groups.head={{names: 'linaer2.*', {SGD_NODE}}}"],
        r"group head takes parameters named linaer2\.\*, but there is none; they are linear1.weight \(matrix\), ",
    ),
    "one of two names": (
        [f"+optimizer.groups.head={{names: [linear2.weight, lin.bias], {SGD_NODE}}}"],
        r"group head takes parameters named lin.bias, but there is none",
    ),
    "no parameter of the kind": (
        [f"+optimizer.groups.tables={{kinds: embedding, {SGD_NODE}}}"],
        r"group tables takes parameters of kind embedding, but there is none",
    ),
    "no parameter of the kind with the name": (
        [f"+optimizer.groups.head={{kinds: matrix, names: '*.bias', {SGD_NODE}}}"],
        r"group head takes parameters of kind matrix and named \*\.bias, but there is none",
    ),
    "one parameter twice": (
        [f"+optimizer.groups.head={{names: 'linear2.*', {SGD_NODE}}}"],
        r"parameter linear2.bias \(bias\) is in the groups vectors and head, but one method moves it",
    ),
    "in no group": (["~optimizer.groups.rest"], r"parameter linear1.weight \(matrix\) is in no group; add one without"),
    "two rests": ([f"+optimizer.groups.head={{{SGD_NODE}}}"], r"kinds or names .* but rest and head have neither"),
    "no group": (["~optimizer.groups.rest", "~optimizer.groups.vectors"], r"but there is no group"),
    "no such kind": (["optimizer.groups.vectors.kinds=[bais]"], r"kind 'bais', but there are only matrix, "),
    "no kinds": (["optimizer.groups.vectors.kinds=[]"], r"no kinds in its list"),
    "field": ([f"+optimizer.groups.head={{match: 'linear2.*', {SGD_NODE}}}"], r"groups.head.match does not exist"),
    "field of its method": (["+optimizer.groups.rest.optimizer.momentum=0.9"], r"rest.optimizer.momentum does not"),
    "number": (["optimizer.groups.rest.optimizer.lr=-1"], r"AdamW.lr is -1, but it must be above 0"),
    "names of another type": (["optimizer.groups.rest.names=3"], r"groups.rest.names is 3"),
    "a group that is none": (["+optimizer.groups.head=3"], r"optimizer.groups.head is 3"),
    "a method that is none": (
        ["+optimizer.groups.head={names: linear2.weight, optimizer: {_target_: torch.nn.Linear}}"],
        r"groups.head.optimizer._target_ is torch.nn.Linear, but only a subclass of descend\S*Optimizer",
    ),
    "no method": (["+optimizer.groups.head={names: linear2.weight}"], r"optimizer"),
    "rates that differ": (
        ["optimizer.lr=0.1", "optimizer.groups.rest.optimizer.lr=0.01"],
        r"Groups.lr is 0.1, but it would replace rates of groups that differ \(vectors: 0.001, rest: 0.01\)",
    ),
    "a line search": (
        ["optimizer@optimizer.groups.rest.optimizer=newton_cg"],
        r"NewtonCG cannot be the method of a group: it searches along a line",
    ),
    "groups in a group": (
        ["optimizer@optimizer.groups.rest.optimizer=groups"],
        r"A group holds groups; put all of them side by side",
    ),
    "in a sweep": (
        ["-m", "seed=1,2", f"+optimizer.groups.head={{names: 'linaer2.*', {SGD_NODE}}}"],
        r"group head takes parameters named linaer2\.\*, but there is none",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_in_one_sentence(case: str, descend: Command, here: Path) -> None:
    overrides, pattern = WRONG[case]
    done = descend(*MLP_PARAMETERS, "optimizer=groups", "steps=3", *overrides)
    assert done.code == 2, done.err
    assert done.err.startswith("descend: ")
    assert len(done.err.splitlines()) == 1
    assert re.search(pattern, done.err), done.err
    assert not list(here.iterdir())


def test_a_module_without_a_parameter_of_the_group() -> None:
    groups = {"tables": ParameterGroup(AdamW(), kinds="embedding"), "rest": ParameterGroup(AdamW())}
    experiment = Experiment(Module(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), Digits()), Groups(groups=groups))
    with pytest.raises(ConfigurationError, match=r"none; they are 1.weight \(matrix\), 1.bias \(bias\)"):
        Run(experiment)
