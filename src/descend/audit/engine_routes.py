"""The routes of the engine itself: the functions that take the steps of a run, called on the audited function.

The first derivative is the gradient that a step uses; the second is the Hessian, as optimizers and metrics ask for it
within a step. In a stack of runs, and among a kernel's runs, the first is at the point and its neighbours are at other
points, so that a rule that mixes runs is found too.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule

from descend.audit.routes import UNCOMPILED, NotTaken, Route
from descend.audit.subspace import Function, Restricted
from descend.derivatives.flat import ravel
from descend.derivatives.hessian import hessian
from descend.engine.backends.c_program import CProgram, NoCompiler
from descend.engine.backends.kernel import lanes_for
from descend.engine.backends.proof import agree
from descend.engine.backends.source import KernelStep
from descend.engine.backends.stacked import Stacked, laid
from descend.engine.losses import Evaluation, LossGradients
from descend.engine.program import MOST_ENTRIES_LAST, Recorded
from descend.graph.chance import draws
from descend.graph.code import python_function
from descend.graph.compat import compiler, lowerer
from descend.graph.entries import MOST_ENTRIES, Inseparable, small
from descend.graph.simplify import simplified
from descend.graph.stack import runs_last, stacked
from descend.graph.trace import tensors
from descend.objectives.objective import Objective
from descend.types import Batch, Loss, Losses, Params

PYTHON = "run by the python backend"
STRAYED = "its values pass through NumPy or Python, or chance, where recording cannot follow"
BY_GRAPH = "run by the graph backend"

NEIGHBOURS = ((1.0625, 0.03125), (0.9375, -0.03125))
"""The other two runs of a stack: their parameters are multiplied by the first number, and moved by the second."""

Derivative = Callable[[Params], Params]


@dataclass(frozen=True)
class AuditedObjective(Objective):
    """The audited function as an objective of one loss."""

    loss: Loss

    def init(self, generator: torch.Generator) -> Params:
        """Never called: an audit chooses its own points."""
        raise NotImplementedError

    def losses(self, params: Params, batch: Batch) -> Losses:
        """The function alone."""
        return {"loss": self.loss(params)}


def gradients_of(function: Restricted, params: Params) -> LossGradients:
    """Return the losses of the audited function, with their gradients, as a training step computes them."""
    evaluation = Evaluation(AuditedObjective(function.loss), training=True)
    return LossGradients.of(evaluation, params)[0]


@dataclass(frozen=True)
class EngineDerivative:
    """A derivative as the engine computes it.

    Attributes:
        of: parameters -> the derivative there.
        at: the parameters.
        along: the derivative -> the tensor [d, …, d] that an audit compares.
    """

    of: Derivative
    at: Params
    along: Callable[[Params], Tensor]


def _engine_derivative(function: Restricted, order: int, s: Tensor) -> EngineDerivative:
    """The training gradient of all parameters, or the Hessian in s."""
    if order == 1:

        def gradient(params: Params) -> Params:
            found = gradients_of(function, params)
            return found.combined(torch.ones_like(found.values))

        return EngineDerivative(gradient, function.at(s.detach()), lambda found: ravel(found) @ function.columns)

    def second(params: Params) -> Params:
        return {"hessian": hessian(lambda inner: function(inner["s"]), params)}

    return EngineDerivative(second, {"s": s.detach()}, lambda found: found["hessian"])


def _neighbours(params: Params) -> list[Params]:
    """The points of the other runs."""
    return [{name: x * scale + shift for name, x in params.items()} for scale, shift in NEIGHBOURS]


def _recorded(asked: EngineDerivative, with_params: bool = False) -> Recorded:
    """The derivative as a graph, as the engine records its steps.

    Args:
        with_params: whether the parameters are to be returned before it.

    Raises:
        NotTaken: it cannot be recorded.
    """
    asked.of(asked.at)  # if the function itself raises, the recording is not at fault

    def both(params: Params) -> tuple[Params, Params]:
        return params, asked.of(params)

    try:
        recorded = Recorded(both if with_params else asked.of, (asked.at,), [True] * len(asked.at))
    except Exception as error:  # the engine falls back to Python, too, whatever was raised
        raise NotTaken(f"cannot be recorded: {_first_line(error)}; {PYTHON}") from error
    _require_followed(asked, recorded, len(asked.at) if with_params else 0)
    return recorded


def _first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def _require_followed(asked: EngineDerivative, recorded: Recorded, first: int) -> None:
    """Refuse a graph that holds constant what the function computes anew, as the engine does.

    It shows where graph and derivative differ at a second point. A graph that is wrong at the first point already is
    not
    refused: the audit must find it.
    """
    nodes = recorded.graph.graph.nodes
    if any(draws(node.target, node.args, node.kwargs) for node in nodes):
        raise NotTaken(f"{STRAYED}; {PYTHON}")
    moved, run = _neighbours(asked.at)[0], python_function(recorded.graph)
    try:
        right, right_there = tensors(asked.of(asked.at)), tensors(asked.of(moved))
    except Exception as error:  # a function may raise anything where it was not asked to go
        raise NotTaken(f"raised {type(error).__name__} at a second point; {PYTHON}") from error
    with torch.no_grad():
        here, there = run(*asked.at.values())[first:], run(*moved.values())[first:]
    exact = all(map(agree, here, right, here))
    if exact and not all(map(agree, there, right_there, right)):
        raise NotTaken(f"{STRAYED}; {PYTHON}")


def _training(function: Restricted, order: int) -> Function:
    def derivative(s: Tensor) -> Tensor:
        asked = _engine_derivative(function, order, s)
        return asked.along(asked.of(asked.at))

    return derivative


def _jacobian(function: Restricted, order: int) -> Function:
    """The row that aggregators and metrics see."""

    def derivative(s: Tensor) -> Tensor:
        found = gradients_of(function, function.at(s.detach()))
        return found.jacobian()[0] @ function.columns

    return derivative


def _graph(function: Restricted, order: int) -> Function:
    def derivative(s: Tensor) -> Tensor:
        asked = _engine_derivative(function, order, s)
        recorded = _recorded(asked)
        with torch.no_grad():
            return asked.along(recorded.tree(python_function(recorded.graph)(*asked.at.values())))

    return derivative


def _columns(params: Params) -> list[Tensor]:
    """The parameters of all runs, [runs, …] each, those of the audited point first."""
    return [torch.stack(own) for own in zip(*(each.values() for each in (params, *_neighbours(params))), strict=True)]


def _stacked(last: bool) -> Callable[[Restricted, int], Function]:
    """The graph made for several runs, whose axis stands last or first."""

    def build(function: Restricted, order: int) -> Function:
        def derivative(s: Tensor) -> Tensor:
            asked = _engine_derivative(function, order, s)
            recorded = _recorded(asked)
            if last and not runs_last(recorded.graph, MOST_ENTRIES_LAST):
                raise NotTaken(f"the run axis stands first where a tensor has more than {MOST_ENTRIES_LAST} entries")
            given = [laid(x, last) for x in _columns(asked.at)]
            found = Stacked(recorded, last, given, 0).call(*given)
            first = [
                x.select(-1 if last else 0, 0) if own else x for x, own in zip(found, recorded.output, strict=True)
            ]
            return asked.along(recorded.tree(first))

        return derivative

    return build


def _kernel(function: Restricted, order: int) -> Function:
    """The graph as a program in C: a step that leaves the parameters as they are, and records the derivative."""

    def derivative(s: Tensor) -> Tensor:
        asked = _engine_derivative(function, order, s)
        recorded = _recorded(asked, with_params=True)
        if not small(recorded.graph):
            raise NotTaken(f"a kernel is for tensors of at most {MOST_ENTRIES} entries; {BY_GRAPH}")
        columns = [laid(x, last=True) for x in _columns(asked.at)]
        wanted = list(range(len(asked.at), len(recorded.output)))
        runs = columns[0].shape[-1]
        try:
            program = CProgram(KernelStep(recorded.graph, recorded.differs, 0, wanted, [], lanes_for(runs)))
        except Inseparable as error:
            raise NotTaken(f"more than arithmetic between entries: {_first_line(error)}; {BY_GRAPH}") from error
        except NoCompiler as error:
            raise NotTaken(f"no C compiler here; {BY_GRAPH}") from error
        _, rows, _, _ = program.advance(columns, 1, [True], runs, 1)
        _, found = recorded.tree([*asked.at.values(), *(x[0, ..., 0] for x in rows)])
        return asked.along(found)

    return derivative


def _compiled(backend: str) -> Callable[[Restricted, int], Function]:
    """The program that the engine compiles: of the graph of one run, or of a stack where the run axis stands last."""

    def build(function: Restricted, order: int) -> Function:
        def derivative(s: Tensor) -> Tensor:
            asked = _engine_derivative(function, order, s)
            recorded, given = _recorded(asked), list(asked.at.values())
            graph, marks = recorded.graph, [False] * len(recorded.output)
            if runs_last(graph, MOST_ENTRIES_LAST):
                given, marks = [laid(x, last=True) for x in _columns(asked.at)], recorded.output
                graph = simplified(stacked(graph, recorded.differs, given, last=True))
            with torch.no_grad():
                found = _program(graph, given, backend)(*given)
            return asked.along(recorded.tree([x[..., 0] if own else x for x, own in zip(found, marks, strict=True)]))

        return derivative

    return build


def _program(graph: GraphModule, given: list[Tensor], backend: str) -> Callable[..., list[Tensor]]:
    """A graph compiled as the engine compiles it, without dynamo; another backend writes no code."""
    prepare = compiler() if backend == "inductor" else lowerer()
    return prepare(GraphModule(graph, graph.graph), list(given))


TRAINING = Route("descend.engine: training gradient", _training, (1, 1), (1, 1))
JACOBIAN = Route("descend.engine: Jacobian of the losses", _jacobian, (1, 1), (1, 1))
GRAPH = Route(
    "descend.engine: recorded graph", _graph, (1, 2), (1, 2), made_of=(TRAINING.name, "descend.derivatives.hessian")
)
RUNS_FIRST = Route("descend.engine: stack, runs first", _stacked(False), (1, 2), (1, 2), made_of=(GRAPH.name,))
RUNS_LAST = Route("descend.engine: stack, runs last", _stacked(True), (1, 2), (1, 2), made_of=(GRAPH.name,))
KERNEL = Route("descend.engine: C kernel", _kernel, (1, 1), (1, 1), made_of=(GRAPH.name,))

ENGINE = (TRAINING, JACOBIAN, GRAPH, RUNS_FIRST, RUNS_LAST)


def compiling_routes(backend: str | None) -> tuple[Route, ...]:
    """The engine's routes that need a compiler, tried at one point only: the kernel, and with a backend a program."""
    compiled = "" if backend is None else backend
    program = Route(
        "descend.engine: compiled graph", _compiled(compiled), (1, 1), (1, 1), UNCOMPILED, made_of=(GRAPH.name,)
    )
    return (KERNEL,) if backend is None else (KERNEL, program)
