"""A block taken entry by entry is the block: for every function of few numbers, every optimizer, and metrics."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from descend.menu import FOLDER
from descend.sweeps.batch import Batched, prepare
from descend.sweeps.conduct import plan
from descend.sweeps.entries import EntryByEntry, join, small, split
from descend.sweeps.settings import Settings
from descend.training.compiled import tensors, trace

QUIET = ["metrics=none", "derivatives=none"]
CHOICES = {group: sorted(path.stem for path in (FOLDER / group).glob("*.yaml")) for group in ("objective", "optimizer")}
SERIAL = ("torch", "newton_cg", "adam_then_lbfgs")
EXPRESSION = ["objective=expression", "objective.formula='x**3 + cos(y)'", "objective.start={x: 2.0, y: 1.0}"]


def blocks(overrides: Sequence[str], due: tuple[str, ...] = ()) -> tuple[list[Tensor], list[Tensor]]:
    """Return what three steps of three runs give, whole and entry by entry; nothing where a step is too large."""
    (group,) = plan([*overrides, "optimizer.lr=0.001,0.002,0.004", "steps=10"], Settings()).groups
    program, numbers = prepare(group)
    runs = Batched(program, group, numbers, 1, lambda steps: None)._runs
    if program.axis != -1 or not small(program.step(due).graph):
        return [], []
    drawn = [tensors(runs.streams.draw()) for _ in range(3)]
    pattern = ((True, due), (False, due), (True, due))
    with torch.no_grad():
        takes = [
            take(pattern, list(numbers.values()), runs.carry, drawn) for take in (runs._block, runs._block_by_entry)
        ]
    whole, entries = (tensors(found) for found in takes)
    return whole, entries


def assert_same(overrides: Sequence[str], due: tuple[str, ...] = ()) -> None:
    whole, entries = blocks(overrides, due)
    if not whole:
        pytest.skip("a step of it is too large, or has matrix products, and stays whole")
    torch.testing.assert_close(entries, whole, rtol=1e-12, atol=1e-14, equal_nan=True)


@pytest.mark.parametrize("objective", [x for x in CHOICES["objective"] if "mnist" not in x and "digits" not in x])
def test_objectives(objective: str) -> None:
    own = EXPRESSION if objective == "expression" else [f"objective={objective}"]
    assert_same([*own, *QUIET, "optimizer=adam"])


@pytest.mark.parametrize("optimizer", [x for x in CHOICES["optimizer"] if x not in SERIAL])
def test_optimizers(optimizer: str) -> None:
    assert_same([f"optimizer={optimizer}", "objective=beale", *QUIET])


@pytest.mark.parametrize("optimizer", ["adam", "rprop", "nadam"])
def test_in_single_precision(optimizer: str) -> None:
    whole, entries = blocks([f"optimizer={optimizer}", "objective=beale", "dtype=float32", *QUIET])
    assert [x.dtype for x in entries] == [x.dtype for x in whole]
    torch.testing.assert_close(entries, whole, rtol=1e-4, atol=1e-6)


def test_metrics_and_several_losses() -> None:
    names = ("weighted_losses", "gradient_norm", "gradient_cosine", "update_norm", "parameter_values")
    due = tuple(f"metrics.{name}" for name in names)
    whole, entries = blocks(["objective=fonseca_fleming", "aggregator=mean", "derivatives=none"], due)
    assert len(whole) > 20
    torch.testing.assert_close(entries, whole, rtol=1e-12, atol=1e-14, equal_nan=True)


def function(x: Tensor, y: Tensor, n: Tensor) -> list[Tensor]:
    """Every way in which entries move, are summed, and are computed together."""
    rows = torch.stack([x, y]).flip(0)
    joined = torch.cat([x[1:], y[:1].expand(2), torch.nn.functional.pad(y, (1, 0))])
    return [
        rows.sum(0), rows.sum(), rows.mean(1), rows.t().reshape(-1)[1:4], joined.roll(1) * n, torch.dot(x, y),
        rows @ x, torch.where(x > y, x, n), x.clamp(min=0).cumsum(0), rows.amax(1), torch.zeros_like(x) + n.to(x.dtype),
        x.argmax() + 1, torch.linalg.vector_norm(rows), (x > 0).all(), rows.softmax(0), x.sort().values,
        (rows > -9).sum(), torch.nn.functional.pad(x, (1, 1), value=2.0), torch.cat([x, n.float().expand(2)]),
    ]  # fmt: skip


def test_every_kind_of_operation() -> None:
    generator = torch.Generator().manual_seed(0)
    xs, ys = (torch.randn(3, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    n = torch.tensor(0.5, dtype=torch.float64)
    graph, _ = trace(function, xs[:, 0], ys[:, 0], n)
    found = EntryByEntry(graph).run(split(xs, True), split(ys, True), split(n, False))
    for run in range(5):
        expected = function(xs[:, run], ys[:, run], n)
        for entries, value in zip(found, expected, strict=True):
            torch.testing.assert_close(join(entries, True, 5)[..., run], value, rtol=1e-14, atol=1e-15)


def test_a_number_has_no_say_in_the_precision_of_a_tensor() -> None:
    x, lr = torch.ones(2, dtype=torch.float32), torch.tensor(0.1, dtype=torch.float64)
    graph, _ = trace(lambda x, lr: [x * lr, lr * lr, torch.addcmul(x, x, x) / lr], x, lr)
    found = EntryByEntry(graph).run(split(x[:, None].expand(2, 4), True), split(lr.expand(4), True))
    assert [entries.flat[0].dtype for entries in found] == [torch.float32, torch.float64, torch.float32]
