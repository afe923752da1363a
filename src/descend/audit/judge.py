"""One function at one point: every route at every order, against what the derivative must be."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, fx

from descend.audit.arithmetic import Untranslated
from descend.audit.differences import finite_differences
from descend.audit.exact import numeric, symbolic
from descend.audit.interpreter import trace
from descend.audit.reference import Reference
from descend.audit.routes import NESTED_REVERSE, Route
from descend.audit.subspace import Function, Restricted
from descend.audit.verdict import Judged, Verdict
from descend.errors import ConfigurationError


def judge(function: Restricted, order: int, routes: Sequence[Route], by_design: bool = False) -> Iterator[Judged]:
    """Judge the derivatives of `function` at its origin of orders 1 … `order` by every route.

    The references are sympy's derivative and mpmath's differences, where the function can be translated, and finite
    differences of a derivative one order lower that was found right. The first of them to settle is believed, and
    the others are judged by it. By design, the reference is nested reverse mode.
    """
    at = function.origin
    graph = None if by_design else _traced(function, at)
    lower: Function | None = function
    for k in range(1, order + 1):
        references = _by_design(function, at, k) if by_design else _references(graph, lower, at, k)
        believed = next((each for each in references if each.settled.any()), None)
        for each in references:
            if each is not believed:
                yield _compare(each.name, k, False, each.low, _beside(each, believed))
        lower = None
        for route in routes:
            if route.applies(k):
                yield (found := _try(route, function, at, k, believed))
                if lower is None and found.verdict == Verdict.RIGHT:
                    lower = route.build(function, k)


def _beside(reference: Reference, believed: Reference | None) -> Reference | None:
    """What a reference is held to: at a kink each has a value of its own; elsewhere it may be off by its own error."""
    if believed is None or reference.at_kink:
        return None
    return replace(believed, error=believed.error + reference.error)


def _traced(function: Function, at: Tensor) -> fx.GraphModule | None:
    try:
        return trace(function, at)
    except Exception:  # then finite differences have to do
        return None


def _references(graph: fx.GraphModule | None, lower: Function | None, at: Tensor, order: int) -> list[Reference]:
    found = [] if graph is None else list(_exact(graph, at, order))
    return found if lower is None else [*found, finite_differences(lower, at)]


def _exact(graph: fx.GraphModule, at: Tensor, order: int) -> Iterator[Reference]:
    for exact in (symbolic, numeric):
        try:
            yield exact(graph, at, order)
        except (Untranslated, ArithmeticError, TypeError, ValueError, RuntimeError):
            continue  # not a function these numbers have, or not a derivative they can tell here


def _by_design(function: Restricted, at: Tensor, order: int) -> list[Reference]:
    value = NESTED_REVERSE.build(function, order)(at).detach()
    return [Reference(NESTED_REVERSE.name, value, value, torch.zeros_like(at))]


def _try(route: Route, function: Restricted, at: Tensor, order: int, believed: Reference | None) -> Judged:
    ours = route.is_ours(order)
    name = "" if believed is None else believed.name
    try:
        value = route.build(function, order)(at).detach()
    except ConfigurationError as refusal:
        return Judged(order, route.name, ours, Verdict.REFUSED, None, name, str(refusal))
    except Exception as error:  # whatever an audited function may raise is a finding, not a failure of the audit
        remark = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        return Judged(order, route.name, ours, Verdict.RAISES, None, name, remark)
    return _compare(route.name, order, ours, value, believed)


def _compare(route: str, order: int, ours: bool, value: Tensor, believed: Reference | None) -> Judged:
    if believed is None:
        return Judged(order, route, ours, Verdict.UNCHECKED, None, "")
    verdict = Verdict.RIGHT if believed.admits(value) else Verdict.WRONG
    return Judged(order, route, ours, verdict, believed.distance(value), believed.name)
