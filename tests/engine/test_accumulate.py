"""A batch dealt into parts whose gradients are averaged, and training whose products are computed in bfloat16."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from conftest import Command
from torch import nn
from torch.nn import functional

import descend as package
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.objectives.data.digits import Digits
from descend.objectives.data.tensors import Tensors
from descend.objectives.module import Module
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.sgd import SGD

NETWORK = ["objective=module", "objective.module.channels=2", "objective.batch_size=32", "derivatives=none"]


class Normed(nn.Sequential):
    """A network with a batch norm."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))


def trained(experiment: Experiment) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a run, by its names."""
    made = Run(experiment)
    [*_] = made
    found = made.result().parameters
    assert found is not None
    return found


def by_hand(net: nn.Module, experiment: Experiment, lower: bool = False) -> dict[str, torch.Tensor]:
    """The same training as one writes it in PyTorch."""
    objective: Any = experiment.objective
    net = copy.deepcopy(net).train()
    dtype = next(net.parameters()).dtype
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    generator = experiment.generator()
    objective.start_and_state(generator)
    batches = objective.batches(generator)
    for _ in range(experiment.steps):
        optimizer.zero_grad()
        for part in next(batches).chunk(experiment.accumulate):
            with torch.autocast("cpu", torch.bfloat16, enabled=lower):
                outputs = net(objective.train_inputs[part].to(dtype))
                loss = functional.cross_entropy(outputs, objective.train_targets[part])
            (loss / experiment.accumulate).backward()
        optimizer.step()
    return net.state_dict()


def test_accumulated_gradients_are_those_of_the_loop_written_by_hand() -> None:
    torch.manual_seed(0)
    net = Normed().double()
    objective = Module(net, Digits(), batch_size=40)
    experiment = Experiment(objective, SGD(lr=0.1), steps=20, dtype="float64", accumulate=4)
    found = trained(experiment)
    for name, x in by_hand(net, experiment).items():
        torch.testing.assert_close(found[name], x, rtol=1e-10, atol=1e-12)
    assert found["2.num_batches_tracked"] == 80
    whole = trained(replace(experiment, accumulate=1))
    assert not torch.allclose(found["1.weight"], whole["1.weight"])  # a batch norm sees the parts


def test_of_a_network_without_batch_norm_parts_change_nothing_but_the_last_bits() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    experiment = Experiment(Module(net, Digits(), batch_size=60), SGD(lr=0.1), steps=20, dtype="float64")
    whole = trained(experiment)
    for count in (2, 5, 60):
        parts = trained(replace(experiment, accumulate=count))
        assert all(torch.allclose(parts[name], x, rtol=1e-12, atol=1e-13) for name, x in whole.items())


def test_every_part_drops_other_entries() -> None:
    """Of two equal halves, a dropout that repeated itself would give the same gradient as one half alone."""

    alike = Digits().split().train_inputs[:1].repeat(100, 1, 1, 1), torch.ones(100, dtype=torch.float64)
    data = Tensors(alike, alike)
    last = nn.Linear(64, 1)
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), last).double()
    experiment = Experiment(Module(net, data, batch_size=2), SGD(lr=0.1), steps=1, dtype="float64", accumulate=2)
    halves = trained(experiment)["2.weight"] - last.weight.detach()
    one = trained(replace(experiment, objective=Module(net, data, batch_size=1), accumulate=1))
    assert not torch.allclose(halves, one["2.weight"] - last.weight.detach())


@pytest.mark.parametrize("own", ["accumulate=4", "precision=bf16"])
def test_a_sweep_gives_what_each_run_gives_alone(own: str) -> None:
    overrides = [*NETWORK, own, "steps=8", "metrics=none"]
    table = package.sweep([*overrides, "optimizer.lr=0.001,0.01", "seed=0,1"])
    for row in table.iter_rows(named=True):
        alone = package.run([*overrides, f"optimizer.lr={row['optimizer.lr']}", f"seed={row['seed']}"])
        assert (row["value"], row["metrics.accuracy"]) == (alone.value, alone.metrics["accuracy"])


def test_lowered_training_is_that_of_autocast_and_is_looked_at_in_full_precision() -> None:
    torch.manual_seed(0)
    net = Normed()
    experiment = Experiment(Module(net, Digits(), batch_size=32), SGD(lr=0.1), steps=10, precision="bf16")
    lowered = by_hand(net, experiment, lower=True)

    class Called(Module):
        batchable = False

    called = trained(replace(experiment, objective=Called(net, Digits(), None, 32)))
    assert all(called[name].equal(x) for name, x in lowered.items())
    # A stacked product and the sum with its bias round to bfloat16 one after the other, a layer's at once.
    recorded, full = trained(experiment), trained(replace(experiment, precision="full"))
    assert {x.dtype for x in recorded.values()} == {torch.float32, torch.int64}
    for name, x in lowered.items():
        torch.testing.assert_close(recorded[name], x, rtol=2**-7, atol=2**-7)
    assert not recorded["1.weight"].equal(full["1.weight"])
    end = Run(replace(experiment, steps=0))
    [*_] = end
    exact = Run(replace(experiment, steps=0, precision="full"))
    [*_] = exact
    assert end.result().value == exact.result().value


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["objective=rosenbrock", "accumulate=2"], "Rosenbrock has no examples"),
        (["objective=digits_mlp", "accumulate=3"], "a batch of 128 examples cannot be split into 3 equal parts"),
        (["accumulate=0"], "accumulate is 0, but it must be at least 1"),
        (["precision=half"], "precision is 'half', but it must be full or bf16"),
        (["precision=bf16", "dtype=float64"], "lowers float32, but dtype is float64"),
        (["precision=bf16", "objective=rosenbrock"], "lowers float32, but dtype is float64"),
    ],
)
def test_what_does_not_go_together_is_refused(descend: Command, overrides: list[str], sentence: str) -> None:
    done = descend(*overrides, "steps=2")
    assert done.code == 2
    assert sentence in " ".join(done.err.split())
    assert not done.folders


def test_functions_take_one_part_alone() -> None:
    with pytest.raises(ConfigurationError, match="accumulate is 2"):
        Experiment(Rosenbrock(), accumulate=2)
