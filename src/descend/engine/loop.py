"""The loop over the steps of a stack of runs: one for a single run and for ten thousand."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from descend.engine.backends.backend import Backend, Pattern, Summary
from descend.engine.best import Best
from descend.engine.block import due
from descend.engine.checkpoint import Clock, Every, Saver
from descend.engine.endings import STOPPED, Endings
from descend.engine.experiment import Experiment
from descend.engine.gather import as_computed, gathered, host, in_a_row
from descend.engine.placement import computing
from descend.engine.program import Final
from descend.engine.streams import Streams
from descend.records import Column
from descend.types import Batch

BLOCK_SECONDS = 0.1
"""A block takes about so long: values leave the device, records reach their sinks and the clock is looked at between
blocks."""

MOST_STEPS = 1000
"""The longest block, in units of what a backend makes at a time where that is more than one step."""


class Rows(NamedTuple):
    """What a block recorded.

    Attributes:
        columns: for each name the steps [k] and the values [k, runs, …].
        runs: which runs, int64 [runs].
    """

    columns: dict[str, Column]
    runs: np.ndarray


@dataclass
class Loop:
    """Makes the steps of runs of one experiment; iterating yields what each block recorded.

    A run may end inside a block: its rows at and after the step of `endings.stops` are to be left out.

    Args:
        experiment: the runs' template, in its place.
        backend: their state, and what advances it.
        streams: their batches.
        runs: how many there are.
        threads: CPU threads to compute with.
        stride: every how many steps losses and due metrics are recorded.
        progress: told how many steps were made, over all runs, as they are made.
        clock: tells when a checkpoint is due.
        save: writes one, given the loop's state; called between blocks.
        stopping: names what asks the loop to stop (a signal, say), or None; asked before each block.
        until: iterating makes no steps after this one, and may begin again for more; None: up to the experiment's last.
            A program of several steps is carried out whole, so that the loop may go a few steps further.
        pauses: a block ends at each multiple of this many steps, a multiple of `backend.steps_per_call` itself where
            the backend is aligned; None: blocks may end anywhere.

    Attributes:
        step: how many steps were made.
        seconds: time spent in them.
        at: which run stands at each place of the stack, int64; ended runs leave it when they are half of it.
        endings: how they ended.
        best: where each was best, if a rule names the metric that decides.
        interrupted: whether it ended because `stopping` asked for it.
    """

    experiment: Experiment
    backend: Backend
    streams: Streams
    runs: int
    threads: int = 1
    stride: int = 1
    progress: Callable[[int], None] = lambda steps: None
    clock: Clock = field(default_factory=lambda: Clock(Every()))
    save: Saver | None = None
    stopping: Callable[[], str | None] = lambda: None
    until: int | None = None
    pauses: int | None = None
    step: int = 0
    seconds: float = 0.0
    at: np.ndarray = field(init=False)
    endings: Endings = field(init=False)
    best: Best = field(init=False)
    interrupted: bool = field(init=False, default=False)
    _resumable: dict[str, Any] | None = None
    _kept: list[tuple[np.ndarray, list]] = field(default_factory=list)
    _patterns: dict[tuple[int, int], Pattern] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.at = np.arange(self.runs)
        self.endings = Endings(self.experiment.stop, self.backend.names, self.runs, self.stride)
        self._period = math.lcm(self.stride, *(metric.every for metric in self.experiment.metrics.values()))
        self._draws = self.streams.example() is not None
        self.best = Best(self.experiment.stop, self.runs)
        decides = self.experiment.stop.metric is not None
        self._tests = {name: x.every for name, x in self.experiment.metrics.items() if decides and x.tests}

    def __iter__(self) -> Iterator[Rows]:
        unit, blocks = self.backend.steps_per_call, 1
        self._look_at_clock()  # a run that goes on may have used up its time
        while self.at.size and self.step < self.last:
            by = self.stopping()
            if by is not None:
                self.interrupted = True
                self.stop("interrupted", f"it was stopped after step {self.step} by {by}")
                return
            size = self._size(blocks * unit)
            if size % unit and self.backend.aligned:
                self._resumable = self.state()
            began = time.perf_counter()
            with computing(self.threads, self.streams.device):
                rows = self._block(size)
            took = time.perf_counter() - began
            self.seconds += took
            self._look_at_clock()
            yield rows
            if self.save is not None and self.at.size and self.clock.due(self.step):
                self.save(self.state())
            wanted = 2 * blocks if took < BLOCK_SECONDS / 2 else int(blocks * BLOCK_SECONDS / took)
            blocks = max(1, min(MOST_STEPS if unit == 1 else MOST_STEPS // 8, wanted))
        if self.at.size and self.step == self.experiment.steps:
            self._resumable = self._resumable or self.state()
            self._keep(self.at, self.step, self._columns(self.at))

    @property
    def last(self) -> int:
        """The step up to which iterating goes."""
        unit = self.backend.steps_per_call if self.backend.aligned else 1
        until = self.experiment.steps if self.until is None else -(-self.until // unit) * unit
        return min(until, self.experiment.steps)

    @property
    def waits(self) -> bool:
        """Whether runs could go on that stand where iterating ended."""
        return bool(self.at.size) and self.step < self.experiment.steps

    def _size(self, wanted: int) -> int:
        """Return how many steps the next block has: no checkpoint is due inside it."""
        most, left = self.clock.most(self.step, wanted), self.last - self.step
        if self.pauses is not None:
            most = min(most, self.pauses - self.step % self.pauses)
        if self.backend.aligned:  # when checkpoints are written must not change which steps a program makes
            unit = self.backend.steps_per_call
            most, left = -(-most // unit) * unit, left - left % unit or left
        elif self._tests:  # what may be the best is where a block begins, and need not be made again
            most = min(most, *(every - self.step % every for every in self._tests.values()))
        return min(most, left)

    def _block(self, size: int) -> Rows:
        """Make `size` steps; where runs end inside them, make them again up to there to keep what they ended with."""
        batches: list[Batch] = [self.streams.draw() for _ in range(size)] if self._draws else [None] * size
        before, step, pattern = self.backend.carry, self.step, self._pattern(self.step, size)
        try:
            summaries = self.backend.advance(batches, pattern)
        except BaseException:
            self.backend.carry = before  # Ctrl-C inside a block leaves the run where the block began
            raise
        rows = self._rows(summaries, pattern, step)
        metric = rows.columns.get(self.experiment.stop.metric or "")
        stops = self._judged(before, step, batches, summaries, pattern, self.best.over(self.at, metric))
        better = self.best.look(self.at, metric, np.where(self.endings.ended[self.at], 0, stops))
        self._look_for_stalls(rows)
        self.step += size
        self.progress(size * len(self.at))
        self._revisit(before, step, batches, stops, better)
        return rows

    def _look_for_stalls(self, rows: Rows) -> None:
        if self._draws:
            self.endings.stalls.forget()
        elif "value" in rows.columns:
            values = rows.columns["value"]
            self.endings.stalls.look(self.at, values.steps, values.values)

    def _pattern(self, step: int, size: int) -> Pattern:
        """Return for each step of a block whether it is recorded, and the metrics due at it; both come round."""
        at = step % self._period, size
        if at not in self._patterns:
            recorded = [(step + i) % self.stride == 0 for i in range(size)]
            names = due(self.experiment, step, size)
            self._patterns[at] = tuple(
                (kept, own if kept else tuple(name for name in own if name in self._tests))
                for kept, own in zip(recorded, names, strict=True)
            )
        return self._patterns[at]

    def _rows(self, summaries: Sequence[Summary], pattern: Pattern, step: int) -> Rows:
        """Return what the parts of a block from `step` on recorded of each run."""
        steps = np.flatnonzero([kept for kept, _ in pattern]) + step
        found: dict[str, Column] = {}
        if steps.size:
            found["value"] = Column(steps, in_a_row([as_computed(s.totals) for s in summaries]))
            losses = [as_computed(s.losses) for s in summaries if s.losses is not None]
            if losses:
                joined = in_a_row(losses)
                found |= {f"loss/{name}": Column(steps, joined[:, :, i]) for i, name in enumerate(self.backend.names)}
        return Rows(found | gathered(offset(summaries), step), self.at)

    def _judged(
        self,
        before: object,
        step: int,
        batches: Sequence[Batch],
        summaries: Sequence[Summary],
        pattern: Pattern,
        over: np.ndarray,
    ) -> np.ndarray:
        """Return for each run the step of this block at which it ended, or -1; the suspects are judged step by step."""
        found, suspects = np.full(len(self.at), -1), self.endings.suspects(self.at, summaries, over)
        if not suspects.any():
            return found
        places, after = np.flatnonzero(suspects), self.backend.carry
        if not all(recorded for recorded, _ in pattern):
            self.backend.carry = before
            summaries = self.backend.advance(batches, ((True, ()),) * len(batches))
            self.backend.carry = after
        totals = np.concatenate([host(s.totals) for s in summaries])[:, places]
        losses = [host(s.losses) for s in summaries if s.losses is not None]
        found[places] = self.endings.judge(
            self.at[places],
            np.arange(step, step + len(batches)),
            totals,
            np.concatenate(losses)[:, places] if losses else totals[:, :, None],
            {name: np.concatenate([host(s.sizes[name]) for s in summaries])[:, places] for name in summaries[0].sizes},
            over[places],
        )
        return found

    def _revisit(
        self, before: object, step: int, batches: Sequence[Batch], stops: np.ndarray, better: np.ndarray
    ) -> None:
        """Make the steps of a block again up to those at which runs ended or were best, and keep where they stood."""
        wanted = np.unique(np.concatenate([stops[stops >= 0], better[better >= 0]]))
        if not wanted.size:
            return
        after, made = self.backend.carry, 0
        self.backend.carry = before
        for at in (wanted - step).tolist():
            if at > made:
                self.backend.advance(batches[made:at], ((False, ()),) * (at - made))
            made = at
            ended, best = self.at[stops == step + at], self.at[better == step + at]
            if best.size:
                self.best.keep(best, self.backend.standing(self._columns(best), best.tolist()))
            if ended.size:
                self._keep(ended, step + at, self._columns(ended))
        self.backend.carry = after
        if (stops >= 0).any():
            self._drop_ended()

    def _columns(self, runs: np.ndarray) -> list:
        return self.backend.columns(np.flatnonzero(np.isin(self.at, runs)).tolist())

    def _keep(self, runs: np.ndarray, step: int, columns: list) -> None:
        """Keep the carry of runs that end at `step`; the run axis stands first."""
        fresh = np.flatnonzero(~self.endings.ended[runs])
        own = torch.from_numpy(fresh)
        self._kept.append((runs[fresh], [x[own.to(x.device)] if isinstance(x, Tensor) else x for x in columns]))
        self.endings.end(runs, step)

    def _drop_ended(self) -> None:
        """Leave ended runs behind where that makes the stack less than half as large; until then they idle along."""
        going = ~self.endings.ended[self.at]
        if going.sum() <= len(self.at) / 2:
            self._select(going)

    def _select(self, going: np.ndarray) -> None:
        places = np.flatnonzero(going).tolist()
        if places:
            self.backend.select(places)
            self.streams.select(places)
        self.at = self.at[going]
        if not self.at.size:  # steps after the last end, which depend on the length of a block, were not made
            self.step = int(self.endings.stops.max())

    def drop(self, reasons: Mapping[int, str]) -> None:
        """End runs where they stand with the status `STOPPED`, each for its reason, and go on without them.

        Runs that have ended by themselves keep their own end.
        """
        fresh = np.array([run for run in self.at.tolist() if run in reasons and not self.endings.ended[run]], np.int64)
        if not fresh.size:
            return
        self._kept.append((fresh, self._columns(fresh)))
        for run in fresh:
            self.endings.end(np.array([run]), self.step, STOPPED, reasons[int(run)])
        self._select(~self.endings.ended[self.at])

    def _look_at_clock(self) -> None:
        limit = self.experiment.stop.seconds
        if limit is not None and self.seconds >= limit:
            self.stop("finished", f"the time budget of {limit:g} s was used up")

    def stop(self, status: str, reason: str) -> None:
        """End every run that still goes on where it stands; the loop can go on from there."""
        going = self.at[~self.endings.ended[self.at]]
        if going.size:
            self._resumable = self._resumable or self.state()
            kept = self._columns(going)
            self._kept.append((going, kept))
            self.endings.end(going, self.step, status, reason)
        self.at = self.at[:0]

    def ends(self) -> list:
        """Return the carry of every run where it ended, in the order of the runs, as `Backend.columns` does."""
        order = np.concatenate([runs for runs, _ in self._kept])
        back = torch.from_numpy(np.argsort(order))
        parts = zip(*(columns for _, columns in self._kept), strict=True)
        return [torch.cat(x)[back.to(x[0].device)] if isinstance(x[0], Tensor) else x[0] for x in parts]

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint keeps: plain containers, numbers and tensors."""
        return {
            "backend": self.backend.name,
            "step": self.step,
            "seconds": self.seconds,
            "at": self.at.tolist(),
            "carry": self.backend.plain(self._columns(self.at)) if self.at.size else [],
            "kept": [(runs.tolist(), self.backend.plain(gathered)) for runs, gathered in self._kept],
            "endings": self.endings.state(),
            "best": self.best.state(),
        }

    def resumable(self) -> dict[str, Any]:
        """Return the state from which the loop can go on: of an ended one, that before it ended."""
        return self._resumable or self.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the loop has made no step yet."""
        self.step, self.seconds = state["step"], state["seconds"]
        places = list(state["at"])
        if places and len(places) < self.runs:
            self.backend.select(places)
            self.streams.select(places)
        self.at = np.array(places, np.int64)
        if places:
            self.backend.place(self.backend.filled(state["carry"]))
        self._kept = [(np.array(runs, np.int64), self.backend.filled(columns)) for runs, columns in state["kept"]]
        self.endings.restore(state["endings"])
        self.best.restore(state["best"], self.streams.device)
        if self._draws:
            self.streams.skip(self.step)

    def finish(self) -> Final:
        """Evaluate every run where it ended; tensors [runs, …]."""
        with computing(self.threads, self.streams.device):
            final = self.backend.finish(self.ends())
        if self.experiment.stop.metric in final.observed:
            self.best.look_at_ends(
                host(final.observed[self.experiment.stop.metric]), self.endings.stops, final.standing
            )
        return final


def offset(summaries: Sequence[Summary]) -> dict[int, dict[str, Tensor]]:
    """Return what the parts of a block observed, by its offset from the block's first step."""
    return {at: found for summary in summaries for at, found in summary.observed.items()}
