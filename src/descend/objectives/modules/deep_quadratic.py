"""A quadratic whose eigenvalues are spread like those of a deep network."""

import numpy as np
import torch
from torch import Tensor, nn


class DeepQuadratic(nn.Module):
    """The factor of ½ (θ − x)ᵀQ(θ − x) in 100 dimensions: outputs √Λ R (θ − x), where Q = RᵀΛR; θ starts at 1.

    90 eigenvalues lie between 0 and 1 and 10 between 30 and 60, like those that Chaudhari et al., "Entropy-SGD" (2017),
    found in networks. Schneider, Balles & Hennig, "DeepOBS: a deep learning optimizer benchmark suite" (2019): Λ and R
    are drawn as in DeepOBS, from NumPy's RandomState(42).
    """

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        draws = np.random.RandomState(42)
        eigenvalues = np.concatenate([draws.uniform(0.0, 1.0, 90), draws.uniform(30.0, 60.0, 10)])
        factor = np.sqrt(eigenvalues)[:, None] * draw_rotation(draws, len(eigenvalues))
        self.register_buffer("factor", torch.from_numpy(factor))
        self.theta = nn.Parameter(torch.ones(len(eigenvalues), dtype=torch.float64, device="cpu"))

    def forward(self, points: Tensor) -> Tensor:
        """Return [n, 100] for points x [n, 100]."""
        return (self.theta - points) @ self.factor.T


def half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return half the squared distance between outputs [n, d] and targets [n, d], averaged over n."""
    return ((outputs - targets) ** 2).sum(dim=1).mean() / 2


def draw_rotation(draws: np.random.RandomState, dim: int) -> np.ndarray:
    """Return a rotation [dim, dim] from the uniform (Haar) distribution.

    Diaconis & Shahshahani, "The subgroup algorithm for generating uniform random variables" (1987): a rotation of the
    last coordinates is followed by the reflection that takes the first axis to a point drawn from the sphere.
    """
    angle = 2 * np.pi * draws.uniform()
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    for size in range(3, dim + 1):
        normal = draws.normal(size=size)
        mirror = np.eye(size)[0] - normal / np.linalg.norm(normal)
        wider = np.eye(size)
        wider[1:, 1:] = rotation
        rotation = wider - 2 * np.outer(mirror, mirror @ wider) / (mirror @ mirror)
    return -rotation
