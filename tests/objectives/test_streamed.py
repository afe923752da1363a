"""Training data read during the run: the run's own order and draws, whatever reads them."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import descend
from descend.engine.checkpoint import Every, load
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.objectives.data import streamed
from descend.objectives.data.digits import Digits
from descend.objectives.data.streamed import Streamed, reader
from descend.objectives.data.tensors import Tensors
from descend.objectives.module import Module
from descend.optimizers.adam import Adam

SPLIT = Digits().split()
TRAIN = (SPLIT.train_inputs[:500].flatten(1), SPLIT.train_targets[:500])
TEST = (SPLIT.test_inputs.flatten(1), SPLIT.test_targets)


class OneByOne(Dataset):
    """Examples by number, with noise that is drawn while they are read."""

    def __init__(self, noise: float = 0.0) -> None:
        self.noise, self.read = noise, 0

    def __len__(self) -> int:
        return len(TRAIN[1])

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        self.read += 1
        drawn = torch.rand(64).double() + np.random.rand() + random.random()  # noqa: NPY002
        return TRAIN[0][i] + self.noise * drawn, int(TRAIN[1][i])


def experiment(data: Any, **more: Any) -> Experiment:
    torch.manual_seed(0)
    return Experiment(Module(nn.Linear(64, 10), data, batch_size=64), Adam(lr=0.01), steps=20, **more)


def ran(of: Experiment) -> Run:
    run = Run(of)
    [*_] = run
    return run


def same(one: Run, other: Run) -> bool:
    return all(x.equal(other.params[name]) for name, x in one.params.items())


def test_it_trains_on_the_batches_that_data_in_memory_would_give_in_that_order() -> None:
    """Seven whole batches in an epoch, three epochs; the reference is a loop written by hand."""
    of = experiment(Streamed(OneByOne(), TEST, workers=0), dtype="float64")
    found = ran(of)
    generator = of.generator()
    of.objective.start_and_state(generator)
    torch.manual_seed(0)
    net = nn.Linear(64, 10).double()
    optimizer, orders = torch.optim.Adam(net.parameters(), lr=0.01), []
    for _ in range(3):
        orders += list(torch.randperm(500, generator=generator)[:448].view(7, 64))
        torch.randint(2**62, (), generator=generator, dtype=torch.int64)
    for batch in orders[:20]:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(TRAIN[0][batch]), TRAIN[1][batch]).backward()
        optimizer.step()
    for name, x in net.state_dict().items():
        torch.testing.assert_close(found.params[name], x, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on one core torch warns of two workers
def test_draws_belong_to_the_seed_whatever_the_number_of_workers() -> None:
    of = experiment(Streamed(OneByOne(0.1), TEST, workers=0))
    found = ran(of)
    random.seed(5)
    torch.rand(3)
    assert same(ran(experiment(Streamed(OneByOne(0.1), TEST, workers=2))), found)
    assert not same(ran(replace(of, seed=1)), found)
    state = random.getstate()
    ran(of)
    assert random.getstate() == state


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (64, 2)])
def test_there_are_no_more_workers_than_cores_unless_asked_for(
    cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`torch.utils.data.DataLoader` warns of more, and warnings are errors here."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)), raising=False)
    data = Streamed(OneByOne(), TEST)
    assert data.workers == workers
    assert len([*reader(data, [[(0, 0)], [(1, 1)], [(2, 2)]])]) == 3


def test_a_run_that_goes_on_reads_nothing_twice(tmp_path: Path) -> None:
    of = experiment(Streamed(OneByOne(0.1), TEST, workers=0))
    through = Run(of)
    through.keep(tmp_path / "checkpoint.pt", Every(steps=15), [])
    [*_] = through
    data = OneByOne(0.1)
    again = Run(experiment(Streamed(data, TEST, workers=0)), backend=through.loop.backend.name)
    before = data.read
    again.restore(load(tmp_path / "checkpoint.pt"))
    [*_] = again
    assert same(again, through)
    assert data.read - before <= 6 * 64


def test_what_fits_is_held_in_memory_and_what_does_not_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = DataLoader(OneByOne(), batch_size=32, num_workers=1)
    assert isinstance(descend.module(nn.Linear(64, 10), None, loader, TEST).data, Tensors)
    monkeypatch.setattr(streamed, "has_room", lambda entries: False)
    made = descend.module(nn.Linear(64, 10), None, loader, TEST)
    assert isinstance(made.data, Streamed)
    assert made.data.workers == 1
    assert descend.run(Experiment(made, Adam(lr=0.01), steps=5, accumulate=2)).steps == 5


def test_epochs_count_all_examples_and_the_sample_is_spread_over_them() -> None:
    of = experiment(Streamed(OneByOne(), TEST, workers=0, sample=50))
    assert of.objective.steps_in_epoch == 7
    assert len(of.objective.train_targets) == 50  # type: ignore[attr-defined]
    assert of.objective.train_inputs[-1].equal(TRAIN[0][-1])  # type: ignore[attr-defined]


def test_what_cannot_be_read_by_number_is_refused() -> None:
    class Flow(torch.utils.data.IterableDataset):
        def __iter__(self) -> Iterator[Any]:
            yield from zip(*TRAIN, strict=True)

    with pytest.raises(ConfigurationError, match="are read by number"):
        Streamed(Flow(), TEST)
    with pytest.raises(ConfigurationError, match="batch_size is null"):
        Module(nn.Linear(64, 10), Streamed(OneByOne(), TEST), batch_size=None)
