"""The batches of many runs against drawing each run's own, one at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pytest
import torch
from torch import Tensor

from descend.engine import streams
from descend.engine.drawn import epochs
from descend.engine.experiment import Experiment
from descend.engine.streams import Streams, begin
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.examples import FromExamples
from descend.objectives.objective import Objective
from descend.types import Batch, Losses, Params

SEEDS = [3, 1, 3, 2]


def naive(objective: Objective, seed: int) -> Iterator[Tensor]:
    """Batches as the papers say: each epoch a permutation, cut into batches, what is too few for one left out."""
    assert isinstance(objective, FromExamples)
    generator = torch.Generator().manual_seed(seed)
    objective.init(generator)
    examples, size = len(objective.train_targets), objective.batch_size
    while True:
        order = torch.randperm(examples, generator=generator).tolist()
        while len(order) >= size:
            yield torch.tensor(order[:size])
            order = order[size:]


def made(*overrides: str) -> Experiment:
    return build(compose(list(overrides)), list(overrides))


@pytest.fixture
def net() -> Experiment:
    return made("objective=digits_mlp_small", "objective.batch_size=400")


def many(experiment: Experiment, seeds: Sequence[int] = SEEDS, own: bool = True) -> Streams:
    return begin(experiment, seeds, [experiment.objective] * len(seeds), own).streams


@pytest.mark.parametrize("most", [1, 20_000, 2**26])
def test_every_run_has_its_own_batches(net: Experiment, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Three to an epoch, however many are brought to the device at a time."""
    monkeypatch.setattr(streams, "MOST_BYTES", most)
    found, right = many(net), [naive(net.objective, seed) for seed in SEEDS]
    for step in range(10):
        expected = torch.stack([next(each) for each in right])
        if step % 2:
            assert torch.equal(found.example(), expected[0])
        batch = found.draw()
        assert torch.equal(batch, expected)
        assert batch.is_contiguous()


@pytest.mark.parametrize("skipped", [0, 1, 3, 5, 6])
@pytest.mark.parametrize("own", [True, False])
def test_batches_are_left_out(net: Experiment, skipped: int, own: bool) -> None:
    seeds = SEEDS if own else [3]
    found, right = many(net, seeds, own), naive(net.objective, 3)
    found.example()
    found.skip(skipped)
    every = [next(right) for _ in range(skipped + 4)][skipped:]
    for expected in every:
        batch = found.draw()
        assert torch.equal(batch[0] if own else batch, expected)
    found.skip(1)  # of those made ready, or the first of the next epoch
    next(right)
    batch = found.draw()
    assert torch.equal(batch[0] if own else batch, next(right))


def test_runs_that_are_left_go_on_with_their_own(net: Experiment) -> None:
    found, right = many(net), [naive(net.objective, seed) for seed in SEEDS]
    assert torch.equal(found.draw(), torch.stack([next(each) for each in right]))
    found.select([3, 0])
    for _ in range(8):
        every = [next(each) for each in right]
        assert torch.equal(found.draw(), torch.stack([every[3], every[0]]))


def test_the_whole_data_is_no_batch() -> None:
    assert many(made("objective=digits_mlp_small", "objective.batch_size=null")).draw() is None
    assert many(made("objective=rosenbrock")).draw() is None


def test_points_drawn_once_are_made_ready_once(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = made("objective=pinn/heat")
    found = many(experiment, [1, 2])
    placed = []

    def noted(self: Streams, batches: Any) -> Any:
        placed.append(batches)
        return batches

    monkeypatch.setattr(Streams, "_placed", noted)
    first = [found.draw() for _ in range(5)]
    assert len(placed) == 1
    for run, seed in enumerate([1, 2]):
        generator = torch.Generator().manual_seed(seed)
        experiment.objective.init(generator)
        right = next(experiment.objective.batches(generator))
        assert all(torch.equal(batch[run], right) for batch in first)


@dataclass(frozen=True)
class Drawn(Objective):
    """Batches of two parts, drawn at every step."""

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.randn(2, generator=generator, dtype=torch.float64)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"value": (params["x"] ** 2).sum()}

    def batches(self, generator: torch.Generator) -> Iterator[Any]:
        while True:
            yield {"noise": torch.randn(3, generator=generator), "scale": 2.0}


def test_batches_of_an_objective_that_knows_no_epochs() -> None:
    found = begin(Experiment(Drawn()), [1, 2], [objective := Drawn()] * 2, own=True).streams
    right = []
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        objective.init(generator)
        right.append(objective.batches(generator))
    for _ in range(4):
        batch, every = found.draw(), [next(each) for each in right]
        assert torch.equal(batch["noise"], torch.stack([each["noise"] for each in every]))
        assert batch["scale"] == 2.0


def test_other_batches_of_a_class_below_are_taken(net: Experiment) -> None:
    """Not the epochs of the class above."""
    kind: Any = type(net.objective)

    class First(kind):
        def batches(self, generator: torch.Generator) -> Iterator[Batch]:
            while True:
                yield torch.arange(7)

    other = First(**{field.name: getattr(net.objective, field.name) for field in fields(kind)})
    assert torch.equal(next(epochs(other, torch.Generator())), torch.arange(7)[None])
