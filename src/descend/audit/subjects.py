"""The subjects of an audit: an op or an objective, as a scalar function of parameters, and points to audit it at."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.audit.audit import audit
from descend.audit.report import AuditReport
from descend.audit.uses import uses
from descend.graph.compat import pytree
from descend.objectives.objective import Objective
from descend.ops.op import Op
from descend.types import Batch, Loss, Params

MOST_KINKS = 3
"""Kinks audited of one op; those of a loop are all alike."""
EXAMPLES = 4
"""Examples that an objective on data is audited with: few, so that points between the kinks of a network are found."""


@dataclass(frozen=True)
class Subject:
    """A function to audit.

    Attributes:
        name: as on the command line.
        function: a scalar function of the parameters.
        points: float64 parameters to audit it at.
        by_design: why autograd's derivative differs from the function's own on purpose, if it does.
    """

    name: str
    function: Loss
    points: list[Params]
    by_design: str | None

    def audited(self, order: int, generator: torch.Generator, backend: str | None) -> AuditReport:
        """The report on every route to its derivatives; see `audit`."""
        return audit(self.function, self.points, order, generator=generator, backend=backend, by_design=self.by_design)


def op_subject(name: str, op: Op, generator: torch.Generator) -> Subject:
    """An op at drawn points, the edges of its domain, and its kinks."""
    return Subject(name, through_op(op), op_points(op, generator), op.declines_gradcheck)


def objective_subject(name: str, objective: Objective, op: Op, generator: torch.Generator) -> Subject:
    """An objective at its start and near it, on a few examples of its data; `op` is the op that it may go through."""
    moved = objective.to(torch.float64, generator.device)
    start = {key: x.to(torch.float64) for key, x in moved.init(generator).items()}
    function = objective_loss(moved, first_examples(next(iter(moved.batches(generator)))))
    of_the_op = uses(through_op(op), op_points(op, generator)[0]).functions
    through = set(of_the_op) & set(uses(function, start).functions)
    return Subject(name, function, [start, near(start, generator)], op.declines_gradcheck if through else None)


def through_op(op: Op) -> Loss:
    """x [n] ↦ t + t²/2 with t a weighted sum of op(x): its derivatives need the op's, and its Hessian is dense."""

    def loss(params: Params) -> Tensor:
        y = op(params["x"])
        weights = torch.linspace(0.5, 1.5, len(y), dtype=y.dtype, device=y.device)
        total = torch.dot(weights, y)
        return total + total * total / 2

    return loss


def op_points(op: Op, generator: torch.Generator) -> list[Params]:
    """Float64 x [3]: two points drawn from the op's domain, its edges, and kinks beside two drawn numbers."""
    low, high = op.domain
    kinks = [float(kink) for kink in op.kinks if low < kink < high][:MOST_KINKS]

    def draw(count: int) -> Tensor:
        unit = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
        return low + (high - low) * unit

    edges = torch.tensor([low, (low + high) / 2 + 0.1, high], dtype=torch.float64, device=generator.device)
    beside = [torch.cat([draw(2), torch.full_like(edges[:1], kink)]) for kink in kinks]
    return [{"x": x} for x in (draw(3), draw(3), edges, *beside)]


def objective_loss(objective: Objective, batch: Batch = None) -> Loss:
    """The sum of an objective's losses on one batch, or on the whole data."""
    return lambda params: torch.stack(list(objective.losses(params, batch).values())).sum()


def first_examples(batch: Batch) -> Batch:
    """The first examples of a batch."""
    return pytree.tree_map(lambda x: x[:EXAMPLES] if isinstance(x, Tensor) and x.ndim else x, batch)


def near(params: Params, generator: torch.Generator) -> Params:
    """Each number moved by a tenth of a standard normal draw."""

    def moved(value: Tensor) -> Tensor:
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=value.device)
        return value + 0.1 * noise

    return {name: moved(value) for name, value in params.items()}
