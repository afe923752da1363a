"""How well a local model of the loss foresees what a step does to it."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.products import hvp
from descend.telemetry.metric import Metric
from descend.telemetry.metrics.vectors import dot
from descend.types import Observation


@dataclass(frozen=True)
class Decrease(Metric):
    """The decrease f(x) − f(x + d) of the update d on the step's own batch, and what Taylor's polynomial says of it.

    Order 1 predicts −⟨∇f, d⟩, order 2 takes ½ ⟨d, ∇²f d⟩ from that. Their agreement with the actual decrease is what a
    trust-region method judges a step by (Nocedal & Wright, "Numerical Optimization", eq. 4.4). No update, no values.

    Args:
        order: highest order of the prediction, 1 or 2.
    """

    order: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "order", at_least=1, at_most=2)

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        update = observation.update
        if update is None:
            return {}
        before = torch.dot(observation.weights, torch.stack(list(observation.losses.values())))
        after = observation.loss({name: x + update[name] for name, x in observation.params.items()})
        terms = [-dot(observation.gradients, update)]
        if self.order == 2:
            terms.append(-dot(update, hvp(observation.loss, observation.params, update)) / 2)
        predictions = itertools.accumulate(terms)
        predicted = {f"decrease/order_{k}": value for k, value in enumerate(predictions, start=1)}
        return {"decrease/actual": before - after.detach(), **predicted}
