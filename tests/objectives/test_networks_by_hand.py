"""Whole networks of the menu, step by step, against a PyTorch loop with torch.optim written by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from toy_networks import toy

from descend.engine.run import Run
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.module import Module


class RowsLSTM(nn.Module):
    """An LSTM that reads the rows of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16, batch_first=True)
        self.last = nn.Linear(16, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.last(self.lstm(pictures[:, 0])[0][:, -1])


NETWORKS = {
    "ResNet": ["objective=mnist_resnet", "op=relu"],
    "GPT": ["objective=char_gpt"],
    "LSTM": ["objective=module", f"objective.module._target_={__name__}.RowsLSTM"],
    "ViT": ["objective=mnist_vit"],
}
SETTINGS = ["optimizer=adam", "optimizer.lr=0.003", "objective.batch_size=16", "dtype=float64", "metrics=none"]


def objective_of(name: str) -> str:
    return NETWORKS[name][0].removeprefix("objective=")


def by_hand(objective: Module, steps: int, lr: float, generator: torch.Generator) -> nn.Module:
    """Train the network as one writes it, from the start and on the batches of a run."""
    params, state = objective.start_and_state(generator)
    network = objective.fresh_module().double().train()
    network.load_state_dict(params | state, strict=False)  # a tied parameter has two names there
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    batches = objective.batches(generator)
    for _ in range(steps):
        batch = next(batches)
        optimizer.zero_grad()
        outputs, targets = network(objective.train_inputs[batch]), objective.train_targets[batch]
        functional.cross_entropy(outputs.flatten(end_dim=-2), targets.flatten()).backward()
        optimizer.step()
    return network.eval()


def check(overrides: list[str], steps: int) -> None:
    overrides = [*SETTINGS, *overrides, "derivatives=none", f"steps={steps}"]
    experiment = build(compose(overrides), overrides)
    objective = experiment.objective
    assert isinstance(objective, Module)
    run = Run(experiment)
    for _ in run:
        pass
    assert run.loop.backend.name == "graph"
    expected = by_hand(objective, steps, experiment.optimizer.lr, experiment.generator())
    state = {name: x[0] for name, x in run.final.standing.state.items()}
    found = run.params | state
    named = dict(expected.named_parameters()) | dict(expected.named_buffers())
    assert found.keys() == named.keys()
    for name, x in named.items():
        torch.testing.assert_close(found[name], x.detach(), rtol=1e-10, atol=1e-10, msg=f"{name} differs")
    start = objective.init(experiment.generator())
    assert all(not x.equal(start[name]) for name, x in run.params.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_twelve_steps_of_a_toy(name: str) -> None:
    check([*NETWORKS[name], *toy(objective_of(name))], 12)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", NETWORKS)
def test_two_hundred_steps(name: str) -> None:
    few = ["objective.most_evaluated=64", "objective.data.test_fraction=0.01"]
    # At 0.003 Adam divides the gradients of the transformers that are rounding alone by their own size: two loops by
    # hand, one of which adds up the halves of a batch, are 0.03 apart after 50 steps there, and 1e-13 after 200 here.
    check([*NETWORKS[name], *few, "optimizer.lr=0.0003"], 200)


def test_an_lstm_is_recorded_in_single_precision_too() -> None:
    overrides = [*NETWORKS["LSTM"], "metrics=none", "derivatives=none", "steps=2"]
    assert Run(build(compose(overrides), overrides)).loop.backend.name == "graph"
