"""Gathering by column against picking numbers one by one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from descend.engine.backends.backend import Summary
from descend.engine.block import due
from descend.engine.experiment import Experiment
from descend.engine.gather import gathered
from descend.engine.loop import Loop, Rows
from descend.engine.run import recorded
from descend.metrics.metric import Metric
from descend.records import Column, Records, frame

SHAPES = {"scalar": (), "single": (), "bins": (2, 4), "wide": (2, 8)}


@given(
    st.lists(st.sets(st.sampled_from(sorted(SHAPES))), min_size=1, max_size=9),
    st.integers(0, 50),
    st.integers(1, 3),
    st.integers(0, 2**20),
)
def test_every_number_finds_its_step_name_and_run(seen: list[set[str]], step: int, runs: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def value(name: str) -> torch.Tensor:
        dtype = torch.float64 if name == "single" else torch.float32
        return torch.randn((runs, *SHAPES[name]), generator=generator, dtype=dtype)

    observed = {i: {name: value(name) for name in sorted(names)} for i, names in enumerate(seen) if names}
    found = gathered(observed, step)
    expected = {(n, step + i): x for i, at in observed.items() for n, x in at.items()}
    got = {(n, int(s)): v for n, c in found.items() for s, v in zip(c.steps, c.values, strict=True)}
    assert got.keys() == expected.keys()
    for key, number in expected.items():
        np.testing.assert_array_equal(got[key], number.double())
    for column in found.values():
        assert (np.diff(column.steps) > 0).all()
        assert column.values.dtype == np.float64


@given(st.integers(1, 9), st.integers(0, 50), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_totals_and_losses_of_a_block_find_their_steps_and_runs(
    size: int, step: int, losses: int, runs: int, stride: int
) -> None:
    """Of a block that came in several parts, every `stride` steps recorded."""
    names = tuple(f"l{i}" for i in range(losses))
    kept = [i for i in range(size) if (step + i) % stride == 0]
    values = torch.arange(float(size * runs * losses)).reshape(size, runs, losses)

    def part(rows: list[int]) -> Summary:
        own = values[rows] if losses > 1 else None
        return Summary(torch.zeros(runs), torch.ones(runs), {}, values[rows].sum(2), own, {}, {})

    loop: Any = SimpleNamespace(backend=SimpleNamespace(names=names), at=np.arange(runs))
    pattern = tuple(((i in kept), ()) for i in range(size))
    half = len(kept) // 2
    rows = Loop._rows(loop, [part(kept[:half]), part(kept[half:])], pattern, step)
    expected = {} if not kept else {"value": values[kept].sum(2)}
    if kept and losses > 1:
        expected |= {f"loss/{name}": values[kept][:, :, i] for i, name in enumerate(names)}
    assert rows.columns.keys() == expected.keys()
    for name, column in rows.columns.items():
        assert column.steps.tolist() == [step + i for i in kept]
        np.testing.assert_array_equal(column.values, expected[name])


def test_a_single_run_has_its_rows_before_it_stopped_split_by_how_they_are_drawn() -> None:
    shapes = {"a": (3, 1), "b": (1, 1), "h": (1, 1, 2, 4)}
    steps = {"a": [3, 5, 7], "b": [7], "h": [3]}
    given = {n: Column(np.array(steps[n]), np.arange(float(np.prod(s))).reshape(s)) for n, s in shapes.items()}
    found = recorded(Rows(given, np.zeros(1, np.int64)), 5)
    assert {name: c.steps.tolist() for name, c in found.scalars.items()} == {"a": [3], "b": []}
    assert found.scalars["a"].values.tolist() == [0.0]
    assert found.histograms["h"].steps.tolist() == [3]
    assert found.histograms["h"].values.shape == (1, 2, 4)


def column(steps: list[int], values: list[float]) -> Column:
    return Column(np.array(steps, np.int64), np.array(values))


def test_a_frame_is_in_the_order_of_the_blocks() -> None:
    blocks = [
        Records({"a": column([0, 1], [1, 2]), "b": column([1], [3])}),
        Records(),
        Records({"a": column([2], [4])}),
    ]
    rows = [(7, 0, "a", 1.0), (7, 1, "a", 2.0), (7, 1, "b", 3.0), (7, 2, "a", 4.0)]
    assert frame(blocks, run=7).rows() == rows
    assert frame([]).schema == frame(blocks).schema
    assert frame([Records()]).height == 0


@given(st.lists(st.integers(1, 9), max_size=4), st.integers(0, 60), st.integers(0, 30))
def test_which_metrics_are_due(everys: list[int], step: int, size: int) -> None:
    from toys import Line

    from descend.metrics.gradient_norm import GradientNorm

    metrics: dict[str, Metric] = {f"m{i}": GradientNorm(every=every) for i, every in enumerate(everys)}
    expected = tuple(
        tuple(name for name, metric in metrics.items() if (step + i) % metric.every == 0) for i in range(size)
    )
    assert due(Experiment(Line(), metrics=metrics), step, size) == expected
