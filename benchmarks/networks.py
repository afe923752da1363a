"""Networks of one's own: a step against the same loop in PyTorch by hand and in Lightning; stacked against one by one.

All on one thread, in CPU time, in turn; medians of the pairs. Setting up (imports, data, start) is outside on all
sides; a look at the test part every hundred steps, and at the end one over the training part, too, is inside on all.

    pip install -c constraints.txt lightning    # its rows are left out where it is not there
    python benchmarks/networks.py [rounds] [steps] [network …]

2026-11-30, idle cores; without logging, with the default one, that over Lightning 2.6; four stacked over one by one:
ResNet, 4 rounds of 100 steps: 0.98, 1.04 and 0.99; 0.75. LSTM, 5 rounds of 200: 0.93, 1.05 and 0.57; 0.76; 3 rounds of
1,000: 0.91, 0.99 and 0.55; 0.90. The aims are 1.02, 1.05, and 1. On 2026-12-01, 5 rounds of 200: ViT 0.91, 1.00 and
0.95; 0.72, on a machine whose clock drifted (quartiles of the second: 0.96 and 1.25).

Before large LSTMs were computed by one kernel (`recurrent.py`), memory was kept, and what goes run by run cost less:
ResNet 1.05, 1.10 and 1.06; 0.88. LSTM 1.29, 1.46 and 0.83. GPT, 100 steps on busy cores,
1.01, 1.07 and 1.00; 0.55.
"""

import importlib.util
import logging
import math
import sys
import tempfile
import warnings
from collections.abc import Callable

import torch
from ratios import Ratio, Work, against, show
from single_run import final, logged, quiet, same
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import descend
from descend.engine.experiment import Experiment
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.module import Module

LOOK = 100  # steps between two looks at the test part, as evaluate.every has it
LSTM = ["objective=module", f"objective.module._target_={__name__}.RowsLSTM"]
NETWORKS = {
    "ResNet": ["objective=mnist_resnet"],
    "GPT": ["objective=char_gpt", "objective.data.test_fraction=0.01"],
    "LSTM": LSTM,
    "ViT": ["objective=mnist_vit"],
}
MOST_EVALUATED = 512
FEW = [f"objective.most_evaluated={MOST_EVALUATED}", "threads=1"]


class RowsLSTM(nn.Module):
    """An LSTM that reads the rows of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 64, batch_first=True)
        self.last = nn.Linear(64, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return [n, 10] for pictures [n, 1, 8, 8]."""
        return self.last(self.lstm(pictures[:, 0])[0][:, -1])


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(outputs.flatten(end_dim=-2), targets.flatten())


def beginning(experiment: Experiment) -> tuple[Module, nn.Module, torch.Generator]:
    """Return an objective in its place, its network at a run's start, and what draws the run's batches."""
    objective = experiment.objective.to(torch.float32, torch.device("cpu"))
    assert isinstance(objective, Module)
    generator = experiment.generator()
    params, state = objective.start_and_state(generator)
    network = objective.fresh_module().float().train()
    network.load_state_dict(params | state, strict=False)  # a tied parameter has two names there
    return objective, network, generator


