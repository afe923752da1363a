"""A user's own module: the same training as a loop written by hand, with its buffers and its chance."""

import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import descend
from descend.engine.experiment import Experiment
from descend.engine.run import Run, run
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.data.digits import Digits
from descend.objectives.module import Module
from descend.objectives.modules.small_cnn import SmallCNN
from descend.optimizers.adam import Adam
from descend.optimizers.sgd import SGD

STEPS = 12
FAST = ["objective=module", "objective.module.channels=2", "objective.batch_size=32", "steps=6", "derivatives=none"]


class Sequences(nn.Module):
    """Rows of a picture read one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.last = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.lstm(x[:, 0])[0][:, -1])


class Attention(nn.Module):
    """A transformer over the rows of a picture, its output layer tied to nothing, one layer frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.last = nn.Linear(8, 10)
        self.last.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.block(x[:, 0]).mean(dim=1))


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x.flatten(start_dim=1))))[:, :10]


class Spectral(nn.Module):
    """A layer whose spectral norm is estimated by a power iteration, which buffers carry on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.parametrizations.spectral_norm(nn.Linear(64, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(start_dim=1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "batch norm": functools.partial(SmallCNN, channels=3, dropout=0.0),
    "lstm": Sequences,
    "transformer, frozen bias": Attention,
    "tied weights": Tied,
    "spectral norm": Spectral,
}


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return make().double()


def by_hand(module: nn.Module, experiment: Experiment) -> nn.Module:
    """Train as one writes it, on the batches of the experiment."""
    net = copy.deepcopy(module).train()
    objective = experiment.objective
    assert isinstance(objective, Module)
    optimizer = torch.optim.Adam([x for x in net.parameters() if x.requires_grad], lr=experiment.optimizer.lr)
    generator = experiment.generator()
    objective.start_and_state(generator)
    batches = objective.batches(generator)
    for _ in range(experiment.steps):
        batch = next(batches)
        optimizer.zero_grad()
        functional.cross_entropy(net(objective.train_inputs[batch]), objective.train_targets[batch]).backward()
        optimizer.step()
    return net.eval()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_training_equals_a_loop_written_by_hand(name: str) -> None:
    module = seeded(NETWORKS[name])
    before = copy.deepcopy(module.state_dict())
    objective = Module(module, Digits(), batch_size=32)
    experiment = Experiment(objective, Adam(lr=0.01), steps=STEPS, dtype="float64")
    made = Run(experiment)
    for _ in made:
        pass
    assert made.loop.backend.name == "graph"
    expected = by_hand(module, experiment)
    state = {name: x[0] for name, x in made.final.standing.state.items()}
    for key, x in {**dict(expected.named_parameters()), **dict(expected.named_buffers())}.items():
        found = made.params[key] if key in made.params else state[key]
        torch.testing.assert_close(found, x.detach(), rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        right = (expected(objective.test_inputs).argmax(1) == objective.test_targets).double().mean()
    assert made.result().metrics["accuracy"] == pytest.approx(float(right), abs=1e-12)
    for key, x in module.state_dict().items():
        assert x.equal(before[key])  # the user's own module is as it was


def result(*overrides: str) -> tuple[float, dict[str, float]]:
    found = descend.run([*FAST, *overrides])
    return found.value, found.metrics


def test_chance_belongs_to_the_seed() -> None:
    quiet = result("metrics=none", "seed=1")
    torch.rand(7)
    assert result("metrics=none", "seed=1") == quiet
    assert result("metrics=default", "seed=1") == quiet
    assert result("metrics=none", "seed=2") != quiet


def test_a_dropout_changes_the_training() -> None:
    assert result("metrics=none", "objective.module.dropout=0.5") != result("metrics=none")


def test_a_sweep_gives_what_each_run_gives_alone() -> None:
    table = descend.sweep([*FAST, "metrics=none", "optimizer.lr=0.001,0.01", "seed=0,1"])
    for row in table.iter_rows(named=True):
        value, metrics = result("metrics=none", f"optimizer.lr={row['optimizer.lr']}", f"seed={row['seed']}")
        assert (row["value"], row["metrics.accuracy"]) == (value, metrics["accuracy"])


def test_a_run_that_python_makes_draws_the_same() -> None:
    overrides = [*FAST, "metrics=none", "objective.module.dropout=0.5"]
    experiment = build(compose(overrides), overrides)
    recorded = run(experiment)

    class Called(Module):
        batchable = False

    own = experiment.objective
    assert isinstance(own, Module)
    called = run(replace(experiment, objective=Called(own.module, own.data, own.loss, own.batch_size)))
    assert called.provenance["backend"] == "python"
    assert called.value == pytest.approx(recorded.value, rel=1e-5)


def test_what_a_run_leaves_gives_the_trained_module_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = SmallCNN(channels=2)
    objective = Module(net, Digits(), batch_size=32)
    made = Run(Experiment(objective, SGD(lr=0.1), steps=5))
    for _ in made:
        pass
    trained = SmallCNN(channels=2)
    trained.load_state_dict(made.params | {name: x[0] for name, x in made.final.standing.state.items()})
    with torch.no_grad():
        right = trained.eval()(objective.test_inputs.float()).argmax(1) == objective.test_targets
    assert float(right.float().mean()) == pytest.approx(made.result().metrics["accuracy"], abs=1e-7)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(10)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(start_dim=1))


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(start_dim=1))


class Pair(Frozen):
    def __init__(self) -> None:
        super().__init__()
        self.layer.requires_grad_(True)

    def forward(self, x: Tensor) -> Tensor:
        return (super().forward(x), x)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (lambda: nn.Linear(3, 10), r"Linear.forward raised RuntimeError on inputs of shape \[2, 1, 8, 8\]"),
        (Lazy, "'layer.weight' has no shape before the first call"),
        (Frozen, "no parameter that requires a gradient"),
        (Pair, "gives a tuple"),
        (lambda: 3, "makes a int, but a torch.nn.Module is needed"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10, dtype=torch.complex64)), "is complex"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), "The loss raised"),
    ],
    ids=["shapes", "lazy", "frozen", "tuple", "no module", "complex", "too few classes"],
)
def test_what_cannot_be_trained_is_refused(module: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Module(module, Digits())


def test_a_loss_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"A loss is one number, but 'loss' has shape \[2\]"):
        Module(SmallCNN, Digits(), loss=functools.partial(functional.cross_entropy, reduction="none"))


class Stateful(nn.Module):
    """A layer with an attribute that is no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)
        self.kept = torch.zeros(10)
        self.calls = 0


