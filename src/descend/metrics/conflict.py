"""How much the losses pull in different directions."""

from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.gramian import gramian
from descend.metrics.metric import Metric
from descend.types import Observation
from descend.vectors import quotient


@dataclass(frozen=True)
class Conflict(Metric):
    """The lengths of the losses' gradients gᵢ and the angles between them, where there are several losses.

    - `loss_gradient/norm/<name>`: ‖gᵢ‖₂; `loss_gradient/norm_ratio`: the largest over the smallest.
    - `cosine/<name>,<name>`: cos ∠(gᵢ, gⱼ), below 0 where the two conflict; 0 where a gradient is zero.
    - `conflict/fraction`: share of the pairs that conflict (Yu et al., "Gradient Surgery for Multi-Task Learning",
      NeurIPS 2020, Definition 1).
    - `direction_cosine/<name>`: cos ∠(d, gᵢ) of the aggregator's direction d (λᵀJ, where it weighs), before clipping
      and the optimizer: below 0 where going against d raises the loss.

    All come from the Jacobian J of the step and its Gramian JJᵀ.
    """

    uses_jacobian: ClassVar[bool] = True

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        names = list(observation.losses)
        if len(names) == 1:
            return {}
        jacobian = observation.jacobian()
        products = gramian(jacobian)
        norms = products.diagonal().sqrt()
        cosines = quotient(products, norms[:, None] * norms)
        first, second = zip(*combinations(range(len(names)), 2), strict=True)
        pairs = torch.stack([row[j] for row, j in zip([cosines[i] for i in first], second, strict=True)])
        direction = torch.cat([gradient.reshape(-1) for gradient in observation.gradients.values()])
        along = (jacobian @ direction).to(norms.dtype)
        with_direction = quotient(along, norms * torch.linalg.vector_norm(direction))
        columns = {
            "loss_gradient/norm": (names, norms),
            "cosine": ([f"{names[i]},{names[j]}" for i, j in zip(first, second, strict=True)], pairs),
            "direction_cosine": (names, with_direction),
        }
        like = observation.weights.dtype
        found = {
            f"{group}/{label}": value
            for group, (labels, values) in columns.items()
            for label, value in zip(labels, values.to(like).unbind(), strict=True)
        }
        fraction = (pairs < 0).to(like).mean()
        return found | {
            "loss_gradient/norm_ratio": (norms.amax() / norms.amin()).to(like),
            "conflict/fraction": fraction,
        }
