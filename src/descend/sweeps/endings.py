"""How each run of a batch ended, and the results made of it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from descend.engine.evaluations import Evaluations
from descend.engine.experiment import Experiment
from descend.engine.gather import host
from descend.engine.loop import MOST_PARAMETERS
from descend.engine.provenance import provenance
from descend.engine.result import Result
from descend.engine.stopping import Verdict, Watch, named
from descend.sweeps.block import Summary
from descend.sweeps.curves import Curves
from descend.sweeps.job import Chunk, Group
from descend.sweeps.program import Final, Numbers, Program

NEVER = np.iinfo(np.int64).max


class Endings:
    """The verdicts on a batch's runs and the states they ended in.

    Attributes:
        ended: whether each run has ended, [runs].
        stops: the step each ended at, int64 [runs]; `NEVER` while it goes on.
        names: the names of the losses.
    """

    def __init__(self, experiment: Experiment, program: Program, runs: int, compiled: bool) -> None:
        self._experiment, self._program, self._compiled = experiment, program, compiled
        self.ended = np.zeros(runs, bool)
        self.stops = np.full(runs, NEVER, np.int64)
        self.names = program.names
        self._verdicts: list[Verdict | None] = [None] * runs
        self._watches = [Watch() for _ in range(runs)] if experiment.stop.plateau else None
        self._best = np.full(runs, math.inf)
        self._kept: list[tuple[np.ndarray, list[Tensor]]] = []

    def suspects(self, runs: np.ndarray, summaries: Sequence[Summary]) -> np.ndarray:
        """Return which of `runs` may have ended in these steps, [runs]; note the lowest totals of the others."""
        stop = self._experiment.stop
        lowest = host(torch.stack([s.lowest for s in summaries]).amin(0))
        ended = ~torch.stack([s.finite for s in summaries]).all(0).cpu().numpy()
        if stop.value is not None:
            ended |= lowest <= stop.value
        if stop.gradient_norm is not None:
            ended |= host(torch.stack([s.norm for s in summaries if s.norm is not None]).amin(0)) <= stop.gradient_norm
        if self._watches is not None:
            ended[:] = True
        before = self.ended[runs]
        going = ~ended & ~before
        self._best[runs[going]] = np.minimum(self._best[runs[going]], lowest[going])
        return ended & ~before

    def judge(
        self,
        runs: np.ndarray,
        steps: np.ndarray,
        totals: np.ndarray,
        losses: np.ndarray,
        norms: np.ndarray | None,
    ) -> np.ndarray:
        """Look at each run's totals and ‖gradient‖ [k, runs], losses [k, runs, m]; return where each ended, or -1."""
        stops = np.full(len(runs), -1)
        for i, run in enumerate(runs):
            watch = Watch(self._best[run]) if self._watches is None else self._watches[run]
            norm = None if norms is None else norms[:, i]
            verdict = self._experiment.stop.first(steps, totals[:, i], norm, watch)
            self._best[run] = watch.best
            if verdict is not None:
                self._verdicts[run] = named(verdict, self._by_name(losses[verdict.step - steps[0], i]))
                stops[i] = verdict.step
        return stops

    def out_of_time(self, runs: np.ndarray, step: int, limit: float) -> None:
        """End runs because their time is used up."""
        for run in runs[~self.ended[runs]]:
            self._verdicts[run] = Verdict("finished", f"the time budget of {limit:g} s was used up", step)

    def keep(self, runs: np.ndarray, step: int, columns: list[Tensor]) -> None:
        """Keep the carry of runs that ended at `step`; the run axis stands first."""
        fresh = np.flatnonzero(~self.ended[runs])
        places = torch.from_numpy(fresh).to(columns[0].device)
        self._kept.append((runs[fresh], [x[places] for x in columns]))
        self.ended[runs], self.stops[runs[fresh]] = True, step

    def chunk(self, group: Group, numbers: Numbers, curves: Curves, seconds: float, threads: int) -> Chunk:
        """Evaluate every run where it ended, and return the results with the curves up to there."""
        order = np.concatenate([runs for runs, _ in self._kept])
        back = torch.from_numpy(np.argsort(order)).to(self._kept[0][1][0].device)
        carry = [torch.cat(parts)[back] for parts in zip(*(columns for _, columns in self._kept), strict=True)]
        final = self._program.evaluate(list(numbers.values()), carry)
        values, losses, norms = host(final.total), host(final.losses), host(final.norm)
        verdicts = self._judge_ends(values, losses, norms)
        curves.ends = {"value": values}
        if len(self.names) > 1:
            curves.ends |= {f"loss/{name}": losses[:, i] for i, name in enumerate(self.names)}
        curves.ends |= {name: host(x) for name, x in final.observed.items() if x.dim() == 1}
        index = np.array([job.index for job in group.jobs])
        return Chunk(
            group.jobs,
            self._results(group, final, curves.ends, verdicts, seconds / len(index), threads),
            curves.frame(self.stops, index),
        )

    def _judge_ends(self, values: np.ndarray, losses: np.ndarray, norms: np.ndarray) -> list[Verdict]:
        """Return every run's verdict; those that made all their steps are judged by the values at their end."""
        rules, verdicts = self._experiment.stop, []
        for run, verdict in enumerate(self._verdicts):
            step = int(self.stops[run])
            if verdict is None and (rules.any_reached(values[run], norms[run]) or self._watches is not None):
                watch = Watch(self._best[run]) if self._watches is None else self._watches[run]
                verdict = rules.first(np.array([step]), values[run : run + 1], norms[run : run + 1], watch)
                verdict = verdict and named(verdict, self._by_name(losses[run]))
            verdicts.append(verdict or Verdict("finished", f"all {step} steps were made", step))
        self._best = np.fmin(self._best, np.where(np.isfinite(values), values, math.inf))
        return verdicts

    def _results(
        self,
        group: Group,
        final: Final,
        ends: Mapping[str, np.ndarray],
        verdicts: list[Verdict],
        seconds: float,
        threads: int,
    ) -> tuple[Result, ...]:
        small = sum(x[0].numel() for x in final.params.values()) <= MOST_PARAMETERS
        params = {name: x.tolist() for name, x in final.params.items()} if small else {}
        tested = {name: host(x).tolist() for name, x in final.tested.items()}
        asked = {name: ends[name].tolist() for name in self._experiment.values if name in ends}
        values, losses, norms = host(final.total).tolist(), host(final.losses).tolist(), host(final.norm).tolist()
        origin = provenance(self._experiment, {name: x[0] for name, x in final.params.items()}, threads, self._compiled)
        return tuple(
            Result(
                status=verdict.status,
                reason=verdict.reason,
                steps=int(self.stops[run]),
                value=values[run],
                best_value=float(self._best[run]),
                losses=self._by_name(losses[run]),
                gradient_norm=norms[run],
                evaluations=self._evaluations(int(self.stops[run])),
                seconds=seconds,
                parameters={name: x[run] for name, x in params.items()} if small else None,
                metrics={name: x[run] for name, x in tested.items()},
                values={name: x[run] for name, x in asked.items()},
                provenance=origin | {"seed": group.seeds[run], "stacked": len(group.jobs)},
            )
            for run, verdict in enumerate(verdicts)
        )

    def _evaluations(self, steps: int) -> dict[str, int]:
        """Return what a run of so many steps evaluated, its end included."""
        return Evaluations(steps + 1, steps + 1).plus(self._experiment.optimizer.evaluations(steps, {}))

    def _by_name(self, losses: Sequence[float]) -> dict[str, float]:
        return dict(zip(self.names, map(float, losses), strict=True))
