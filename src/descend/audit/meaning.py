"""Decides by which function derivatives are judged: by the function itself, or with some of its parts held constant."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from descend.audit.chance import drawn_alike, repeatable
from descend.audit.constants import WithConstants
from descend.audit.reference import COARSE, EPS
from descend.audit.rounding import SHARE, magnitude
from descend.audit.subspace import Function, Restricted
from descend.graph.recorder import VALUE, Value, record

SAME = 100
"""Two computations of one function may differ by this many rounding errors of the numbers that they sum."""
NEARBY = (0.03, 0.3)
"""Distances from the point at which two functions are compared: near, where both are likely defined, and farther."""


@dataclass(frozen=True)
class Meaning:
    """A function at a point, and the function whose derivatives are the right ones there.

    Attributes:
        function: as the routes take it; a function that draws random numbers has the same draws at every call.
        target: the function whose derivatives are right; None where it cannot be told.
        random: whether the function as given changes from call to call.
        places: where the constants lie that its value depends on.
        without_grad: whether some of these are constant by no_grad.
        eps: the coarsest precision that it goes through.
        terms: the size of the numbers that its value is summed from.
        sentences: what a reader should know about it.
    """

    function: Restricted
    target: Function | None
    random: bool
    places: tuple[str, ...]
    without_grad: bool
    eps: float
    terms: Tensor
    sentences: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share by which results are moved, to find the size of the numbers that they are summed from."""
        return max(SHARE, 2 * COARSE * self.eps)

    def same_as(self, other: Function) -> bool:
        """Whether `other` is the target function, at the point and near it."""
        return self.target is not None and agree_near(self.target, other, self.function.origin, self.terms, self.eps)


def meaning(function: Restricted) -> Meaning:
    """Find the function whose derivatives at the origin of `function` are the right ones."""
    at, random = function.origin, False
    if not repeatable(function, at):
        function, random = replace(function, loss=drawn_alike(function.loss)), True
        if not repeatable(function, at):
            return _unsteady(function)
    eps = coarsest(function, at)
    terms = magnitude(lambda s: function(s.detach().requires_grad_()), at, max(SHARE, 2 * COARSE * eps))
    sentences = [_RANDOM] if random else []
    target: Function | None = function
    kept = WithConstants(function, at)
    places, without_grad = kept.places, kept.without_grad
    if places and not agree_near(function, kept, at, terms, eps):
        target = kept if _holds(kept, at) else None
        sentences.append(_constant(places) if target else _UNHELD)
    else:
        places = ()
    if eps > EPS:
        sentences.append(
            f"It goes through a precision of {eps:.0e}, and its derivatives are held to {COARSE * eps:.0e} where they "
            "are not better."
        )
    return Meaning(function, target, random, places, without_grad and bool(places), eps, terms, tuple(sentences))


_RANDOM = (
    "Its value changes from call to call, so it has no derivative of its own; its routes are judged on one draw, the "
    "same for all."
)
_UNSTEADY = (
    "Its value changes from call to call, even where torch, NumPy and Python draw the same random numbers: there is "
    "nothing to hold a derivative to. Draw from torch's global generator, or pass what changes as a parameter."
)
_UNHELD = (
    "It detaches other tensors at other points, so that it cannot be told what its derivative is; take detach and "
    "no_grad out of branches."
)


def _unsteady(function: Restricted) -> Meaning:
    nothing = torch.zeros((), dtype=torch.float64, device=function.columns.device)
    return Meaning(function, None, True, (), False, EPS, nothing, (_UNSTEADY,))


def _constant(places: tuple[str, ...]) -> str:
    return (
        f"Its value depends on what it holds constant ({'; '.join(filter(None, places)) or 'by detach or no_grad'}): "
        "its derivatives are held to those of the function in which that is a constant, which autograd takes."
    )


def _holds(kept: WithConstants, at: Tensor) -> bool:
    try:
        return all(kept(s).shape == () for s in nearby(at))
    except Exception:  # a user's function may raise anything where a constant does not fit
        return False


def nearby(at: Tensor) -> list[Tensor]:
    """Points near `at` [d], in no special position."""
    generator = torch.Generator().manual_seed(0)
    moves = [torch.rand(at.shape, generator=generator, dtype=torch.float64) for _ in NEARBY]
    return [at + far * (0.5 + move).to(at) for far, move in zip(NEARBY, moves, strict=True)]


def agree_near(one: Callable, other: Callable, at: Tensor, terms: Tensor, eps: float = EPS) -> bool:
    """Whether two scalar functions agree at `at` and near it, to rounding; False where one of them raises."""
    for s in (at, *nearby(at)):
        try:
            first, second = (f(s.detach().requires_grad_()).detach().item() for f in (one, other))
        except Exception:  # one of them cannot be evaluated here: then they are not the same
            return False
        size = max(terms.abs().item(), abs(first))
        if abs(first - second) > SAME * eps * size:
            return False
    return True


def coarsest(function: Function, at: Tensor) -> float:
    """The rounding of the coarsest floating-point type between the point and the function's value."""
    try:
        graph = record(lambda s: [function(s)], [at.detach().requires_grad_()])
    except Exception:  # a function that cannot be recorded is assumed to compute in float64
        return EPS
    return max([EPS, *(torch.finfo(dtype).eps for dtype in _dependent(graph))])


def _dependent(graph: GraphModule) -> set[torch.dtype]:
    """The floating-point types of the values that depend on the graph's input and that its output needs."""
    dependent: set[Node] = set()
    found = set()
    for node in graph.graph.nodes:
        if node.op == "placeholder" or any(each in dependent for each in node.all_input_nodes):
            dependent.add(node)
            value = node.meta.get(VALUE)
            if isinstance(value, Value) and value.dtype.is_floating_point:
                found.add(value.dtype)
    return found
