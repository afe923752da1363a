"""From the tensors of a block to records on the host, in as few transfers as there are shapes."""

import numpy as np
import torch
from torch import Tensor

from descend.records import Column, Records
from descend.training.block import Block


def gather(block: Block, step: int, names: tuple[str, ...]) -> Records:
    """Return the records of a block that began at `step`: `value` and `loss/<name>` at each step, and the observed."""
    steps = np.arange(step, step + len(block.values), dtype=np.int64)
    values = block.values.double()
    totals = host((block.weights.double() * values).sum(dim=1))
    scalars = {"value": Column(steps, totals)}
    if len(names) > 1:
        columns = host(values)
        scalars |= {f"loss/{name}": Column(steps, columns[:, i]) for i, name in enumerate(names)}
    observed = [(step + i, name, x) for i, found in block.observed.items() for name, x in found.items()]
    scalars |= columns_by_name([item for item in observed if item[2].dim() == 0])
    return Records(scalars, columns_by_name([item for item in observed if item[2].dim() > 0]))


def columns_by_name(found: list[tuple[int, str, Tensor]]) -> dict[str, Column]:
    """Return a column for each name from (step, name, value) triples, the values of one shape moved together."""
    shapes: dict[torch.Size, list[int]] = {}
    for i, (_, _, x) in enumerate(found):
        shapes.setdefault(x.shape, []).append(i)
    moved: dict[int, np.ndarray] = {}
    for indices in shapes.values():
        moved |= zip(indices, host(torch.stack([found[i][2].double() for i in indices])), strict=True)
    by_name: dict[str, list[int]] = {}
    for i, (_, name, _) in enumerate(found):
        by_name.setdefault(name, []).append(i)
    return {
        name: Column(np.array([found[i][0] for i in rows], np.int64), np.stack([moved[i] for i in rows]))
        for name, rows in by_name.items()
    }


def until(records: Records, step: int) -> Records:
    """Return the rows before `step`."""
    return Records(
        {n: Column(c.steps[c.steps < step], c.values[c.steps < step]) for n, c in records.scalars.items()},
        {n: Column(c.steps[c.steps < step], c.values[c.steps < step]) for n, c in records.histograms.items()},
    )


def host(values: Tensor) -> np.ndarray:
    """Return a float64 array in main memory."""
    return values.detach().to(device="cpu", dtype=torch.float64).numpy()
