"""One function at one point: every route at every order, against what the derivative must be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx

from descend.audit.arithmetic import Untranslated
from descend.audit.differences import finite_differences
from descend.audit.exact import ThirtyDigits, symbolic, thirty_digits
from descend.audit.interpreter import forward_graph
from descend.audit.meaning import Meaning, meaning, nearby
from descend.audit.reference import COARSE, EPS, Reference, combined
from descend.audit.rounding import magnitude
from descend.audit.routes import NESTED_REVERSE, NotTaken, Route
from descend.audit.subspace import Function, Restricted
from descend.audit.transforms import nested_reverse
from descend.audit.verdict import TRUE, Judged, Mark
from descend.errors import ConfigurationError

DIGITS_AGREE = 1e-10
"""Share of the numbers that a value is summed from by which thirty digits of it may differ from torch's."""
CONTRADICTED = 1e-4
"""Share by which two references must differ before the exact one, of a trace, is given up for that of the values."""


@dataclass(frozen=True)
class Standard:
    """What the routes are held to at one order.

    Attributes:
        meaning: of the function.
        reference: its derivative, of every entry as far as known; None where nothing is.
        own: that of the function with nothing held constant, where that is another and is known.
        terms: the size of the numbers that each entry is summed from; None where not known.
        by_design: whether the reference is only what the routes are to agree with.
    """

    meaning: Meaning
    reference: Reference | None
    own: Reference | None = None
    terms: Tensor | None = None
    by_design: bool = False


def judge(
    function: Restricted,
    order: int,
    routes: Sequence[Route],
    by_design: bool = False,
    known: Meaning | None = None,
) -> Iterator[Judged]:
    """Judge the derivatives of `function` at its origin of orders 1 … `order` by every route.

    The references are sympy's derivative and mpmath's differences, where the function can be translated, and finite
    differences of a derivative one order lower that was found right. Of every entry the first of them to settle is
    believed, and the others are judged by it. By design, the reference is nested reverse mode.

    Args:
        known: what the derivatives are held to, where it was found out before.
    """
    told = meaning(function) if known is None else known
    at = function.origin
    graph = None if by_design else _faithful_trace(told)
    lower: Function | None = told.held
    terms: Tensor | None = told.terms
    for k in range(1, order + 1):
        references = _by_design(told, k) if by_design else _references(told, graph, lower, terms, k)
        graph = graph if any(each.name == "mpmath differences" or each.name == "sympy" for each in references) else None
        reference = combined(references)
        terms = _terms(told, k)
        held = Standard(told, reference, _own(told, k), None if by_design else terms, by_design)
        for each in references:
            if reference is not None and each.name != reference.name:
                yield _beside(each, held, k)
        lower = None
        for route in routes:
            if route.applies(k):
                yield (found := _try(route, at, k, held))
                if lower is None and found.error is not None and _true(found, told):
                    lower = None if told.held is None else _restricted(route, told, k)


def _true(found: Judged, told: Meaning) -> bool:
    return found.verdict in TRUE or (told.random and found.verdict == Mark.RANDOM)


def _restricted(route: Route, told: Meaning, order: int) -> Function:
    """A lower derivative for differences: by nested reverse mode where something is held constant, which can be."""
    if told.held is told.function:
        return route.build(told.function, order)
    assert told.held is not None
    return nested_reverse(told.held, order)


def _faithful_trace(told: Meaning) -> fx.GraphModule | None:
    """The traced function, if it is the function: numbers read out of tensors are constants in a trace."""
    if told.held is None:
        return None
    try:
        graph = forward_graph(told.held, told.function.origin)
    except Exception:  # then finite differences have to do
        return None
    return graph if told.same_as(graph) else None


def _references(
    told: Meaning, graph: fx.GraphModule | None, lower: Function | None, terms: Tensor | None, order: int
) -> list[Reference]:
    at = told.function.origin
    exact = [] if graph is None else list(_exact(told, graph, order))
    if lower is None:
        return exact
    try:
        differences = finite_differences(lower, at, terms, told.eps)
    except Exception:  # near the point the function, or its derivative, cannot be evaluated
        return exact
    return [*(each for each in exact if order > 1 or not _contradict(each, differences)), differences]


def _exact(told: Meaning, graph: fx.GraphModule, order: int) -> Iterator[Reference]:
    at = told.function.origin
    for exact in (symbolic, thirty_digits):
        try:
            if _digits_agree(told, graph):
                yield exact(graph, at, order)
        except (Untranslated, ArithmeticError, TypeError, ValueError, RuntimeError, AttributeError):
            continue  # not a function these numbers have, or not a derivative they can tell here


def _digits_agree(told: Meaning, graph: fx.GraphModule) -> bool:
    """Whether the function in thirty digits is the function, at the point and near it."""
    assert told.held is not None
    digits = ThirtyDigits(graph)
    for s in (told.function.origin, nearby(told.function.origin)[0]):
        value, precise = told.held(s.detach().requires_grad_()).detach().item(), float(digits.at(s))
        size = max(told.terms.abs().item(), abs(value))
        if not abs(value - precise) <= max(DIGITS_AGREE, COARSE * told.eps) * size:
            return False
    return True


