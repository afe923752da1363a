"""Every optimizer's step against a hand-written loop with its torch.optim twin: `zero_grad`, `backward`, `step`.

Rosenbrock in two dimensions, and the MNIST net (784-256-256-10, batch 256) on random images. Both on one thread, in CPU
time, in turn; medians of the rounds. The columns are the ratios of ours to the twin's, each with its defaults.

    python benchmarks/optimizers.py [rounds]

2026-11-30, torch 2.13, 15 rounds, other work on both cores; Rosenbrock and MNIST: sgd 0.77 and 0.97, adam 0.80 and
1.09, nadam 1.06 and 1.14, radam 1.07 and 1.24. Here a step is called by itself, as in a run that cannot be recorded.
Its numbers are then Python's, and become tensors for each operation, so that a step called alone has the bits of a
recorded one; and it writes nothing in place, so that on MNIST the new parameters are in other memory. A recorded step
pays for neither.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from ratios import Work, against
from torch import Tensor
from torch.nn import functional

from descend.menu.build import build
from descend.menu.compose import compose
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params

METHODS = ("sgd", "adam", "adamw", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adadelta", "rprop", "asgd")


@dataclass(frozen=True)
class Problem:
    """A function, where it starts, and how many steps make a round."""

    loss: Loss
    start: Params
    steps: int


def rosenbrock() -> Problem:
    def loss(params: Params) -> Tensor:
        x = params["x"]
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    return Problem(loss, {"x": torch.tensor([-1.2, 1.0], dtype=torch.float64, device="cpu")}, 200)


def mnist() -> Problem:
    generator = torch.Generator("cpu").manual_seed(0)
    images = torch.rand(256, 784, generator=generator, dtype=torch.float32, device="cpu")
    labels = torch.randint(10, (256,), generator=generator, device="cpu")
    start = {}
    for i, (width, out) in enumerate([(784, 256), (256, 256), (256, 10)]):
        weight = torch.randn(out, width, generator=generator, dtype=torch.float32, device="cpu")
        start[f"weight{i}"] = weight / width**0.5
        start[f"bias{i}"] = torch.zeros(out, dtype=torch.float32, device="cpu")

    def loss(params: Params) -> Tensor:
        x = images
        for i in range(3):
            x = functional.linear(x if i == 0 else x.relu(), params[f"weight{i}"], params[f"bias{i}"])
        return functional.cross_entropy(x, labels)

    return Problem(loss, start, 4)


def by_hand(problem: Problem, twin: Callable[..., torch.optim.Optimizer]) -> Work:
    def work() -> Callable[[], object]:
        params = {name: x.clone().requires_grad_() for name, x in problem.start.items()}
        optimizer = twin(list(params.values()))

        def run() -> None:
            for _ in range(problem.steps):
                optimizer.zero_grad()
                problem.loss(params).backward()
                optimizer.step()

        return run

    return work


def ours(problem: Problem, optimizer: Optimizer) -> Work:
    def work() -> Callable[[], object]:
        def run() -> None:
            params, state = problem.start, optimizer.init(problem.start)
            for _ in range(problem.steps):
                leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
                found = torch.autograd.grad(problem.loss(leaves), tuple(leaves.values()))
                with torch.no_grad():
                    params, state = optimizer.step(params, dict(zip(leaves, found, strict=True)), state, problem.loss)

        return run

    return work


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    torch.set_num_threads(1)
    problems = {"rosenbrock": rosenbrock(), "mnist": mnist()}
    print(f"{'':10}" + "".join(f"{name:>12}" for name in problems))
    for method in METHODS:
        overrides = ["objective=rosenbrock", f"optimizer={method}"]
        optimizer = build(compose(overrides), overrides).optimizer
        twin = getattr(torch.optim, type(optimizer).__name__)
        ratios = [
            against(by_hand(problem, twin), {method: ours(problem, optimizer)}, rounds)[method].median
            for problem in problems.values()
        ]
        print(f"{method:10}" + "".join(f"{ratio:12.2f}" for ratio in ratios), flush=True)


if __name__ == "__main__":
    main()
