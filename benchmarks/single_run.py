"""One run against a hand-written PyTorch loop (`zero_grad`, `backward`, `step`) that makes the same steps.

Both on one thread, in CPU time, in turn, over many short rounds; medians of the pairs. Setting up (imports, data,
start) is outside on both sides; evaluating the end over the whole data and closing the logs is inside.

    python benchmarks/single_run.py [rounds]
"""

import itertools
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from ratios import Ratio, Work, against, show
from torch import Tensor, nn

from descend.engine.backends.graph import GraphBackend
from descend.engine.experiment import Experiment
from descend.engine.run import Run, drive
from descend.menu.build import build, trackers
from descend.menu.compose import compose
from descend.metrics.metric import Metric
from descend.objectives.networks import MLP
from descend.objectives.supervised import Supervised
from descend.output.sinks.trackers import open_sinks
from descend.types import Observation

TEMPORARY = tempfile.TemporaryDirectory()
NUMBERS = itertools.count()
TWENTY = [f"twenty/{i}" for i in range(20)]


@dataclass(frozen=True)
class Twenty(Metric):
    """The value of the loss under twenty names: what is measured is the logging, not the computing."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        [value] = observation.losses.values()
        return dict.fromkeys(TWENTY, value)


def quiet(experiment: Experiment) -> Work:
    """The run without metrics and sinks."""

    def work() -> Callable[[], object]:
        run = Run(experiment)
        return lambda: drive(run, [])

    return work


def logged(overrides: list[str], metrics: dict[str, Metric] | None = None) -> Work:
    """The run with the default trackers, writing to a folder that is thrown away with the next."""
    config = compose(overrides)
    experiment = build(config, overrides)
    experiment = experiment if metrics is None else replace(experiment, metrics=metrics)

    def work() -> Callable[[], object]:
        folder = Path(TEMPORARY.name, str(next(NUMBERS)))
        folder.mkdir()
        run = Run(experiment)
        return lambda: drive(run, open_sinks(trackers(config), folder, {}))

    return work


def rosenbrock_by_hand(steps: int, lr: float, log: Callable[[Tensor, int], None] | None = None) -> Tensor:
    """Adam on two-dimensional Rosenbrock as one would write it."""
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=lr)
    for step in range(steps):
        optimizer.zero_grad()
        head, tail = x[:-1], x[1:]
        loss = (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum()
        loss.backward()
        optimizer.step()
        if log is not None:
            log(loss, step)
    return x.detach()


def network_by_hand(experiment: Experiment) -> Callable[[], Callable[[], nn.Module]]:
    """Adam on an MLP as one would write it, on the batches that the experiment draws."""
    objective = experiment.objective.to(torch.float32, torch.device("cpu"))
    assert isinstance(objective, Supervised)
    mlp = objective.network
    assert isinstance(mlp, MLP)
    inputs, targets = objective.train_inputs.flatten(start_dim=1), objective.train_targets
    held_out = objective.test_inputs.flatten(start_dim=1)

    def work() -> Callable[[], nn.Module]:
        generator = experiment.generator()
        start = {name: x.float() for name, x in objective.init(generator).items()}
        network = sequential([inputs.shape[1], *mlp.hidden, objective.outputs()], start)
        return lambda: train(network, objective.batches(generator))

    def train(network: nn.Module, batches: Iterator[Tensor]) -> nn.Module:
        optimizer = torch.optim.Adam(network.parameters(), lr=experiment.optimizer.lr)
        for _ in range(experiment.steps):
            batch = next(batches)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs[batch]), targets[batch])
            loss.backward()
            optimizer.step()
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), targets).backward()
        with torch.no_grad():
            network(held_out).argmax(dim=1).eq(objective.test_targets).float().mean().item()
        return network

    return work


def sequential(widths: list[int], start: dict[str, Tensor]) -> nn.Module:
    """Return the MLP of these widths with the parameters `start`."""
    layers: list[nn.Module] = []
    for i in range(1, len(widths)):
        linear = nn.Linear(widths[i - 1], widths[i])
        linear.load_state_dict({"weight": start[f"linear{i}.weight"], "bias": start[f"linear{i}.bias"]})
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def same(ours: dict[str, Tensor], theirs: Iterator[Tensor], tolerance: float) -> None:
    """Require that both sides of a comparison did the same work."""
    for (name, x), y in zip(ours.items(), theirs, strict=True):
        distance = float((x - y.detach()).abs().max())
        assert distance <= tolerance, f"{name} differs by {distance}: this would compare different work"


def final(experiment: Experiment) -> dict[str, Tensor]:
    run = Run(experiment)
    for _ in run:
        pass
    return run.params


def rosenbrock(rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare the smallest of problems, where all is overhead."""
    steps, lr = 3000, 1e-3
    base = ["objective=rosenbrock", f"steps={steps}", f"optimizer.lr={lr}", "threads=1", "derivatives=none"]
    bare = build(compose([*base, "metrics=none"]), base)
    same(final(bare), iter([rosenbrock_by_hand(steps, lr)]), 1e-9)
    works = {
        "Rosenbrock-2, Adam, no logging": quiet(bare),
        "Rosenbrock-2, Adam, default logging": logged(["objective=rosenbrock", *base[1:-1]]),
        "Rosenbrock-2, Adam, 20 scalars at every step": logged([*base, "metrics=none"], {"twenty": Twenty()}),
    }
    found = against(lambda: lambda: rosenbrock_by_hand(steps, lr), works, rounds)
    return {name: (ratio, target) for (name, ratio), target in zip(found.items(), [0.9, 1.10, 1.15], strict=True)}


