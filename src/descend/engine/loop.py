"""The training loop: yields records, knows no sink."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from descend.engine.backends.kernel import NoCompiler
from descend.engine.block import STEPS, Block, Due, due, measure, take
from descend.engine.budgeted import within_budgets
from descend.engine.check import check_floating, check_start
from descend.engine.compiled_blocks import CompiledBlocks
from descend.engine.evaluations import Evaluations
from descend.engine.experiment import Experiment
from descend.engine.gather import gather, host, until
from descend.engine.kernel_blocks import KernelBlocks
from descend.engine.placement import LONG_RUN, LONG_RUN_OF_A_KERNEL, choose_compile, cpu_threads
from descend.engine.result import Result
from descend.engine.step import Carry, Taken, evaluate, observe, start, total
from descend.engine.stopping import Verdict, Watch, named
from descend.errors import ConfigurationError
from descend.graph.entries import Inseparable
from descend.records import Records
from descend.types import Batch, Loss, Params
from descend.vectors import norm, numel

# A block is as long as this takes, so that values leave the device, records reach their sinks and the clock is looked
# at some times a second; never longer than MOST_STEPS, so that taking one again stays cheap.
BLOCK_SECONDS = 0.1
MOST_STEPS = 1000

# Results carry the parameters themselves only where a person would read them.
MOST_PARAMETERS = 32

Take = Callable[[Carry, Sequence[Batch], Due], tuple[Carry, Block]]
"""Takes a block of an experiment's steps: `block.take`, or what compiles it."""


