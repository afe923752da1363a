"""Twenty scalars at each step: our event file against SummaryWriter, beside a bare loop of small steps.

The sink alone, fed with records as the loop hands them over; `single_run.py` measures whole runs. In CPU time, one
thread, in turn; medians of the pairs.

    python benchmarks/event_files.py [rounds]
"""

import itertools
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ratios import Work, against, show

from descend.engine.result import Result
from descend.output.sinks.tensorboard import TensorBoard
from descend.records import Column, Records

TEMPORARY = tempfile.TemporaryDirectory()
NUMBERS = itertools.count()
STEPS, BLOCK = 1000, 250
NAMES = [f"twenty/{i}" for i in range(20)]
DONE = Result("finished", "", STEPS, 0.0, 0.0, {}, 0.0, {}, 1.0, None, {})


def folder() -> Path:
    path = Path(TEMPORARY.name, str(next(NUMBERS)))
    path.mkdir()
    return path


def step(x: torch.Tensor) -> float:
    """A gradient step on a small function, and one number to log."""
    leaf = x.detach().requires_grad_()
    value = (100 * (leaf[1:] - leaf[:-1] ** 2) ** 2 + (1 - leaf[:-1]) ** 2).sum()
    (gradient,) = torch.autograd.grad(value, leaf)
    x -= 1e-3 * gradient
    return float(value.detach())


def start() -> torch.Tensor:
    return torch.tensor([-1.2, 1.0], dtype=torch.float64, device="cpu")


def bare() -> Callable[[], object]:
    x = start()
    return lambda: [step(x) for _ in range(STEPS)]


def event_file() -> Callable[[], object]:
    sink, x = TensorBoard(folder(), {}), start()

    def timed() -> None:
        for first in range(0, STEPS, BLOCK):
            values = np.array([step(x) for _ in range(BLOCK)])
            steps = np.arange(first, first + BLOCK)
            sink.write(Records({name: Column(steps, values) for name in NAMES}))
        sink.close(DONE)

    return timed


def summary_writer() -> Callable[[], object]:
    from torch.utils.tensorboard import SummaryWriter

    writer, x = SummaryWriter(folder()), start()

    def timed() -> None:
        for i in range(STEPS):
            value = step(x)
            for name in NAMES:
                writer.add_scalar(name, value, i)
        writer.close()

    return timed


def main() -> None:
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    works: dict[str, tuple[Work, float]] = {
        "20 scalars a step, our event file": (event_file, 1.15),
        "(20 scalars a step, SummaryWriter)": (summary_writer, math.inf),
    }
    found = against(bare, {name: work for name, (work, _) in works.items()}, rounds)
    sys.exit(0 if show({name: (ratio, works[name][1]) for name, ratio in found.items()}) else 1)


if __name__ == "__main__":
    main()
