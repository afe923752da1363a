"""What is audited: an op or an objective, as a scalar function of parameters, and the points to audit it at."""

import torch
from torch import Tensor

from descend.objectives.objective import Objective
from descend.ops.op import Op
from descend.types import Batch, Loss, Params

MOST_KINKS = 3
"""Kinks audited of one op; those of a loop are all alike."""


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


def objective_points(objective: Objective, generator: torch.Generator, count: int = 2) -> list[Params]:
    """The start, and `count` − 1 points near it: each number moved by a tenth of a standard normal draw."""
    start = objective.init(generator)

    def near(value: Tensor) -> Tensor:
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype, device=value.device)
        return value + 0.1 * noise

    return [start, *({name: near(value) for name, value in start.items()} for _ in range(count - 1))]
