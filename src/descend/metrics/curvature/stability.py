"""The largest eigenvalue against the learning rate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.metrics.curvature.part import CurvaturePart, Event


@dataclass(frozen=True)
class Stability(CurvaturePart):
    """Whether gradient descent at the learning rate η is at the edge of stability, λ₁ = 2/η.

    `curvature/edge` is 2/η, to be seen beside `curvature/top/0`; `curvature/sharpness_times_lr` is η λ₁, 2 at the edge,
    above which plain gradient descent on a quadratic diverges (Cohen et al., "Gradient descent on neural networks
    typically occurs at the edge of stability", ICLR 2021). Momentum and preconditioning move that edge. Groups of
    parameters with learning rates of their own have no such edge.
    """

    def __call__(self, seen: Event) -> dict[str, Tensor]:
        top, lr = seen.spectrum.top.values[0], seen.observation.lr
        if isinstance(lr, dict):
            return {}
        rate = torch.as_tensor(lr, dtype=top.dtype, device=top.device)
        return {"curvature/edge": 2 / rate, "curvature/sharpness_times_lr": rate * top}
