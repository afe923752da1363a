"""Where each run of a stack was best, by the test metric that decides, and for how long it has not got better."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.engine.step import Standing
from descend.engine.stopping import Stopping
from descend.graph.compat import pytree
from descend.records import Column


class Best:
    """The best value of each run's metric so far, and where it stood then.

    Args:
        rules: name the metric, and which way is better.
        runs: how many there are.

    Attributes:
        value: the best value of each, [runs]; NaN before the first.
        step: where it was found, int64 [runs]; -1 before the first.
        standing: of each there, tensors [runs, …]; None before the first.
    """

    def __init__(self, rules: Stopping, runs: int) -> None:
        self._rules = rules
        self._sign = -1.0 if rules.highest else 1.0
        self.value = np.full(runs, np.nan)
        self.step = np.full(runs, -1, np.int64)
        self.standing: Standing | None = None

    def over(self, runs: np.ndarray, column: Column | None) -> np.ndarray:
        """Return for each run the step at which its metric has not got better for too long, or -1.

        Args:
            column: the metric, its values [k, runs]; None where these steps recorded none.
        """
        if column is None:
            return np.full(len(runs), -1)
        return np.array([self._followed(run, column, place, -1)[3] for place, run in enumerate(runs)])

    def look(self, runs: np.ndarray, column: Column | None, stops: np.ndarray) -> np.ndarray:
        """Take in the metric of runs; return the step at which each was last better, or -1.

        Args:
            column: as for `over`.
            stops: the step at which each run ended, or -1; later values are none of its own.
        """
        better = np.full(len(runs), -1)
        if column is None:
            return better
        for place, run in enumerate(runs):
            self.value[run], self.step[run], better[place], _ = self._followed(run, column, place, stops[place])
        return better

    def _followed(self, run: int, column: Column, place: int, stop: int) -> tuple[float, int, int, int]:
        """Return a run's best value and its step, the last step here that was better, and that of the end of patience.

        The last two are -1 where there is none.
        """
        best, at, better, patience = float(self.value[run]), int(self.step[run]), -1, self._rules.patience
        for step, value in zip(column.steps.tolist(), column.values[:, place].tolist(), strict=True):
            if 0 <= stop < step:
                break
            if self._better(value, best):
                best, at, better = value, step, step
            elif patience is not None and step - at >= patience:
                return best, at, better, step
        return best, at, better, -1

    def _better(self, value: float, best: float) -> bool:
        return not math.isnan(value) and (math.isnan(best) or self._sign * value < self._sign * best)

    def keep(self, runs: np.ndarray, standing: Standing) -> None:
        """Keep where runs stand now, tensors [runs, …], as their best."""
        if self.standing is None:
            many = len(self.value)
            self.standing = pytree.tree_map(lambda x: x[:1].expand(many, *x.shape[1:]).clone(), standing)
        index = torch.from_numpy(runs)

        def replaced(kept: Tensor, x: Tensor) -> Tensor:
            return kept.index_copy(0, index.to(kept.device), x)  # a new tensor: a checkpoint may still hold this one

        self.standing = pytree.tree_map(replaced, self.standing, standing)

    def look_at_ends(self, values: np.ndarray, steps: np.ndarray, standing: Standing) -> None:
        """Take in the metric where the runs ended, [runs], and where they stand there."""
        found = enumerate(values.tolist())
        better = np.array([run for run, value in found if self._better(value, self.value[run])], np.int64)
        if better.size:
            self.value[better], self.step[better] = values[better], steps[better]
            index = torch.from_numpy(better)
            self.keep(better, pytree.tree_map(lambda x: x[index.to(x.device)], standing))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: plain numbers and tensors."""
        return {"value": self.value.tolist(), "step": self.step.tolist(), "standing": tuple(self.standing or ())}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up what `state` gave; the runs go on on this device."""
        self.value, self.step = np.array(state["value"], np.float64), np.array(state["step"], np.int64)
        kept = pytree.tree_map(lambda x: x.to(device), state["standing"])
        self.standing = Standing(*kept) if kept else None