def look(network: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """Return the loss and the accuracy on examples."""
    network.eval()
    with torch.no_grad():
        outputs = network(inputs)
        found = cross_entropy(outputs, targets), (outputs.argmax(-1) == targets).float().mean()
    network.train()
    return float(found[0]), float(found[1])


def look_at_training(network: nn.Module, objective: Module) -> None:
    """Compute the loss and its gradient over as many training examples as our runs do at their end."""
    every = len(objective.train_targets)
    spread = torch.arange(every)[:: max(1, every // MOST_EVALUATED)][:MOST_EVALUATED]
    network.eval().zero_grad()
    cross_entropy(network(objective.train_inputs[spread]), objective.train_targets[spread]).backward()


def by_hand(experiment: Experiment) -> Callable[[], Callable[[], nn.Module]]:
    """Adam on a network as one would write it, on the batches that the experiment draws."""

    def work() -> Callable[[], nn.Module]:
        objective, network, generator = beginning(experiment)
        batches = objective.batches(generator)

        def train() -> nn.Module:
            optimizer = torch.optim.Adam(network.parameters(), lr=experiment.optimizer.lr)
            for step in range(experiment.steps):
                batch = next(batches)
                if step % LOOK == 0:
                    look(network, objective.test_inputs, objective.test_targets)
                optimizer.zero_grad()
                cross_entropy(network(objective.train_inputs[batch]), objective.train_targets[batch]).backward()
                optimizer.step()
            look(network, objective.test_inputs, objective.test_targets)
            look_at_training(network, objective)
            return network

        return train

    return work


def by_lightning(experiment: Experiment) -> Work:
    """The same training by Lightning's Trainer, with its own logger and its own order of the batches."""
    import lightning

    class Task(lightning.LightningModule):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            loss = cross_entropy(self.network(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
            outputs = self.network(batch[0])
            self.log("test_loss", cross_entropy(outputs, batch[1]))
            self.log("accuracy", (outputs.argmax(-1) == batch[1]).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=experiment.optimizer.lr)

    def work() -> Callable[[], object]:
        objective, network, _ = beginning(experiment)
        train = TensorDataset(objective.train_inputs, objective.train_targets)
        test = TensorDataset(objective.test_inputs, objective.test_targets)
        loaders = DataLoader(train, objective.batch_size, shuffle=True, drop_last=True), DataLoader(test, len(test))
        trainer = lightning.Trainer(
            max_steps=experiment.steps,
            accelerator="cpu",
            default_root_dir=tempfile.mkdtemp(),
            enable_progress_bar=False,
            enable_model_summary=False,
            val_check_interval=LOOK,
            check_val_every_n_epoch=None,
        )

        def fit() -> None:
            trainer.fit(Task(network), *loaders)
            look_at_training(network, objective)

        return fit

    return work


def one(name: str, steps: int, rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare one network."""
    base = [*NETWORKS[name], *FEW, f"steps={steps}"]
    silent = [*base, "metrics=none", "derivatives=none"]
    bare = build(compose(silent), silent)
    few = [*silent, "steps=3", "dtype=float64"]
    first = build(compose(few), few)
    ours, theirs = final(first), by_hand_in_double(first)
    same(ours, iter([theirs[at] for at in ours]), 1e-9)
    works = {f"{name}, no logging": quiet(bare), f"{name}, default logging": logged(base)}
    found = against(by_hand(bare), works, rounds)
    rows = {at: (ratio, target) for (at, ratio), target in zip(found.items(), [1.02, 1.05], strict=True)}
    if importlib.util.find_spec("lightning"):
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.simplefilter("ignore")  # it advises on workers and on intervals
        found = against(by_lightning(bare), {f"{name}, default logging / Lightning": logged(base)}, rounds)
        rows |= {at: (ratio, 1.0) for at, ratio in found.items()}
    return rows


def by_hand_in_double(experiment: Experiment) -> dict[str, Tensor]:
    """Return the parameters after the same steps in float64, by name."""
    objective, network, generator = beginning(experiment)
    exact = experiment.objective
    assert isinstance(exact, Module)
    params, state = exact.start_and_state(experiment.generator())
    network = network.double()
    network.load_state_dict(params | state, strict=False)
    optimizer, batches = (
        torch.optim.Adam(network.parameters(), lr=experiment.optimizer.lr),
        objective.batches(generator),
    )
    for _ in range(experiment.steps):
        batch = next(batches)
        optimizer.zero_grad()
        cross_entropy(network(exact.train_inputs[batch]), exact.train_targets[batch]).backward()
        optimizer.step()
    return dict(network.named_parameters())


def stacked(name: str, runs: int, steps: int, rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare a sweep of seeds with the same runs one after the other; there is nothing to reach."""
    base = [*NETWORKS[name], *FEW, f"steps={steps}", "metrics=none", "derivatives=none"]

    def one_by_one() -> None:
        for seed in range(runs):
            descend.run([*base, f"seed={seed}"])

    sweep: dict[str, Work] = {
        f"({name}, {runs} stacked / one by one)": lambda: lambda: descend.sweep([*base, f"seed=range(0,{runs})"])
    }
    return {at: (ratio, math.inf) for at, ratio in against(lambda: one_by_one, sweep, rounds).items()}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    if steps % LOOK:
        sys.exit(
            f"{steps} steps are not a multiple of {LOOK}, and Lightning would not look at the test part at the end."
        )
    torch.set_num_threads(1)
    reached = True
    for name in sys.argv[3:] or NETWORKS:
        reached &= show(one(name, steps, rounds) | stacked(name, 4, max(1, steps // 5), max(2, rounds // 3)))
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