class Loop:
    """One run of an experiment. Iterating yields records; `result` tells how it stands, at the end or when cut short.

    Raises:
        ConfigurationError: on construction, if the experiment cannot start.
    """

    def __init__(self, experiment: Experiment) -> None:
        generator = experiment.generator()
        drawn = experiment.objective.init(generator)
        check_floating(drawn)
        self.experiment, params, self.threads = experiment.placed(drawn)
        self.names = check_start(self.experiment, params)
        self.batches = self.experiment.objective.batches(generator)
        self.carry: Carry = start(self.experiment, params)
        self.step = 0
        self.experiment = within_budgets(self.experiment)
        compiled = self._by_kernels(params) or self._by_programs(params)
        self.compiled = compiled is not None
        self._take: Take = compiled or partial(take, self.experiment, count=self._count)
        self.verdict: Verdict | None = None
        self.watch = Watch()
        self.evaluations = Evaluations()
        self.seconds = 0.0
        self.final: Taken | None = None

    @property
    def loss(self) -> Loss:
        """The total over the whole data as a function of the parameters, at the weights of the end."""
        return total(self.experiment.objective, self._evaluate().weights, None)

    def _pays(self, params: Params, long_run: int) -> bool:
        """Tell whether to compile: as the experiment says or where it wins, and there are steps enough for a block."""
        return choose_compile(self.experiment, params, long_run) and self.experiment.steps >= STEPS

    def _by_kernels(self, params: Params) -> Take | None:
        """Return what takes blocks by kernels, or None where that does not pay or cannot be had."""
        if not self._pays(params, LONG_RUN_OF_A_KERNEL):
            return None
        [first] = self._ahead(1)
        if first is not None or any(x.device.type != "cpu" for x in params.values()):
            return None
        try:
            return KernelBlocks(self.experiment, self.carry).take
        except NoCompiler:
            if self.experiment.compile == "auto":
                return None
            raise
        except Inseparable:
            return None

    def _ahead(self, steps: int) -> list[Batch]:
        """Return the next batches without using them up."""
        first = list(itertools.islice(self.batches, steps))
        self.batches = itertools.chain(first, self.batches)
        return first

    def _by_programs(self, params: Params) -> Take | None:
        """Return what takes blocks by compiled programs, or None where it does not pay or cannot be had."""
        if not self._pays(params, LONG_RUN):
            return None
        first = self._ahead(STEPS)
        try:
            with cpu_threads(self.threads):
                return CompiledBlocks(self.experiment, self.names, self.carry, first).take
        except Exception as error:  # a tracer and a compiler may raise anything
            if self.experiment.compile == "auto":
                return None
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ConfigurationError(
                f"compile is true, but a step of {type(self.experiment.objective).__name__} cannot be compiled: "
                f"{reason}; set compile=false."
            ) from error

    def __iter__(self) -> Iterator[Records]:
        with cpu_threads(self.threads):
            yield from self._blocks()

    def _blocks(self) -> Iterator[Records]:
        steps, unit = self.experiment.steps, STEPS if self.compiled else 1
        size = unit
        while self.verdict is None and self.step < steps:
            size = min(size, steps - self.step)
            began = time.perf_counter()
            records = self._block(list(itertools.islice(self.batches, size)))
            took = time.perf_counter() - began
            self.seconds += took
            self._look_at_clock()
            yield records
            wanted = 2 * size if took < BLOCK_SECONDS / 2 else int(size * BLOCK_SECONDS / took)
            size = max(unit, min(MOST_STEPS, wanted) // unit * unit)
        yield self._finish()

    def _block(self, batches: list[Batch]) -> Records:
        """Take one block; where a rule ends the run inside it, take it again from its start up to that step."""
        began, counts = self.carry, replace(self.evaluations)
        metrics_due = due(self.experiment, self.step, len(batches))
        carry, block = self._take(began, batches, metrics_due)
        records = gather(block, self.step, self.names)
        self.verdict = self._judge(block, records)
        if self.verdict is None:
            self.carry = carry
            self._add(len(batches))
            self.step += len(batches)
            return records
        kept = self.verdict.step - self.step
        self.evaluations, self.step = counts, self.verdict.step
        if kept:
            # With the same metrics: what is compiled for them is not for steps without, and rounds otherwise.
            self.carry, _ = self._take(began, batches[:kept], metrics_due[:kept])
            self._add(kept)
        return until(records, self.verdict.step)

    def _judge(self, block: Block, records: Records) -> Verdict | None:
        """Return the verdict on the block that starts at the present step, or None where the run goes on."""
        column = records.scalars["value"]
        norms = None if block.norms is None else host(block.norms)
        verdict = self.experiment.stop.first(column.steps, column.values, norms, self.watch)
        if verdict is not None:
            values = block.values[verdict.step - self.step].tolist()
            verdict = named(verdict, dict(zip(self.names, values, strict=True)))
        return verdict

    def _count(self, loss: Loss) -> Loss:
        return loss if self.experiment.optimizer.batchable else self.evaluations.counted(loss)

    def _add(self, steps: int) -> None:
        self.evaluations.function += steps
        self.evaluations.gradient += steps

    def _look_at_clock(self) -> None:
        limit = self.experiment.stop.seconds
        if self.verdict is None and limit is not None and self.seconds >= limit:
            self.verdict = Verdict("finished", f"the time budget of {limit:g} s was used up", self.step)

    def _finish(self) -> Records:
        """Evaluate the losses over the whole data and every metric at the last parameters, and record them."""
        with torch.no_grad():
            final = self._evaluate()
            observation = observe(self.experiment, self.carry, final, None, None)
            observed = measure(self.experiment, self.experiment.metrics, observation)
        block = Block(final.values[None], final.weights[None], norm(final.gradients)[None], {0: observed}, {})
        records = gather(block, self.step, self.names)
        if self.verdict is None:
            self.verdict = self._judge(block, records) or Verdict(
                "finished", f"all {self.step} steps were made", self.step
            )
        return records

    def _evaluate(self) -> Taken:
        """Evaluate the losses over the whole data at the last parameters, once."""
        if self.final is None:
            with torch.no_grad():
                self.final, _ = evaluate(self.experiment, self.carry.params, None, self.carry.aggregator)
            self._add(1)
        return self.final

    def result(self) -> Result:
        """Return how the run ended, or how it stands where it was cut short."""
        verdict = self.verdict or Verdict("interrupted", f"it was stopped after step {self.step}", self.step)
        final = self._evaluate()
        with torch.no_grad():
            tested = self.experiment.objective.evaluate(self.carry.params)
        value = float((final.weights.double() * final.values.double()).sum())
        return replace(
            self.unevaluated(verdict),
            value=value,
            best_value=min(self.watch.best, value if math.isfinite(value) else math.inf),
            losses=dict(zip(self.names, final.values.tolist(), strict=True)),
            gradient_norm=float(norm(final.gradients)),
            metrics={name: float(x) for name, x in tested.items()},
        )

    def unevaluated(self, verdict: Verdict) -> Result:
        """Return how the run stands without evaluating anything, for that may be what failed."""
        params, optimizer = self.carry.params, self.experiment.optimizer
        small = numel(params) <= MOST_PARAMETERS
        return Result(
            status=verdict.status,
            reason=verdict.reason,
            steps=self.step,
            value=math.nan,
            best_value=self.watch.best,
            losses={},
            gradient_norm=math.nan,
            evaluations=self.evaluations.plus(optimizer.evaluations(self.step, self.carry.optimizer)),
            seconds=self.seconds,
            parameters={name: x.tolist() for name, x in params.items()} if small else None,
            metrics={},
        )
