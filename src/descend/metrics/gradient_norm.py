"""The length of the gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class GradientNorm(Metric):
    """‖∇f‖₂ over all parameters, and for each parameter where there are several.

    Of an aggregator that has a direction and no weights (GradDrop, TrimmedMean) it is the direction's.
    """

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        norms = {name: torch.linalg.vector_norm(g) for name, g in observation.gradients.items()}
        total = torch.linalg.vector_norm(torch.stack(list(norms.values())))
        parts = {f"gradient/norm/{name}": norm for name, norm in norms.items()} if len(norms) > 1 else {}
        return {"gradient/norm": total, **parts}