class WritesAnAttribute(Stateful):
    def forward(self, x: Tensor) -> Tensor:
        self.kept.add_(0.01)
        found: Tensor = self.layer(x.flatten(1)) * (1 + self.kept)
        return found


class CountsItsTraining(Stateful):
    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        found: Tensor = self.layer(x.flatten(1)) / (1 + self.calls)
        return found


GENERATOR = np.random.default_rng(0)


class DrawsByNumPy(Stateful):
    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x.flatten(1)) * GENERATOR.random()
        return found


@pytest.mark.parametrize("module", [WritesAnAttribute, CountsItsTraining, DrawsByNumPy])
def test_what_is_kept_outside_of_buffers_is_refused(module: Callable[[], nn.Module]) -> None:
    """The runs of a sweep would share it: such a run alone and in a sweep ended differently."""
    experiment = descend.Experiment(Module(module, Digits()), SGD(), steps=3)
    with pytest.raises(ConfigurationError, match="Module gives another result when it is called again"):
        descend.run(experiment)


class KeepsItsOutputs(Stateful):
    """As one does to look at attention; it makes a mask at the first call, too."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.calls:
            self.kept, self.calls = torch.ones(64), 1
        self.kept_outputs = self.layer(x.flatten(1) * self.kept)
        return self.kept_outputs


def test_what_is_kept_but_never_read_does_no_harm() -> None:
    experiment = descend.Experiment(Module(KeepsItsOutputs, Digits()), SGD(), steps=3)
    state = descend.run(experiment).parameters
    assert state is not None
    objective = experiment.objective
    assert isinstance(objective, Module)
    assert objective.fresh_module()(torch.zeros(1, 64)).shape == (1, 10)
