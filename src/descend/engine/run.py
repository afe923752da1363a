"""One run from start to result, its records handed to sinks as they come."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from descend.engine.backends.choose import Recording, choose, numbers_of_one, record_experiment
from descend.engine.budgeted import within_budgets
from descend.engine.check import check_start
from descend.engine.checkpoint import Clock, Every, save
from descend.engine.experiment import Experiment
from descend.engine.loop import Loop, Rows
from descend.engine.losses import Evaluation, total
from descend.engine.placement import computing
from descend.engine.program import Final
from descend.engine.result import Result
from descend.engine.results import content, recorded_at_the_end, results, trained_of, unevaluated
from descend.engine.sink import Sink
from descend.engine.snapshots import Snapshots, count_of, stride_of
from descend.engine.stopping import Verdict
from descend.engine.streams import Beginning, begin
from descend.errors import never_exits
from descend.graph.chance import Chance
from descend.graph.compat import pytree
from descend.memory import return_freed
from descend.records import Column, Records, last
from descend.types import Loss, Params


def record_run(experiment: Experiment) -> tuple[Beginning, Recording]:
    """Return where a run of an experiment begins, and its step recorded.

    Raises:
        ConfigurationError: the experiment cannot start.
    """
    beginning = begin(experiment, [experiment.seed], [experiment.objective], own=False)
    placed, start = within_budgets(beginning.experiment), beginning.origin.of_run(0)
    with computing(beginning.threads, beginning.streams.device):
        names = check_start(placed, start)
        return beginning, record_experiment(placed, names, start, beginning.streams.example(), arrays=True)


class Run:
    """A single run: a stack of one. Iterating yields its records; `result` tells how it stands, at any time.

    Args:
        experiment: what is run.
        backend: the name of the backend that began the run, where it goes on; None lets the experiment decide.

    Raises:
        ConfigurationError: on construction, if the experiment cannot start.
    """

    @never_exits()
    def __init__(self, experiment: Experiment, backend: str | None = None) -> None:
        beginning, recording = record_run(experiment)
        self.experiment, self.names = recording.experiment, recording.names
        with computing(beginning.threads, beginning.streams.device):
            made = choose(recording, numbers_of_one(recording.program), beginning.origin, name=backend)
        self.loop = Loop(self.experiment, made, beginning.streams, 1, beginning.threads)
        self._final: Final | None = None
        self._path: Path | None = None
        self._snapshots: Snapshots | None = None
        self._bytes = sum(x.nbytes for x in beginning.origin.params.values())

    @property
    def params(self) -> Params:
        """The parameters where the run stands."""
        return {name: x[0] for name, x in self.final.standing.params.items()}

    @property
    def loss(self) -> Loss:
        """The total over the whole data as a function of the parameters, at the weights of the end."""
        final = self.final
        state = pytree.tree_map(lambda x: x[0], final.standing.state)
        chance = Chance(self.experiment.seed, int(self.loop.endings.stops[0]))
        evaluation = Evaluation(self.experiment.objective, state, chance=chance)
        return total(evaluation, final.weights[0])

    @property
    def final(self) -> Final:
        """The end of the run, evaluated once."""
        if self._final is None:
            self.loop.stop("interrupted", f"it was stopped after step {self.loop.step}")
            self._final = self.loop.finish()
        return self._final

    def keep(self, path: Path, every: Every, sinks: Sequence[Sink]) -> None:
        """Write checkpoints to `path` while the run goes on; what the sinks were given is on the disk before each.

        A checkpoint that cannot be written is warned of, and the run goes on.
        """

        def save(state: dict[str, Any]) -> None:
            for sink in sinks:
                sink.save()
            self._write_snapshots()
            columns = self.loop.backend.filled(state["carry"])
            self._write(content(self.loop, state, self.loop.backend.standing(columns, [0])), path)

        self.loop.clock, self.loop.save = Clock(every, self.loop.step), save
        self._path = path

    def _write(self, content: dict[str, Any], path: Path) -> None:
        try:
            save(content, path)
        except (OSError, TypeError) as error:
            self.loop.save = None
            print(f"descend: {path} cannot be written: {error}; the run goes on without it.", file=sys.stderr)

    def keep_snapshots(self, path: Path, asked: int | None) -> None:
        """Keep snapshots of the parameters in `path`, which is written before each checkpoint.

        Args:
            asked: the most snapshots to keep; None: see `count_of`.
        """
        most = count_of(asked, self._bytes)
        if most:
            unit = self.loop.backend.steps_per_call if self.loop.backend.aligned else 1
            self._snapshots = Snapshots(path, stride_of(self.experiment.steps, most, unit))
            self._snapshots.restore(self.loop.step)
            self.loop.pauses = self._snapshots.stride

    def _look(self) -> None:
        """Keep a snapshot where one is due."""
        if self._snapshots is not None:
            self._snapshots.look(self.loop)

    def _write_snapshots(self) -> None:
        try:
            if self._snapshots is not None:
                self._snapshots.save()
        except OSError as error:
            self.loop.pauses = self._snapshots = None
            print(f"descend: snapshots cannot be written: {error}; the run goes on without them.", file=sys.stderr)

    def save_last(self) -> None:
        """Write the last checkpoint: where the run ended, and the state from which a longer one goes on."""
        if self._snapshots is not None:
            self._snapshots.add(int(self.loop.endings.stops[0]), self.params)
            self._write_snapshots()
        if self._path is not None:
            self._write(content(self.loop, self.loop.resumable(), self.final.standing), self._path)

    def restore(self, content: dict[str, Any]) -> None:
        """Go on from a checkpoint; the run has made no step yet."""
        self.loop.restore(content["state"])

    def __iter__(self) -> Iterator[Records]:
        self._look()
        for rows in self.loop:
            self._look()
            yield recorded(rows, int(self.loop.endings.stops[0]))
        yield self._end()

    def _end(self) -> Records:
        """Return what is recorded of the last parameters: the losses over the whole data, and every metric."""
        found, step = recorded_at_the_end(self.final, self.names), int(self.loop.endings.stops[0])
        columns = {name: Column(np.array([step]), x[None]) for name, x in found.items()}
        return recorded(Rows(columns, self.loop.at), step + 1)

    def result(self) -> Result:
        """Return how the run ended, or how it stands where it was cut short."""
        [found] = results(self.loop, self.final, [self.experiment.seed])
        if found.parameters is None:
            trained = trained_of(self.loop, self.final.standing)["last"]
            found.parameters = {name: x.detach().cpu() for name, x in trained.items()}
        return found

    def unevaluated(self, verdict: Verdict) -> Result:
        """Return how the run stands without evaluating anything, for that may be what failed."""
        return unevaluated(self.loop, verdict, self.experiment.seed)


def recorded(rows: Rows, stop: int) -> Records:
    """Return a single run's rows before step `stop` as records."""
    cut = {name: Column(c.steps[c.steps < stop], c.values[c.steps < stop, 0]) for name, c in rows.columns.items()}
    scalars = {name: column for name, column in cut.items() if column.values.ndim == 1}
    return Records(scalars, {name: column for name, column in cut.items() if column.values.ndim > 1})


