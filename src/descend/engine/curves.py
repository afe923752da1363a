"""The records of many runs, kept as blocks of numbers until they are asked for in long form."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from descend.records import SCHEMA


class Piece(NamedTuple):
    """One name's values: `steps` int64 [k], `runs` int64 [r], `values` [k, r]."""

    name: str
    steps: np.ndarray
    runs: np.ndarray
    values: np.ndarray


@dataclass
class Curves:
    """Pieces in the order they came, and each run's values at its end."""

    pieces: list[Piece] = field(default_factory=list)
    ends: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, name: str, steps: np.ndarray, runs: np.ndarray, values: np.ndarray) -> None:
        """Take the values [k, r] of one name at k steps of r runs."""
        self.pieces.append(Piece(name, steps, runs, values))

    def state(self) -> list[tuple[str, Tensor, Tensor, Tensor]]:
        """Return what a checkpoint keeps."""
        return [
            (
                p.name,
                torch.from_numpy(np.array(p.steps)),
                torch.from_numpy(np.array(p.runs)),
                torch.from_numpy(p.values),
            )
            for p in joined(self.pieces)
        ]

    def restore(self, state: list[tuple[str, Tensor, Tensor, Tensor]]) -> None:
        """Take up what `state` gave."""
        self.pieces = [Piece(name, *(x.numpy() for x in rest)) for name, *rest in state]

    def frame(self, stops: np.ndarray, index: np.ndarray) -> pl.DataFrame:
        """Return long form: run, step, name, value.

        Args:
            stops: the step each run ended at, int64 [runs]: the last of its rows, which holds the values of its end.
            index: the number under which each run is known, int64 [runs].
        """
        ends = [
            pl.DataFrame({"run": index, "step": stops, "value": values.astype(np.float64)}).select(
                "run", "step", pl.lit(name).alias("name"), "value"
            )
            for name, values in self.ends.items()
        ]
        parts = [self._long(piece, stops, index) for piece in joined(self.pieces)] + ends
        return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)

    def _long(self, piece: Piece, before: np.ndarray, index: np.ndarray) -> pl.DataFrame:
        steps = np.broadcast_to(piece.steps[:, None], piece.values.shape)
        runs = np.broadcast_to(index[piece.runs], piece.values.shape)
        kept = steps < before[piece.runs]
        # To pick out what is kept takes three times as long as to take all.
        taken = [x.ravel() if kept.all() else x[kept] for x in (runs, steps, piece.values)]
        long = pl.DataFrame({"run": taken[0], "step": taken[1], "value": taken[2].astype(np.float64)})
        return long.select("run", "step", pl.lit(piece.name).alias("name"), "value")


def joined(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces with those of one name and the same runs as one: a table is made once for each."""
    alike: dict[tuple[str, int], list[Piece]] = {}
    for piece in pieces:
        alike.setdefault((piece.name, id(piece.runs)), []).append(piece)
    return [
        Piece(name, np.concatenate([p.steps for p in own]), own[0].runs, np.concatenate([p.values for p in own]))
        for (name, _), own in alike.items()
    ]
