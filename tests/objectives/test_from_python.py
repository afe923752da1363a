"""A module and its data handed over from Python."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import descend
from descend.errors import ConfigurationError
from descend.optimizers.adamw import AdamW

X = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + X[:, 1] > 0).long()


def test_a_module_and_tensors_in_five_lines() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    before = {name: x.clone() for name, x in net.state_dict().items()}
    objective = descend.module(net, functional.cross_entropy, (X[:150], Y[:150]), (X[150:], Y[150:]))
    result = descend.run(descend.Experiment(objective, AdamW(lr=1e-2), steps=200))
    assert result.metrics["accuracy"] > 0.9
    assert all(x.equal(before[name]) for name, x in net.state_dict().items())
    assert result.parameters is not None
    net.load_state_dict(result.parameters)
    right = (net(X[150:]).argmax(1) == Y[150:]).float().mean()
    assert float(right) == result.metrics["accuracy"]


def test_a_data_loader_and_several_losses_with_a_validation_part() -> None:
    def losses(outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"fit": functional.cross_entropy(outputs, targets), "size": outputs.square().mean()}

    data = TensorDataset(X, Y)
    objective = descend.module(lambda: nn.Linear(6, 2), losses, DataLoader(data, batch_size=32), data, data)
    result = descend.run(descend.Experiment(objective, AdamW(lr=1e-2), steps=20))
    assert set(result.losses) == {"fit", "size"}
    assert {"accuracy", "validation_accuracy", "test_fit", "validation_size"} <= set(result.metrics)


def test_data_that_do_not_fit_the_module_are_refused_with_their_shapes() -> None:
    with pytest.raises(ConfigurationError, match=r"Linear.forward raised RuntimeError on inputs of shape \[2, 6\]"):
        descend.module(nn.Linear(5, 2), None, (X, Y))
    with pytest.raises(ConfigurationError, match="A loss is one number"):
        descend.module(nn.Linear(6, 2), lambda outputs, targets: outputs, (X, Y))