def run(experiment: Experiment, sinks: Sequence[Sink] = ()) -> Result:
    """Run an experiment and return its result, records included.

    Ctrl-C ends the run with status `interrupted`; its result is returned like any other.

    Raises:
        ConfigurationError: the experiment cannot start; nothing was computed.
        Exception: what the objective, optimizer or a metric raised; by then every sink was closed with a result whose
            status is `failed`.
    """
    try:
        return drive(Run(experiment), sinks)
    finally:
        return_freed()


def drive(
    run: Run,
    sinks: Sequence[Sink],
    at_end: Callable[[Run, Result], Records] | None = None,
    earlier: Sequence[Records] = (),
) -> Result:
    """Make a run that is ready to start.

    Args:
        earlier: what was recorded before the run was interrupted.
        at_end: called with the run and its result; it writes what the sinks do not, a picture say, and returns the last
            records.
    """
    blocks = list(earlier)
    try:
        with never_exits():
            with suppress(KeyboardInterrupt):
                for records in run:
                    blocks.append(records)
                    hand_to(records, sinks)
            result = documented(run, run.result(), blocks)
        for sink in sinks:
            sink.save()
        run.save_last()
        if at_end is not None:
            hand_to(at_end(run, result), sinks)
    except Exception as error:
        verdict = Verdict("failed", f"{type(error).__name__}: {error}", run.loop.step)
        close_all(sinks, documented(run, run.unevaluated(verdict), blocks))
        raise
    close_all(sinks, result)
    return result


def hand_to(records: Records, sinks: Sequence[Sink]) -> None:
    """Hand records to every sink."""
    for sink in sinks:
        sink.write(records)


def close_all(sinks: Sequence[Sink], result: Result) -> None:
    """Close every sink in its order."""
    for sink in sinks:
        sink.close(result)


def documented(run: Run, result: Result, blocks: list[Records]) -> Result:
    """Return the result with its records."""
    return dataclasses.replace(result, values=result.values | last(blocks, run.experiment.values), blocks=blocks)
