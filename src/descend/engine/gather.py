"""From the tensors of a block to numbers on the host, in as few transfers as there are shapes."""

import numpy as np
import torch
from torch import Tensor

from descend.records import Column


def gathered(observed: dict[int, dict[str, Tensor]], step: int) -> dict[str, Column]:
    """Return a column for each name; what has one shape, at steps that saw the same names, is moved together."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for i, found in observed.items():
        alike.setdefault(tuple(found), []).append(i)
    parts: dict[str, list[Column]] = {}
    for rows in alike.values():
        kinds: dict[tuple[torch.Size, torch.dtype, torch.device], list[str]] = {}
        for name, x in observed[rows[0]].items():
            kinds.setdefault((x.shape, x.dtype, x.device), []).append(name)
        steps = np.array(rows, np.int64) + step
        for (shape, *_), kind in kinds.items():
            values = host(torch.stack([observed[i][name] for i in rows for name in kind]))
            values = values.reshape(len(rows), len(kind), *shape)
            for j, name in enumerate(kind):
                parts.setdefault(name, []).append(Column(steps, values[:, j]))
    return {name: in_order(found) for name, found in parts.items()}


def in_order(parts: list[Column]) -> Column:
    """Return parts with different steps as one column, its steps ascending."""
    steps = np.concatenate([part.steps for part in parts])
    order = np.argsort(steps)
    return Column(steps[order], np.concatenate([part.values for part in parts])[order])


def host(values: Tensor) -> np.ndarray:
    """Return a float64 array in main memory."""
    return values.detach().to(device="cpu", dtype=torch.float64).numpy()


def as_computed(values: Tensor) -> np.ndarray:
    """Return an array in main memory, float32 where the values are, otherwise float64: no value changes."""
    return values.detach().cpu().numpy() if values.dtype == torch.float32 else host(values)


def in_a_row(parts: list[np.ndarray]) -> np.ndarray:
    """Return parts joined along their first axis; one part alone is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
