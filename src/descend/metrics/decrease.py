"""How well a local model of the loss foresees what a step does to it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.directional import taylor
from descend.metrics.to_order import ToOrder
from descend.types import Observation, Params
from descend.vectors import dot


@dataclass(frozen=True)
class Decrease(ToOrder):
    """The decrease f(x) − f(x + d) of the update d on the step's own batch, and what Taylor's polynomial says of it.

    Order 1 predicts −⟨∇f, d⟩, order 2 takes ½ ⟨d, ∇²f d⟩ from that, and so on. The agreement of the second with the
    actual decrease is what a trust-region method judges a step by (Nocedal & Wright, "Numerical Optimization", eq.
    4.4).
    No update, no values.

    Args:
        order: highest order of the prediction, ≥ 1.
    """

    order: int = 1

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        update = observation.update
        if update is None:
            return {}
        before = torch.dot(observation.weights, torch.stack(list(observation.losses.values())))
        after = observation.loss({name: x + update[name] for name, x in observation.params.items()})
        predictions = -self._terms(observation, update).cumsum(dim=0)
        predicted = {f"decrease/order_{k}": value for k, value in enumerate(predictions.unbind(), start=1)}
        return {"decrease/actual": before - after.detach(), **predicted}

    def _terms(self, observation: Observation, update: Params) -> Tensor:
        """Return what each order adds to the change of the loss, [order]; the gradient is mostly there already."""
        if self.order == 1 and not observation.directed:
            return dot(observation.gradients, update)[None]
        return taylor(observation.loss, observation.params, update, self.order)[1:]
