"""An LSTM by oneDNN's kernel against the same one by single operations, alone and in a stack of 32 runs, by its size.

On one thread, in CPU time, in turn; medians of the pairs. The whole of each run is inside: start, 60 steps and end.

    python benchmarks/recurrent.py [rounds] [width …]

2026-11-30, 3 rounds: alone 0.27, 0.29, 0.40 and 0.53 for widths of 16, 32, 64 and 128; 32 stacked 1.18, 1.25, 1.00 and
0.81. In long runs the start counts less: a step of one of 32 runs takes 0.33 ms by single operations and 0.7 by the
kernel at width 16, 0.7 and 0.9 at 32, 2.1 and 1.7 at 64. So the kernel is taken from a width of 32 on.
"""

import math
import sys
from collections.abc import Callable
from functools import partial

import torch
from ratios import Ratio, Work, against, show
from torch import Tensor, nn

import descend
from descend.objectives import recurrent

RUNS, STEPS = 32, 60


class Rows(nn.Module):
    """An LSTM that reads the rows of a picture."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, width, batch_first=True)
        self.last = nn.Linear(width, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return [n, 10] for pictures [n, 1, 8, 8]."""
        return self.last(self.lstm(pictures[:, 0])[0][:, -1])


def work(width: int, seeds: int, least: float) -> Work:
    """Make runs of 64 examples a step; `least` decides which layers the kernel computes."""
    target = ["objective=module", f"objective.module._target_={__name__}.Rows", f"+objective.module.width={width}"]
    settings = ["objective.most_evaluated=64", "threads=1", "metrics=none", "derivatives=none", f"steps={STEPS}"]

    def made() -> Callable[[], object]:
        recurrent.LEAST = least  # type: ignore[assignment]  # infinite: no layer
        if seeds == 1:
            return partial(descend.run, [*target, *settings])
        return partial(descend.sweep, [*target, *settings, f"seed=range(0,{seeds})"])

    return made


def one(width: int, rounds: int) -> dict[str, tuple[Ratio, float]]:
    """Compare one width; there is nothing to reach."""
    rows: dict[str, tuple[Ratio, float]] = {}
    for name, seeds in (("alone", 1), (f"{RUNS} stacked", RUNS)):
        kernel = {f"width {width}, {name}: kernel / single operations": work(width, seeds, 0)}
        rows |= {at: (x, math.inf) for at, x in against(work(width, seeds, math.inf), kernel, rounds).items()}
    return rows


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.set_num_threads(1)
    rows: dict[str, tuple[Ratio, float]] = {}
    for width in [int(x) for x in sys.argv[2:]] or [16, 32, 64, 128]:
        rows |= one(width, rounds)
    show(rows)


if __name__ == "__main__":
    main()
