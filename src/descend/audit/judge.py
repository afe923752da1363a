"""Judges one function at one point: every route at every order."""

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
"""How far a value in thirty digits may be from torch's, as a share of the numbers that it is summed from."""
CONTRADICTED = 1e-4
"""An exact reference, which is of a trace, is given up if it differs by this share from that of the values."""


@dataclass(frozen=True)
class Standard:
    """The standard by which routes are judged at one order.

    Attributes:
        meaning: the meaning of the function.
        reference: the right derivative, as far as its entries are known; None where none is.
        own: the derivative of the function with nothing held constant, where that differs and is known.
        terms: the size of the numbers that each entry is summed from; None where not known.
        by_design: whether routes only have to agree with the reference.
    """

    meaning: Meaning
    reference: Reference | None
    own: Reference | None = None
    terms: Tensor | None = None
    by_design: bool = False

    def admits_own(self, value: Tensor) -> bool:
        """Whether a value is right for the function with nothing held constant."""
        return self.own is not None and bool(self.own.verify(value, self.terms, self.meaning.eps).right.all())


def judge(
    function: Restricted,
    order: int,
    routes: Sequence[Route],
    by_design: bool = False,
    known: Meaning | None = None,
) -> Iterator[Judged]:
    """Judge the derivatives of `function` at its origin of orders 1 … `order` by every route.

    The references are sympy's derivative and mpmath's differences, where the function can be translated, and finite
    differences of a derivative one order lower that was found right. For every entry the first reference that settles
    is believed, and the others are judged by it. By design, the reference is nested reverse mode.

    Args:
        known: the meaning of the function, where it was found before.
    """
    audited = meaning(function) if known is None else known
    at = function.origin
    graph = None if by_design else _faithful_trace(audited)
    lower: Function | None = audited.target
    terms: Tensor | None = audited.terms
    for k in range(1, order + 1):
        references = _by_design(audited, k) if by_design else _references(audited, graph, lower, terms, k)
        graph = graph if any(each.name == "mpmath differences" or each.name == "sympy" for each in references) else None
        reference = combined(references)
        terms = _terms(audited, k)
        standard = Standard(audited, reference, _own(audited, k), None if by_design else terms, by_design)
        for each in references:
            if reference is not None and each.name != reference.name:
                yield _judge_reference(each, standard, k)
        lower = None
        for route in routes:
            if route.applies(k):
                yield (found := _try(route, at, k, standard))
                if lower is None and found.error is not None and _true(found, audited):
                    lower = None if audited.target is None else _restricted(route, audited, k)


def _true(found: Judged, audited: Meaning) -> bool:
    return found.verdict in TRUE or (audited.random and found.verdict == Mark.RANDOM)


def _restricted(route: Route, audited: Meaning, order: int) -> Function:
    """A lower derivative for differences; where something is constant, by nested reverse mode, which keeps it."""
    if audited.target is audited.function:
        return route.build(audited.function, order)
    assert audited.target is not None
    return nested_reverse(audited.target, order)


def _faithful_trace(audited: Meaning) -> fx.GraphModule | None:
    """The traced function; None where it is another function: numbers read out of tensors are constants in a trace."""
    if audited.target is None:
        return None
    try:
        graph = forward_graph(audited.target, audited.function.origin)
    except Exception:  # then only finite differences are left
        return None
    return graph if audited.same_as(graph) else None


def _references(
    audited: Meaning, graph: fx.GraphModule | None, lower: Function | None, terms: Tensor | None, order: int
) -> list[Reference]:
    at = audited.function.origin
    exact = [] if graph is None else list(_exact(audited, graph, order))
    if lower is None:
        return exact
    try:
        differences = finite_differences(lower, at, terms, audited.eps)
    except Exception:  # near the point the function, or its derivative, cannot be evaluated
        return exact
    return [*(each for each in exact if order > 1 or not _contradict(each, differences)), differences]


def _exact(audited: Meaning, graph: fx.GraphModule, order: int) -> Iterator[Reference]:
    at = audited.function.origin
    for exact in (symbolic, thirty_digits):
        try:
            if _digits_agree(audited, graph):
                yield exact(graph, at, order)
        except (Untranslated, ArithmeticError, TypeError, ValueError, RuntimeError, AttributeError):
            continue  # these numbers lack the function, or cannot tell its derivative here


def _digits_agree(audited: Meaning, graph: fx.GraphModule) -> bool:
    """Whether the function in thirty digits is the function, at the point and near it."""
    assert audited.target is not None
    digits = ThirtyDigits(graph)
    for s in (audited.function.origin, nearby(audited.function.origin)[0]):
        value, precise = audited.target(s.detach().requires_grad_()).detach().item(), float(digits.at(s))
        size = max(audited.terms.abs().item(), abs(value))
        if not abs(value - precise) <= max(DIGITS_AGREE, COARSE * audited.eps) * size:
            return False
    return True