def summary_writer(rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare the hand-written loop with itself, twenty scalars logged at every step; there is nothing to reach."""
    from torch.utils.tensorboard import SummaryWriter

    steps, lr = 300, 1e-3

    def work() -> None:
        writer = SummaryWriter(Path(TEMPORARY.name, str(next(NUMBERS))))

        def log(loss: Tensor, step: int) -> None:
            value = float(loss.detach())
            for name in TWENTY:
                writer.add_scalar(name, value, step)

        rosenbrock_by_hand(steps, lr, log)
        writer.close()

    found = against(
        lambda: lambda: rosenbrock_by_hand(steps, lr), {"(by hand with SummaryWriter)": lambda: work}, rounds
    )
    return {name: (ratio, math.inf) for name, ratio in found.items()}


def network(objective: str, steps: int, rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare a net trained on real images."""
    base = [f"objective={objective}", f"steps={steps}", "threads=1"]
    silent = [*base, "metrics=none", "derivatives=none"]
    bare = build(compose(silent), silent)
    by_hand = network_by_hand(bare)
    first = replace(bare, steps=10)  # in float32 rounding grows: where a gradient is nearly 0, Adam goes by its sign
    same(final(first), network_by_hand(first)()().parameters(), 1e-4)
    found = against(by_hand, {"no logging": quiet(bare), "default logging": logged(base)}, rounds)
    return {f"{objective}, {name}": (ratio, t) for (name, ratio), t in zip(found.items(), [1.02, 1.10], strict=True)}


def compiled(rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare a kernel on Rosenbrock, once compiled."""
    steps = 20_000
    overrides = ["objective=rosenbrock", f"steps={steps}", "compile=true", "metrics=none", "derivatives=none"]
    experiment = build(compose(overrides), overrides)
    compiled = Run(experiment).loop.backend
    assert isinstance(compiled, GraphBackend)
    start = compiled.carry

    def again() -> Callable[[], object]:
        run = Run(replace(experiment, compile=False))
        run.loop.backend, compiled.carry = compiled, start  # nothing is compiled again
        return lambda: drive(run, [])

    name = f"Rosenbrock-2, Adam, {steps:,} steps, compiled"
    found = against(lambda: lambda: rosenbrock_by_hand(steps, 1e-3), {name: again}, rounds)
    return {name: (ratio, 1 / 40) for name, ratio in found.items()}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    torch.set_num_threads(1)
    rows = rosenbrock(rounds)
    rows |= summary_writer(max(3, rounds // 3))
    rows |= network("digits_mlp", 600, rounds)
    rows |= network("mnist_mlp", 150, rounds)
    rows |= compiled(max(3, rounds // 3))
    sys.exit(0 if show(rows) else 1)


if __name__ == "__main__":
    main()
