"""What a user's own objective draws from the global generators is its run's own: alone, in a sweep, after a resume."""

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import left
import numpy as np
import pytest
import torch
from conftest import Command
from polars.testing import assert_frame_equal

from descend.engine.drawn import draws_of
from descend.engine.experiment import Experiment
from descend.engine.run import run
from descend.errors import ConfigurationError
from descend.objectives.objective import Objective
from descend.optimizers.gradient_descent import GradientDescent
from descend.types import Batch, Losses, Params

DRAWS: dict[str, Callable[[], float]] = {
    "torch": lambda: float(torch.randn(())),
    "numpy": np.random.randn,
    "python": random.random,
}


@dataclass(frozen=True)
class Cloud(Objective):
    """Mean squared distance to a batch of points; start and batches are drawn from a global generator."""

    draw: str = "torch"
    unused: float = 1.0

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.tensor([DRAWS[self.draw](), 2.0], dtype=torch.float64)}

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        while True:
            yield torch.tensor([[DRAWS[self.draw](), 0.0] for _ in range(3)], dtype=torch.float64)

    def losses(self, params: Params, batch: Batch) -> Losses:
        points = torch.zeros(1, 2, dtype=torch.float64) if batch is None else batch
        return {"distance": ((params["x"] - points) ** 2).sum(1).mean()}


@pytest.mark.parametrize("draw", DRAWS)
def test_a_run_is_the_same_alone_and_in_a_sweep(draw: str, descend: Command) -> None:
    own = [f"objective._target_={__name__}.Cloud", f"+objective.draw={draw}", "optimizer=sgd", "optimizer.lr=0.1"]
    swept = descend("-m", *own, "steps=9", "seed=3,0,5", "hydra.sweep.dir=sweep")
    assert swept.code == 0, swept.err
    assert "one after the other" not in swept.err
    starts = []
    for seed in (0, 3, 5):
        alone = descend(*own, "steps=9", f"seed={seed}", f"hydra.run.dir=alone{seed}")
        assert alone.code == 0, alone.err
        [folder] = Path("sweep").glob(f"*seed={seed}")
        assert_frame_equal(
            left.table(folder).drop("run"), left.table(Path(f"alone{seed}")).drop("run"), check_exact=True
        )
        starts.append(left.result(folder)["parameters"]["x"][0])
    assert len(set(starts)) == 3


@pytest.mark.parametrize("draw", DRAWS)
def test_a_resumed_run_draws_what_one_that_was_not_stopped_does(draw: str, descend: Command) -> None:
    own = [f"objective._target_={__name__}.Cloud", f"+objective.draw={draw}", "optimizer=sgd", "optimizer.lr=0.1"]
    descend(*own, "steps=4", "hydra.run.dir=parts")
    resumed = descend("resume=parts", "steps=9")
    assert resumed.code == 0, resumed.err
    descend(*own, "steps=9", "hydra.run.dir=whole")
    assert_frame_equal(left.table(Path("parts")), left.table(Path("whole")), check_exact=True)


def standing() -> tuple[list[int], object, list[int]]:
    """Where the global generators stand."""
    legacy: Any = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), random.getstate(), legacy[1].tolist()


def test_the_global_generators_are_left_as_they_were() -> None:
    before = standing()
    for draw in DRAWS:
        _, epochs = draws_of(Cloud(draw), 1)
        next(epochs)
    assert standing() == before


@dataclass(frozen=True)
class WholeData(Cloud):
    """Its batch is the very data that its losses look at."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", torch.arange(6, dtype=torch.float64).reshape(3, 2))

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        while True:
            yield vars(self)["points"]

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"distance": super().losses(params, batch)["distance"] + vars(self)["points"].mean() * params["x"].sum()}


def test_runs_whose_batch_is_their_objectives_data_are_stacked(descend: Command) -> None:
    own = [f"objective._target_={__name__}.WholeData", "optimizer=sgd", "optimizer.lr=0.1", "steps=5"]
    swept = descend("-m", *own, "seed=0,1", "hydra.sweep.dir=sweep")
    assert "one after the other" not in swept.err
    descend(*own, "seed=1", "hydra.run.dir=alone")
    [folder] = Path("sweep").glob("*seed=1")
    assert_frame_equal(left.table(folder).drop("run"), left.table(Path("alone")).drop("run"), check_exact=True)


OWN_DATA = """
import numpy as np
import torch
from dataclasses import dataclass
from descend.objectives.objective import Objective

AT_IMPORT = np.random.randn(5)


@dataclass(frozen=True)
class Fit(Objective):
    def __post_init__(self):
        object.__setattr__(self, "data", torch.randn(5, dtype=torch.float64) + torch.from_numpy(AT_IMPORT))

    def init(self, generator):
        return {"x": torch.zeros(1, dtype=torch.float64)}

    def losses(self, params, batch):
        return {"f": ((params["x"] - self.data) ** 2).mean()}
"""


def test_data_drawn_when_an_objective_is_made_are_the_same_each_time(descend: Command, here: Path) -> None:
    (here / "mine.py").write_text(OWN_DATA)
    own = ["objective._target_=mine.Fit", "optimizer=sgd", "optimizer.lr=0.1", "steps=3"]
    found = []
    for drawn in (1, 2):
        torch.manual_seed(drawn)
        np.random.seed(drawn)  # noqa: NPY002
        sys.modules.pop("mine", None)  # another process
        descend(*own, f"hydra.run.dir=alone{drawn}")
        found.append(left.result(Path(f"alone{drawn}"))["value"])
    swept = descend("-m", *own, "seed=0,1", "hydra.sweep.dir=sweep")
    assert "one after the other" not in swept.err
    found += [left.result(folder)["value"] for folder in Path("sweep").glob("*seed=*")]
    assert len(found) == 4
    assert len(set(found)) == 1


FRESH = np.random.default_rng()


class StartsAnew(Cloud):
    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.from_numpy(FRESH.random(2))}


@dataclass(frozen=True)
class OneLoader(Cloud):
    """Its batches go on where the last run left them."""

    loader: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        while True:
            yield torch.full((3, 2), float(next(self.loader)), dtype=torch.float64)


@pytest.mark.parametrize(("objective", "what"), [(StartsAnew(), "start"), (OneLoader(), "first batch")])
def test_what_no_seed_decides_is_refused(objective: Objective, what: str) -> None:
    said = f"{type(objective).__name__} gives another {what} when it is asked again with the same seed"
    experiment = Experiment(objective, GradientDescent(), steps=3)
    with pytest.raises(ConfigurationError, match=said):
        run(experiment)
    with pytest.raises(ConfigurationError, match=said):
        run(replace(experiment, seed=1))
