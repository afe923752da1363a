"""The known faults in this version of torch, as text and as JSON, so that two versions can be compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from descend.audit.known_faults import KNOWN_FAULTS, KnownFault
from descend.audit.subspace import Function
from descend.audit.verdict import Judged

CONVENTIONS: dict[str, tuple[Function, float]] = {
    "relu at 0": (torch.relu, 0.0),
    "abs at 0": (torch.abs, 0.0),
    "clamp to [-1, 1] at -1": (lambda x: x.clamp(-1, 1), -1.0),
    "clamp to [-1, 1] at 1": (lambda x: x.clamp(-1, 1), 1.0),
    "hardtanh at 1": (torch.nn.functional.hardtanh, 1.0),
    "maximum(x, 0) at 0": (lambda x: torch.maximum(x, torch.zeros_like(x)), 0.0),
    "norm at 0": (lambda x: torch.linalg.vector_norm(x), 0.0),
    "sqrt(x²) at 0": (lambda x: (x * x).sqrt(), 0.0),
}
"""By name, a function and a point where it has no derivative, so that torch chooses one (clamp's choice is to change in
2.14, pytorch#195931)."""


@dataclass(frozen=True)
class Examined:
    """A known fault, and the verdicts on its example in this version of torch.

    Attributes:
        operator: the operator that the example is of.
        routes: the verdict on each route that the fault names.
    """

    fault: KnownFault
    operator: str
    routes: list[Judged]

    @property
    def still_there(self) -> bool:
        """Whether the fault still explains the verdict on a route."""
        return any(self.fault.explains(each) for each in self.routes)

    def __str__(self) -> str:
        state = "still there" if self.still_there else "MENDED by torch"
        return f"{state}, shown by {self.operator}: {self.fault}"

    def as_json(self) -> dict[str, Any]:
        """The fault, its source, and verdict and error by route."""
        return {
            "operator": self.operator,
            "order": self.fault.order,
            "effect": self.fault.effect,
            "source": self.fault.source,
            "there": self.still_there,
            "routes": {each.route: each_as_json(each) for each in self.routes},
        }


def each_as_json(row: Judged) -> dict[str, Any]:
    """Verdict, error (null where there is none, or it is not finite) and remark of a route."""
    error = row.error if row.error is not None and row.error < float("inf") else None
    return {"verdict": str(row.verdict), "error": error, "remark": row.remark}


def found() -> Iterator[Examined]:
    """Every known fault, by each of its examples, as it is in this version of torch."""
    for fault in KNOWN_FAULTS:
        for operator in fault.examples:
            yield Examined(fault, operator, fault.reproduce(operator))


def conventions() -> dict[str, float | None]:
    """The first derivative that torch chooses where there is none; None for NaN."""
    chosen: dict[str, float | None] = {}
    for name, (function, at) in CONVENTIONS.items():
        x = torch.tensor([at], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(function(x).sum(), x)
        chosen[name] = slope.item() if slope.isfinite() else None
    return chosen
