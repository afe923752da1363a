"""How each run of a stack ends: the one place where an end is judged."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from descend.engine.backends.backend import Summary
from descend.engine.gather import host
from descend.engine.stalls import Stalls
from descend.engine.stopping import Stopping, Verdict, Watch, with_loss_named

NEVER = int(np.iinfo(np.int64).max)

STOPPED = "stopped"
"""The status of a run that its sweep went on without."""


class Endings:
    """The verdicts on the runs of a stack.

    Args:
        rules: when a run ends before its last step.
        names: of the losses.
        runs: how many there are.
        stride: from one recorded step to the next.

    Attributes:
        ended: whether each run has ended, [runs].
        stops: the step each ended at, int64 [runs]; `NEVER` while it goes on.
        best: the lowest total of each so far, [runs].
        stalls: since when their totals have stood still.
    """

    def __init__(self, rules: Stopping, names: tuple[str, ...], runs: int, stride: int) -> None:
        self._rules, self._names = rules, names
        self.ended = np.zeros(runs, bool)
        self.stops = np.full(runs, NEVER, np.int64)
        self.best = np.full(runs, math.inf)
        self._verdicts: list[Verdict | None] = [None] * runs
        self._watches = [Watch() for _ in range(runs)] if rules.plateau else None
        self.stalls = Stalls(runs, stride)

    @property
    def every_step(self) -> bool:
        """Whether a rule looks at the total of every step."""
        return self._watches is not None

    def suspects(self, runs: np.ndarray, summaries: Sequence[Summary], over: np.ndarray) -> np.ndarray:
        """Return which of `runs` may have ended in these steps, [runs]; note the lowest totals of the others.

        Args:
            over: the step at which the patience with a run's metric ended, or -1, [runs].
        """
        lowest = host(torch.stack([s.lowest for s in summaries]).amin(0))
        ended = ~torch.stack([s.finite for s in summaries]).all(0).cpu().numpy()
        if self._rules.value is not None:
            ended |= lowest <= self._rules.value
        for name, bound in self._rules.bounds.items():
            ended |= host(torch.stack([s.least[name] for s in summaries]).amin(0)) <= bound
        if self.every_step:
            ended[:] = True
        ended |= over >= 0
        before = self.ended[runs]
        going = ~ended & ~before
        self.best[runs[going]] = np.minimum(self.best[runs[going]], lowest[going])
        return ended & ~before

    def judge(
        self,
        runs: np.ndarray,
        steps: np.ndarray,
        totals: np.ndarray,
        losses: np.ndarray,
        sizes: Mapping[str, np.ndarray],
        over: np.ndarray,
    ) -> np.ndarray:
        """Return where each run ended, or -1.

        Args:
            totals, sizes: each run's total and sizes at these steps, [k, runs] each; losses: [k, runs, m].
            over: as for `suspects`; later steps are not looked at.
        """
        stops = np.full(len(runs), -1)
        for i, run in enumerate(runs):
            watch = Watch(self.best[run]) if self._watches is None else self._watches[run]
            k = len(steps) if over[i] < 0 else int(over[i] - steps[0]) + 1
            own = {name: x[:k, i] for name, x in sizes.items()}
            verdict = self._rules.first(steps[:k], totals[:k, i], own, watch)
            self.best[run] = watch.best
            if verdict is not None:
                verdict = with_loss_named(verdict, self._by_name(losses[verdict.step - steps[0], i]))
            elif over[i] >= 0:
                verdict = self._rules.out_of_patience(int(over[i]))
            if verdict is not None:
                self._verdicts[run], stops[i] = verdict, verdict.step
        return stops

    def end(self, runs: np.ndarray, step: int, status: str | None = None, reason: str = "") -> None:
        """Note that runs ended at `step`: by a rule that was judged, or with the status given."""
        for run in runs[~self.ended[runs]] if status is not None else ():
            self._verdicts[run] = Verdict(status or "", reason, step)
        fresh = runs[~self.ended[runs]]
        self.ended[fresh], self.stops[fresh] = True, step

    def verdicts(self, values: np.ndarray, losses: np.ndarray, norms: np.ndarray) -> list[Verdict]:
        """Return every run's verdict; those that made all their steps are judged by the values at their end.

        Args:
            values, norms: the total and ‖gradient‖ of each run where it ended, over the whole data, [runs].
            losses: the losses there, [runs, m].
        """
        found = []
        for run, verdict in enumerate(self._verdicts):
            step = int(self.stops[run])
            if verdict is None and (self.every_step or self._rules.any_reached(values[run], norms[run])):
                watch = Watch(self.best[run]) if self._watches is None else self._watches[run]
                norm = {"gradient_norm": norms[run : run + 1]}
                verdict = self._rules.first(np.array([step]), values[run : run + 1], norm, watch)
                verdict = verdict and with_loss_named(verdict, self._by_name(losses[run]))
            found.append(verdict or self._all_made(run, step))
        self.best = np.fmin(self.best, np.where(np.isfinite(values), values, math.inf))
        return found

    def _all_made(self, run: int, step: int) -> Verdict:
        parts = [f"all {step} steps were made", self.stalls.told(run, step)]
        return Verdict("finished", "; ".join(filter(None, parts)), step)

    def _by_name(self, losses: Sequence[float]) -> dict[str, float]:
        return dict(zip(self._names, map(float, losses), strict=True))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: plain numbers and texts."""
        return {
            "ended": self.ended.tolist(),
            "stops": self.stops.tolist(),
            "best": self.best.tolist(),
            "verdicts": [None if v is None else (v.status, v.reason, v.step) for v in self._verdicts],
            "stalls": self.stalls.state(self.ended),
            "watches": None if self._watches is None else [(w.best, w.mark, w.step) for w in self._watches],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.ended = np.array(state["ended"], bool)
        self.stops = np.array(state["stops"], np.int64)
        self.best = np.array(state["best"], np.float64)
        self._verdicts = [None if v is None else Verdict(*v) for v in state["verdicts"]]
        self.stalls.restore(state["stalls"])
        if self._watches is not None and state["watches"] is not None:
            self._watches = [Watch(*w) for w in state["watches"]]