def _contradict(exact: Reference, differences: Reference) -> bool:
    """Whether the derivative of the trace differs from that of the values, which are the function itself."""
    apart = torch.relu(torch.maximum(exact.low - differences.high, differences.low - exact.high))
    size = torch.maximum(exact.size, differences.size)
    settled = exact.settled & differences.settled
    return bool((settled & (apart > CONTRADICTED * size + 100 * (exact.error + differences.error))).any())


def _terms(audited: Meaning, order: int) -> Tensor | None:
    if audited.target is None:
        return None
    try:
        return magnitude(nested_reverse(audited.target, order), audited.function.origin, audited.share)
    except Exception:  # nested reverse mode raises: the routes say how
        return None


def _own(audited: Meaning, order: int) -> Reference | None:
    """The derivative of the function with nothing held constant, to the first order."""
    if order > 1 or not audited.places or audited.target is audited.function:
        return None
    try:
        return finite_differences(audited.function, audited.function.origin, audited.terms, audited.eps)
    except Exception:  # it cannot be evaluated near the point
        return None


def _by_design(audited: Meaning, order: int) -> list[Reference]:
    try:
        value = nested_reverse(audited.function, order)(audited.function.origin).detach()
    except Exception:  # then there is nothing to agree with, and the routes say how they raise
        return []
    return [Reference(NESTED_REVERSE.name, value, value, torch.zeros_like(value), value.abs().max().item())]


def _judge_reference(reference: Reference, standard: Standard, order: int) -> Judged:
    """Judge another reference: at a kink each has a value of its own; elsewhere it may be off by its own error."""
    assert standard.reference is not None
    if reference.at_kink:
        return Judged(order, reference.name, False, Mark.UNCHECKED, None, "")
    less_certain = Standard(standard.meaning, standard.reference.less_certain(reference.error), None, standard.terms)
    return _compare(Judged(order, reference.name, False, Mark.UNCHECKED, None, ""), reference.low, less_certain)


def _try(route: Route, at: Tensor, order: int, standard: Standard) -> Judged:
    row = Judged(order, route.name, route.is_ours(order), Mark.UNCHECKED, None, "", "", route.otherwise, route.made_of)
    try:
        value = route.build(standard.meaning.function, order)(at).detach()
    except NotTaken as reason:
        return _with_verdict(row, Mark.NOT_TAKEN, str(reason))
    except ConfigurationError as refusal:
        return _with_verdict(row, Mark.REFUSED, str(refusal))
    except Exception as error:  # whatever an audited function may raise is a finding, not a failure of the audit
        return _with_verdict(row, Mark.RAISES, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
    if standard.meaning.random and (route.draws or standard.meaning.target is None):
        return _with_verdict(row, Mark.RANDOM, "draws anew at every call" if route.draws else "")
    if route.mixes and standard.reference is not None:
        greatest = torch.full_like(value, standard.reference.greatest)
        standard = replace(
            standard, terms=greatest if standard.terms is None else torch.maximum(standard.terms, greatest)
        )
    return _compare(row, value, standard)


def _with_verdict(row: Judged, verdict: Mark, remark: str = "") -> Judged:
    return replace(row, verdict=verdict, remark=remark)


def _compare(row: Judged, value: Tensor, standard: Standard) -> Judged:
    """Judge the result of a route, entry by entry."""
    reference, audited = standard.reference, standard.meaning
    if reference is None or value.shape != reference.low.shape:
        return row if reference is None else _with_verdict(row, Mark.WRONG, f"of shape {list(value.shape)}")
    fine = reference.verify(value, standard.terms)
    verdict, remark = Mark.RIGHT, ""
    if not fine.right.all():
        coarse = reference.verify(value, standard.terms, audited.eps)
        verdict = _verdict(coarse.wrong, coarse.unchecked, Mark.COARSE if audited.eps > EPS else Mark.RIGHT)
        if verdict == Mark.UNCHECKED:
            remark = f"{int(coarse.unchecked.sum())} of {value.numel()} entries unchecked"
    if verdict == Mark.WRONG and standard.own is not None and standard.admits_own(value):
        own, remark = standard.own.name, "holds nothing constant"
        return replace(row, verdict=Mark.RIGHT, error=0.0, believed=own, remark=remark)
    if verdict in TRUE:
        verdict = _qualified(verdict, value, standard)
    return replace(row, verdict=verdict, error=fine.error, believed=reference.name, remark=remark)


def _verdict(wrong: Tensor, unchecked: Tensor, else_: Mark) -> Mark:
    return Mark.WRONG if wrong.any() else Mark.UNCHECKED if unchecked.any() else else_


def _qualified(verdict: Mark, value: Tensor, standard: Standard) -> Mark:
    """Say in which sense a right result is right."""
    audited = standard.meaning
    if standard.by_design:
        return Mark.AGREES
    if audited.random:
        return Mark.RANDOM
    if audited.places and not standard.admits_own(value):
        return Mark.CONSTANTS
    return verdict
