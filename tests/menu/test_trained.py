"""What a run has trained, read from its folder: by name, and as a module."""

import json
from pathlib import Path

import pytest
import torch
from conftest import Command
from torch import nn

import descend as package
from descend.engine.experiment import Experiment
from descend.errors import ConfigurationError
from descend.objectives.data.digits import Digits
from descend.objectives.module import Module
from descend.objectives.modules.small_cnn import SmallCNN

NETWORK = ["objective=module", "objective.module.channels=2", "objective.batch_size=32", "derivatives=none"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_trained_module_has_the_accuracy_that_its_run_reported(descend: Command, dtype: str) -> None:
    folder = descend(*NETWORK, "steps=40", f"dtype={dtype}").folder
    trained = package.load(folder)
    module, split = trained.module, Digits().split()
    assert not module.training
    with torch.no_grad():
        classes = module(split.test_inputs.to(getattr(torch, dtype))).argmax(-1)
    reported = (folder / "result.json").read_text()
    assert f'"accuracy": {(classes == split.test_targets).to(getattr(torch, dtype)).mean().item()}' in reported

    another = SmallCNN(channels=2, side=8, classes=10, dropout=0.1).to(getattr(torch, dtype))
    another.load_state_dict(trained)
    assert {"running_mean", "num_batches_tracked"} <= {name.rsplit(".", 1)[-1] for name in trained}
    assert all(x.equal(module.state_dict()[name]) for name, x in another.state_dict().items())
    counted = [x for name, x in trained.items() if name.endswith("num_batches_tracked")]
    assert all(x == 40 for x in counted)


def test_kept_runs_of_a_sweep_hold_the_buffers_too(descend: Command) -> None:
    folders = descend("-m", *NETWORK, "steps=5", "seed=0,1").folders
    assert len(folders) == 2
    for folder in folders:
        trained = package.load(folder)
        assert any(name.endswith("running_var") for name in trained)
        assert trained.module(torch.zeros(3, 1, 8, 8)).shape == (3, 10)


def test_checkpoints_on_the_way_hold_the_buffers_too(descend: Command) -> None:
    folder = descend(*NETWORK, "steps=7", "checkpoint.every=2").folder
    before = torch.load(folder / "checkpoint.before.pt", weights_only=True)["trained"]["last"]
    assert before.keys() == package.load(folder).keys()
    assert next(x for name, x in before.items() if name.endswith("num_batches_tracked")) == 6


def test_the_objective_has_the_buffers_that_training_left(descend: Command) -> None:
    folder = descend(*NETWORK, "steps=40", "wrap=ema", "wrap.ema.decay=0.9").folder
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    for which, name in (("last", "accuracy"), ("ema", "ema_accuracy")):
        trained = package.load(folder, which)
        assert float(trained.objective.evaluate(dict(trained))["accuracy"]) == metrics[name]


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(x.flatten(1))))


def test_a_result_in_python_is_a_state_dict_with_both_names_of_a_tied_parameter() -> None:
    result = package.run(Experiment(Module(Tied, Digits()), steps=3))
    module = Tied()
    assert result.parameters is not None
    module.load_state_dict(result.parameters)
    assert module.second.weight is module.first.weight


def test_a_run_of_no_module_says_so(descend: Command, tmp_path: Path) -> None:
    folder = descend("objective=rosenbrock", "steps=3").folder
    assert package.load(folder)["x"].shape == (2,)
    with pytest.raises(ConfigurationError, match="trained a Rosenbrock, which is no module"):
        package.load(folder).module  # noqa: B018
    with pytest.raises(ConfigurationError, match=r"checkpoint\.pt is not there"):
        package.load(tmp_path / "nothing")
