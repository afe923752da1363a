"""Which backend advances an experiment: decided by the experiment alone, never by how many runs there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from descend.devices import is_failure, is_gpu
from descend.engine.backends.backend import Backend
from descend.engine.backends.c_program import NoCompiler
from descend.engine.backends.compiled import CompiledBackend, CompileFailed
from descend.engine.backends.graph import GraphBackend
from descend.engine.backends.kernel import KernelBackend, may_take, separable
from descend.engine.backends.proof import check_faithful, find_hosted
from descend.engine.backends.python import PythonBackend
from descend.engine.experiment import Experiment
from descend.engine.program import Program
from descend.engine.repeats import check_repeatable
from descend.engine.step import Origin
from descend.errors import ConfigurationError, Untraceable, never_exits
from descend.graph.compat import OpOverload, returns_new
from descend.graph.entries import Inseparable
from descend.types import Batch, Params
from descend.vectors import numel

LONG_RUN_OF_A_KERNEL = 1_000
"""`auto` compiles a kernel for runs of at least this many steps: compiling takes a third of a second, as long as some
3,000 of the smallest steps of one run, or 300 of a thousand runs."""

LONG_RUN = 100_000
"""`auto` compiles a program for runs of at least this many steps: compiling takes ten seconds."""

MANY_LAUNCHES = 10_000_000
"""On a GPU `auto` compiles a program for at least this many launches of kernels in all, each of which keeps the CPU
busy for some microseconds: an estimate, not measured here."""

SMALL_STEP = 20_000
"""`auto` compiles only steps of at most this many multiply-adds: in larger ones Python takes little of the time. The
rule looks at the experiment alone: a result depends neither on how many runs there are nor on what else goes on."""


@dataclass(frozen=True)
class Recording:
    """An experiment recorded, or the reason why it cannot be.

    Attributes:
        experiment: in its place.
        names: of the losses.
        program: None where it cannot be recorded.
        reason: why not, in words.
    """

    experiment: Experiment
    names: tuple[str, ...]
    program: Program | None
    reason: str | None = None


def record_experiment(
    experiment: Experiment,
    names: tuple[str, ...],
    origin: Origin,
    batch: Batch,
    own_batches: bool = False,
    arrays: bool = False,
) -> Recording:
    """Record an experiment where that can be done.

    Args:
        origin, batch: of one run.
        own_batches, arrays: as for `Program`.

    Raises:
        ConfigurationError: compiling was asked for, but the experiment cannot be recorded; or a method that tries
            points would compare the losses of different batches; or a step finds something else when made again.
    """
    if experiment.optimizer.tries_points and batch is not None:
        raise ConfigurationError(
            f"{type(experiment.optimizer).__name__} compares the loss at one step with that at the step before, but "
            f"{type(experiment.objective).__name__} draws another batch at each step, which changes it: set "
            "objective.batch_size=null for all data at every step, or choose another optimizer."
        )
    check_repeatable(experiment, names, origin, batch)
    reason = unrecordable(experiment)
    program = None
    if reason is None:
        try:
            with never_exits():
                program = Program(experiment, names, origin, batch, own_batches, arrays)
                check_faithful(program, origin, batch)
                find_hosted(program, origin, batch)
        except Untraceable as error:
            program, reason = None, f"its step cannot be recorded: {str(error).splitlines()[0]}"
        except Exception as error:  # a user's own code may raise anything where tensors stand for numbers
            if is_failure(error):
                raise
            text = (str(error).splitlines() or [""])[0]
            program, reason = None, f"its step cannot be recorded: {type(error).__name__}: {text}"
    if program is None and experiment.compile is True:
        raise ConfigurationError(f"compile is true, but {reason}; set compile=false.")
    return Recording(experiment, names, program, reason)


def unrecordable(experiment: Experiment) -> str | None:
    """Return which part of an experiment says of itself that it cannot be recorded, in words, or None."""
    for part in (experiment.objective, experiment.optimizer, experiment.aggregator):
        if not part.batchable:
            return f"{type(part).__name__} is not made of tensor operations alone"
    return None


def choose(
    recording: Recording,
    numbers: Sequence[Tensor],
    origin: Origin,
    stride: int = 1,
    threads: int = 1,
    name: str | None = None,
) -> Backend:
    """Return the backend of an experiment, at its start.

    Args:
        numbers: of the runs, as `GraphBackend` takes them.
        origin: where all runs begin, each tensor [runs, …].
        stride: every how many steps losses and metrics are recorded.
        threads: how many a kernel may use.
        name: of the backend, where runs go on that it began; None lets the experiment decide.

    Raises:
        ConfigurationError: compiling was asked for and cannot be done, or the backend named cannot be had.
    """
    if name is not None:
        return backend_named(recording, numbers, origin, stride, threads, name)
    experiment, program = recording.experiment, recording.program
    if program is None:
        return PythonBackend(experiment, recording.names, origin.of_run(0))
    for candidate in candidates(recording, origin):
        try:
            if candidate.name == KernelBackend.name:
                return KernelBackend(program, numbers, origin, stride, threads)
            if candidate.name == CompiledBackend.name:
                return CompiledBackend(program, numbers, origin)
        except Inseparable:
            pass
        except NoCompiler:
            if experiment.compile == "auto":
                return GraphBackend(program, numbers, origin)
            raise
        except CompileFailed as error:
            if experiment.compile != "auto":
                raise ConfigurationError(
                    f"compile is true, but a step of {type(experiment.objective).__name__} cannot be compiled: "
                    f"{error}; set compile=false."
                ) from error
    found = GraphBackend(program, numbers, origin)
    found.prepare()
    return found


@dataclass(frozen=True)
class Candidate:
    """A backend that can be taken: its name, and why it comes where it does."""

    name: str
    reason: str


def candidates(recording: Recording, origin: Origin) -> Iterator[Candidate]:
    """Yield the backends for an experiment, the best first; the next one is taken where that cannot be made."""
    experiment, program = recording.experiment, recording.program
    if program is None:
        yield Candidate(PythonBackend.name, str(recording.reason))
        return
    one = origin.of_run(0).params
    asked = "compile is true" if experiment.compile is True else f"there are {experiment.steps:,} steps"
    few = may_take(program) and all(x.device.type == "cpu" for x in origin.params.values())
    if few and compiles(experiment, one, LONG_RUN_OF_A_KERNEL):
        yield Candidate(KernelBackend.name, f"{asked}, each of a few numbers: all are made by a loop in C")
    if program_pays(experiment, program, one):
        yield Candidate(CompiledBackend.name, f"{asked}: they are worth the ten seconds that compiling takes")
    off = "compile is false" if experiment.compile is False else "compiling would take longer than it saves"
    yield Candidate(GraphBackend.name, f"{off}, so torch makes the recorded operations one by one")


def expected(recording: Recording, origin: Origin) -> Candidate:
    """Return the backend that `choose` will take where there are compilers, without compiling anything."""
    program = recording.program
    every = candidates(recording, origin)
    return next(x for x in every if x.name != KernelBackend.name or (program is not None and separable(program)))


def program_pays(experiment: Experiment, program: Program, params: Params) -> bool:
    """Return whether to compile a program of the steps: as the experiment says, or for `auto` where it wins.

    A step of many runs on a GPU takes as long as one of a single run: as long as starting its kernels does.
    """
    if experiment.compile == "auto" and is_gpu(next(iter(params.values())).device):
        return experiment.steps * launches(program) >= MANY_LAUNCHES
    return compiles(experiment, params, LONG_RUN)


def launches(program: Program) -> int:
    """Return how many operations of a step start a kernel: all but those that return a view of a tensor."""
    targets = [node.target for node in program.step(()).graph.graph.nodes if node.op == "call_function"]
    return sum(returns_new(target) for target in targets if isinstance(target, OpOverload))


def backend_named(
    recording: Recording, numbers: Sequence[Tensor], origin: Origin, stride: int, threads: int, name: str
) -> Backend:
    """Return the backend of this name, which began the runs: another would round differently."""
    compile = {"kernel": True, "compiled": True}.get(name, False)
    steps = {"kernel": LONG_RUN_OF_A_KERNEL, "compiled": LONG_RUN}.get(name, 0)
    asked = replace(recording.experiment, compile=compile, steps=max(recording.experiment.steps, steps))
    found = choose(replace(recording, experiment=asked), numbers, origin, stride, threads)
    if found.name != name:
        raise ConfigurationError(
            f"The run was made by the backend {name}, but here it would go on by {found.name}, which may round "
            "differently; go on where there is a compiler, or start the run again."
        )
    return found


def numbers_of_one(program: Program | None) -> list[Tensor]:
    """Return the numbers of the run that a program was recorded of, as a stack of one has them."""
    return [] if program is None else [x[None] for x in program.numbers.values()]


def compiles(experiment: Experiment, params: Params, long_run: int) -> bool:
    """Return whether to compile the steps: as the experiment says, or for `auto` where it wins over the whole run.

    Args:
        params: of one run.
        long_run: from how many steps on it wins.
    """
    if experiment.compile == "auto":
        return experiment.steps >= long_run and experiment.objective.batch_size * numel(params) <= SMALL_STEP
    return bool(experiment.compile)


def wide(columns: Sequence[float], device: torch.device) -> Tensor:
    """Return a number of many runs, [runs], in float64 as Python has it."""
    return torch.tensor(list(columns), dtype=torch.float64, device=device)
