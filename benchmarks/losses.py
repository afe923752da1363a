"""A step on several losses against torchjd's bare step: `backward`, `jac_to_grad`, `Adam.step`.

Ours computes the Jacobian, the weights and the update, and all that `metrics=losses` logs, at every step: weighted
losses, changes, norms, angles and Pareto stationarity. Both on one thread, in CPU time, in turn; medians of the pairs.
torchjd runs as its documentation shows it, with all losses under vmap; the second table is against its other way, one
backward for each loss, which has no target.

    python benchmarks/losses.py [rounds]
"""

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from ratios import Ratio, Work, against, show
from torch import Tensor
from torchjd import aggregation
from torchjd.aggregation import GramianWeightedAggregator
from torchjd.autojac import backward, jac_to_grad

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.min_norm import MinNorm
from descend.aggregators.pcgrad import PCGrad
from descend.aggregators.upgrad import UPGrad
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.objectives.objective import Objective
from descend.optimizers.adam import Adam
from descend.types import Batch, Losses, Params

MENU = Path(__file__).parents[1] / "conf"
STEPS, TARGET = 4, 1.0
METHODS: dict[str, tuple[Aggregator, Callable[[], GramianWeightedAggregator]]] = {
    "upgrad": (UPGrad(), aggregation.UPGrad),
    "min_norm": (MinNorm(), aggregation.MGDA),
    "pcgrad": (PCGrad(), aggregation.PCGrad),
}


def dense(sizes: Sequence[int], generator: torch.Generator) -> Params:
    """Return the weights and biases of a net, scaled by Glorot's rule."""
    params: Params = {}
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        scale = (2 / (fan_in + fan_out)) ** 0.5
        params[f"weight{i}"] = scale * torch.randn(fan_out, fan_in, generator=generator, dtype=torch.float64)
        params[f"bias{i}"] = torch.zeros(fan_out, dtype=torch.float64, device=generator.device)
    return params


def forward(params: Params, x: Tensor) -> Tensor:
    """Return the outputs of a tanh net."""
    layers = len(params) // 2
    for i in range(layers):
        x = torch.nn.functional.linear(x, params[f"weight{i}"], params[f"bias{i}"])
        x = x.tanh() if i < layers - 1 else x
    return x


@dataclass(frozen=True)
class Heads(Objective):
    """m regressions by one 3 × 256 MLP on 1,024 examples of 32 numbers."""

    dtype: ClassVar[torch.dtype] = torch.float32
    inputs: ClassVar[Tensor]
    targets: ClassVar[Tensor]

    m: int = 2

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        object.__setattr__(self, "inputs", torch.randn(1024, 32, generator=generator, dtype=torch.float64))
        object.__setattr__(self, "targets", torch.randn(1024, self.m, generator=generator, dtype=torch.float64))

    def init(self, generator: torch.Generator) -> Params:
        return dense((32, 256, 256, 256, self.m), generator)

    def losses(self, params: Params, batch: Batch) -> Losses:
        errors = ((forward(params, self.inputs) - self.targets) ** 2).mean(dim=0)
        return {f"head{i}": error for i, error in enumerate(errors.unbind())}


def equation(name: str) -> Objective:
    """Return a differential equation of the menu: its losses have graphs of their own."""
    made: Objective = instantiate(OmegaConf.load(MENU / "objective" / "pinn" / f"{name}.yaml"), _convert_="all")
    return made


def ours(objective: Objective, aggregator: Aggregator) -> Work:
    """Return a run of ours with everything that `metrics=losses` logs."""
    metrics = instantiate(OmegaConf.load(MENU / "metrics" / "losses.yaml"), _convert_="all")
    experiment = Experiment(objective, Adam(), aggregator, metrics, steps=STEPS, threads=1, compile=False)

    def work() -> Callable[[], object]:
        loop = Run(experiment).loop
        return lambda: loop._block(STEPS)  # without the evaluation of the end, which the peer does not make

    return work


def theirs(objective: Objective, aggregator: GramianWeightedAggregator, chunk: int | None) -> Work:
    """Return torchjd's run of the same steps."""
    placed = objective.to(objective.dtype, torch.device("cpu"))

    def work() -> Callable[[], object]:
        start = placed.init(torch.Generator().manual_seed(0))
        params = {name: x.to(objective.dtype).requires_grad_() for name, x in start.items()}
        leaves = list(params.values())
        adam = torch.optim.Adam(leaves, lr=1e-3)

        def steps() -> None:
            for _ in range(STEPS):
                backward(list(placed.losses(params, None).values()), parallel_chunk_size=chunk)
                jac_to_grad(leaves, aggregator)
                adam.step()
                adam.zero_grad()

        return steps

    return work


def compare(chunk: int | None, target: float, rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Return the ratio of ours to torchjd's on every problem, by every method."""
    problems: dict[str, Objective] = {f"MLP 3x256, m={m}": Heads(m=m) for m in (2, 4, 8)}
    problems |= {"Burgers, m=3": equation("burgers"), "KdV, m=4": equation("kdv")}
    rows: dict[str, tuple[Ratio, float]] = {}
    for problem, objective in problems.items():
        for name, (aggregator, peer) in METHODS.items():
            work = f"{problem}, {name}"
            found = against(theirs(objective, peer(), chunk), {work: ours(objective, aggregator)}, rounds)
            rows[work] = found[work], target
    return rows


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print("against torchjd's backward(losses)")
    reached = show(compare(None, TARGET, rounds))
    print("against torchjd's backward(losses, parallel_chunk_size=1)")
    show(compare(1, math.inf, rounds))
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
