"""What a step costs on a GPU besides arithmetic: kernels launched, copies between host and device, synchronisations.

Counted on a pretend device (`tests/pretend.py`), so no GPU is needed and nothing depends on how busy the machine is.
A launch is an operator that is no view; torch launches more than one kernel for some. The numbers are those of one
step: of a block of 48 steps less one of 16, by 32. The last column is what 100 batches cost, of all runs.

A step of Adam on digits_mlp launches 41, and 42 where rates, seeds and betas are swept (the aim is 25 and 45). The
network takes 29: eight products, three additions and three sums for the biases, four for the activations, eight for
the loss, two to pick the batch, and one that joins the gradients. Adam's vector takes 7; the two powers of its betas,
the count of steps and the total take one each; its other scalars are computed for 16 steps at once (`graph/clock.py`).

    python benchmarks/launches.py            # ten cases
    python benchmarks/launches.py 3          # the third, by operation and line of descend
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from gpus import two_gpus
from pretend import Counts, counted

from descend.engine.block import due
from descend.engine.loop import Loop
from descend.sweeps.batch import begin_loop, prepare
from descend.sweeps.group import groups
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

QUIET = ["metrics=none", "derivatives=none", "device=cuda", "steps=1000", "compile=false"]
CASES = {
    "rosenbrock, adam": ["objective=rosenbrock"],
    "digits_mlp, sgd": ["objective=digits_mlp", "optimizer=sgd"],
    "digits_mlp, adam": ["objective=digits_mlp"],
    "the same, seeds and rates swept": ["objective=digits_mlp", "seed=range(0,4)", "optimizer.lr=0.001,0.002"],
    "the same, betas swept too": [
        *("objective=digits_mlp", "seed=1,2", "optimizer.lr=0.001,0.002"),
        "optimizer.betas=[0.8,0.99],[0.9,0.999]",
    ],
    "digits_mlp, torch's AdamW": ["objective=digits_mlp", "optimizer=torch", "optimizer.name=AdamW"],
    "digits_mlp, every metric": ["objective=digits_mlp", "metrics=all"],
    "digits_cnn, adam, 4 seeds": ["objective=digits_cnn", "seed=range(0,4)"],
    "fonseca_fleming, upgrad, 4 rates": [
        *("objective=fonseca_fleming", "aggregator=upgrad", "optimizer.lr=0.001,0.002,0.003,0.004"),
    ],
    "pinn/poisson, adam": ["objective=pinn/poisson"],
}
FEW, MANY = 16, 48
KINDS = ("launches", "copies", "waits")


def loop_of(overrides: Sequence[str]) -> Loop:
    """Return the loop of a sweep's runs, which are one stack, at its start."""
    own = {override.partition("=")[0] for override in overrides}
    quiet = [override for override in QUIET if override.partition("=")[0] not in own]
    [group] = groups(jobs([*overrides, *quiet], Grid()), built)
    return begin_loop(prepare(group), group, 1, lambda steps: None)


def block(loop: Loop, steps: int) -> Counts:
    """Make steps, and count what they and the block that they are cost."""
    pattern = tuple((True, names) for names in due(loop.experiment, 0, steps))
    batches = [loop.streams.draw() for _ in range(steps)]
    with counted() as found:
        loop.backend.advance(batches, pattern)
    return found


def more(many: Counter[tuple[str, str]], few: Counter[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """Return by operation and line how often a step of a longer block comes to it."""
    per_step = {key: (many[key] - few[key]) / (MANY - FEW) for key in many}
    return {key: times for key, times in per_step.items() if times}


def count(overrides: Sequence[str]) -> tuple[list[dict[tuple[str, str], float]], int]:
    """Return the launches, copies and waits of a step by place, and the copies for 100 batches."""
    loop = loop_of(overrides)
    block(loop, MANY)  # records what is recorded when it is first due
    few, many = block(loop, FEW), block(loop, MANY)
    with counted() as drawing:
        for _ in range(100):
            loop.streams.draw()
    return [more(getattr(many, kind), getattr(few, kind)) for kind in KINDS], sum(drawing.copies.values())


def main() -> None:
    """Print the table, or one case by place."""
    with two_gpus():
        if len(sys.argv) > 1:
            steps, _ = count([*CASES.values()][int(sys.argv[1]) - 1])
            for kind, places in zip(KINDS, steps, strict=True):
                for (operation, line), times in sorted(places.items(), key=lambda item: -item[1]):
                    print(f"{times:7.2f} {kind:8}  {operation:28} {line}")
            return
        print(f"{'case':<34} launches  copies   waits   copies for 100 batches")
        for name, overrides in CASES.items():
            steps, drawn = count(overrides)
            columns = "  ".join(f"{sum(places.values()):6.2f}" for places in steps)
            print(f"{name:<34}   {columns}   {drawn:6}", flush=True)


if __name__ == "__main__":
    main()
