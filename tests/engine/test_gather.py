"""Gathering by column against picking numbers one by one."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from descend.engine.block import Block, due
from descend.engine.experiment import Experiment
from descend.engine.gather import gather, until
from descend.records import Column, Records, frame

SHAPES = {"scalar": (), "single": (), "bins": (2, 4), "wide": (2, 8)}


@given(
    st.lists(st.sets(st.sampled_from(sorted(SHAPES))), min_size=1, max_size=9),
    st.integers(0, 50),
    st.integers(1, 3),
    st.integers(0, 2**20),
)
def test_every_number_finds_its_step_and_name(seen: list[set[str]], step: int, losses: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    def value(name: str) -> torch.Tensor:
        return draw(*SHAPES[name], dtype=torch.float64 if name == "single" else torch.float32)

    observed = {i: {name: value(name) for name in sorted(names)} for i, names in enumerate(seen) if names}
    block = Block(draw(len(seen), losses), draw(len(seen), losses), None, observed, {"always": draw(len(seen), 2, 4)})
    names = tuple(f"l{i}" for i in range(losses))
    found = gather(block, step, names)
    expected = {("value", step + i): float(row) for i, row in enumerate((block.values.double() * block.weights).sum(1))}
    if losses > 1:
        pairs = ((i, j) for i in range(len(seen)) for j in range(losses))
        expected |= {(f"loss/l{j}", step + i): float(block.values[i, j]) for i, j in pairs}
    expected |= {(n, step + i): x for i, at in observed.items() for n, x in at.items()}
    expected |= {("always", step + i): x for i, x in enumerate(block.always["always"])}
    columns = found.scalars | found.histograms
    got = {(n, int(s)): v for n, c in columns.items() for s, v in zip(c.steps, c.values, strict=True)}
    assert got.keys() == expected.keys()
    for key, number in expected.items():
        np.testing.assert_allclose(got[key], number, rtol=1e-6 if key[0] == "value" else 0)
    for name, column in columns.items():
        assert (np.diff(column.steps) > 0).all()
        assert column.values.dtype == np.float64
        assert (name in found.histograms) == (column.values.ndim > 1)


def column(steps: list[int], values: list[float]) -> Column:
    return Column(np.array(steps, np.int64), np.array(values))


def test_rows_before_a_step() -> None:
    records = Records({"a": column([3, 5, 7], [1, 2, 3]), "b": column([7], [4])}, {"h": column([3], [0.5])})
    found = until(records, 5)
    assert {name: c.steps.tolist() for name, c in found.scalars.items()} == {"a": [3], "b": []}
    assert found.histograms["h"].steps.tolist() == [3]


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

    metrics = {f"m{i}": GradientNorm(every=every) for i, every in enumerate(everys)}
    expected = tuple(
        tuple(name for name, metric in metrics.items() if (step + i) % metric.every == 0) for i in range(size)
    )
    assert due(Experiment(Line(), metrics=metrics), step, size) == expected