def _contradict(exact: Reference, differences: Reference) -> bool:
    """Whether the derivative of the trace is not that of the values, which are the function itself."""
    apart = torch.relu(torch.maximum(exact.low - differences.high, differences.low - exact.high))
    size = torch.maximum(exact.size, differences.size)
    settled = exact.settled & differences.settled
    return bool((settled & (apart > CONTRADICTED * size + 100 * (exact.error + differences.error))).any())


def _terms(told: Meaning, order: int) -> Tensor | None:
    if told.held is None:
        return None
    try:
        return magnitude(nested_reverse(told.held, order), told.function.origin, told.share)
    except Exception:  # nested reverse mode raises: the routes say how
        return None


def _own(told: Meaning, order: int) -> Reference | None:
    """The derivative of the function with nothing held constant, to the first order."""
    if order > 1 or not told.places or told.held is told.function:
        return None
    try:
        return finite_differences(told.function, told.function.origin, told.terms, told.eps)
    except Exception:  # it cannot be evaluated near the point
        return None


def _by_design(told: Meaning, order: int) -> list[Reference]:
    try:
        value = nested_reverse(told.function, order)(told.function.origin).detach()
    except Exception:  # then there is nothing to agree with, and the routes say how they raise
        return []
    return [Reference(NESTED_REVERSE.name, value, value, torch.zeros_like(value), value.abs().max().item())]


def _beside(reference: Reference, held: Standard, order: int) -> Judged:
    """What a reference is held to: at a kink each has a value of its own; elsewhere it may be off by its own error."""
    assert held.reference is not None
    if reference.at_kink:
        return Judged(order, reference.name, False, Mark.UNCHECKED, None, "")
    less_certain = Standard(held.meaning, held.reference.less_certain(reference.error), None, held.terms)
    return _compare(Judged(order, reference.name, False, Mark.UNCHECKED, None, ""), reference.low, less_certain)


def _try(route: Route, at: Tensor, order: int, held: Standard) -> Judged:
    row = Judged(order, route.name, route.is_ours(order), Mark.UNCHECKED, None, "", "", route.otherwise, route.made_of)
    try:
        value = route.build(held.meaning.function, order)(at).detach()
    except NotTaken as reason:
        return _as(row, Mark.NOT_TAKEN, str(reason))
    except ConfigurationError as refusal:
        return _as(row, Mark.REFUSED, str(refusal))
    except Exception as error:  # whatever an audited function may raise is a finding, not a failure of the audit
        return _as(row, Mark.RAISES, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
    if held.meaning.random and (route.draws or held.meaning.held is None):
        return _as(row, Mark.RANDOM, "draws anew at every call" if route.draws else "")
    if route.mixes and held.reference is not None:
        greatest = torch.full_like(value, held.reference.greatest)
        held = replace(held, terms=greatest if held.terms is None else torch.maximum(held.terms, greatest))
    return _compare(row, value, held)


def _as(row: Judged, verdict: Mark, remark: str = "") -> Judged:
    return replace(row, verdict=verdict, remark=remark)


def _compare(row: Judged, value: Tensor, held: Standard) -> Judged:
    """Judge what a route gave, entry by entry."""
    reference, told = held.reference, held.meaning
    if reference is None or value.shape != reference.low.shape:
        return row if reference is None else _as(row, Mark.WRONG, f"of shape {list(value.shape)}")
    fine = reference.verify(value, held.terms)
    verdict, remark = Mark.RIGHT, ""
    if not fine.right.all():
        coarse = reference.verify(value, held.terms, told.eps)
        verdict = _verdict(coarse.wrong, coarse.unchecked, Mark.COARSE if told.eps > EPS else Mark.RIGHT)
        if verdict == Mark.UNCHECKED:
            remark = f"{int(coarse.unchecked.sum())} of {value.numel()} entries unchecked"
    if verdict == Mark.WRONG and held.own is not None and held.own.verify(value, held.terms, told.eps).right.all():
        own, remark = held.own.name, "holds nothing constant"
        return replace(row, verdict=Mark.RIGHT, error=0.0, believed=own, remark=remark)
    if verdict in TRUE:
        verdict = _qualified(verdict, value, held)
    return replace(row, verdict=verdict, error=fine.error, believed=reference.name, remark=remark)


def _verdict(wrong: Tensor, unchecked: Tensor, else_: Mark) -> Mark:
    return Mark.WRONG if wrong.any() else Mark.UNCHECKED if unchecked.any() else else_


def _qualified(verdict: Mark, value: Tensor, held: Standard) -> Mark:
    """Right in which sense."""
    told = held.meaning
    if held.by_design:
        return Mark.AGREES
    if told.random:
        return Mark.RANDOM
    if told.places and not (held.own is not None and held.own.verify(value, held.terms, told.eps).right.all()):
        return Mark.CONSTANTS
    return verdict
