"""Tells right derivatives from wrong ones: every order, by every route, against references that use no autograd."""

from collections.abc import Sequence

import torch

from descend.audit.custom_functions import shortcoming
from descend.audit.engine_routes import ENGINE, compiling_routes
from descend.audit.judge import judge
from descend.audit.known_faults import faults_in
from descend.audit.meaning import meaning
from descend.audit.report import AuditReport
from descend.audit.routes import EAGER, NESTED_REVERSE, traced_routes
from descend.audit.subspace import Restricted, orthonormal
from descend.audit.uses import Uses, uses
from descend.audit.verdict import Judged
from descend.errors import ConfigurationError
from descend.types import Loss, Params

SUBSPACE = 3
"""Directions in which a larger function is audited: enough for an asymmetric Hessian to show."""


def audit(
    function: Loss,
    points: Sequence[Params],
    order: int = 2,
    *,
    generator: torch.Generator,
    backend: str | None = "inductor",
    by_design: str | None = None,
) -> AuditReport:
    """Compute the derivatives of `function` of orders 1 … `order` at each point by every route, and judge them.

    A function of more than three numbers is audited along three random directions, the same at every point.

    Args:
        function: a scalar function of the parameters.
        points: float64 parameters, all with the same names and shapes.
        order: the highest order, ≥ 1.
        generator: draws the directions.
        backend: of `torch.compile`, whose routes are tried at the first point; None leaves them out.
        by_design: why autograd's derivative differs from the function's own on purpose, if it does: the routes then
            only have to agree with nested reverse mode.

    Raises:
        ConfigurationError: for an order below 1, no points, and parameters that are not float64.
    """
    _check(points, order)
    columns = orthonormal(points[0], SUBSPACE, generator)
    used = uses(function, points[0])
    judged: list[Judged] = []
    told: list[str] = []
    for index, point in enumerate(points):
        everywhere = (*EAGER, *ENGINE)
        routes = everywhere if index else (*everywhere, *compiling_routes(backend), *traced_routes(backend))
        restricted = Restricted(function, point, columns)
        known = meaning(restricted)
        told += known.sentences
        judged += judge(restricted, order, routes, by_design is not None, known)
    return AuditReport.of(judged, faults_in(used), _remarks(used, by_design, told))


def _remarks(used: Uses, by_design: str | None, told: Sequence[str]) -> list[str]:
    held = f"{by_design} The routes are held to agree with {NESTED_REVERSE.name} alone."
    shortcomings = [shortcoming(function) for function in used.functions]
    return [sentence for sentence in (held if by_design else "", *dict.fromkeys(told), *shortcomings) if sentence]


def _check(points: Sequence[Params], order: int) -> None:
    if order < 1:
        raise ConfigurationError(f"An audit to order {order} was asked for. Give an order of 1 or more.")
    if not points:
        raise ConfigurationError("An audit needs at least one point to compute derivatives at. Give some.")
    for point in points:
        for name, value in point.items():
            if value.dtype != torch.float64:
                raise ConfigurationError(
                    f"Parameter '{name}' has dtype {value.dtype}, and derivatives are judged to 9 digits, which only "
                    "float64 has. Convert the parameters (and the data of the function) to float64."
                )
