"""The density of eigenvalues of a symmetric matrix known by its products."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.lanczos import NEGLIGIBLE, dot, length, tridiagonal_eigenpairs
from descend.derivatives.products import Product


@dataclass(frozen=True)
class Density:
    """A discrete measure with the low moments of the spectrum, of total weight 1; float64 on the CPU."""

    nodes: Tensor  # [k]
    weights: Tensor  # [k]

    def smoothed(self, grid: Tensor, width: float) -> Tensor:
        """The measure convolved with a Gaussian of standard deviation `width`, at the points of `grid` [g]; [g]."""
        distances = (grid.to(self.nodes)[:, None] - self.nodes) / width
        return (distances.square() / -2).exp() @ self.weights / (width * math.sqrt(2 * math.pi))


def density(product: Product, generator: torch.Generator, steps: int = 60, probes: int = 4) -> Density:
    """Stochastic Lanczos quadrature: `probes` random starts of at most `steps` products each (Ubaru et al. 2017).

    The nodes are the eigenvalues of each start's T, the weights the squared first entries of its eigenvectors: Gauss
    quadrature, exact to degree 2·steps - 1, of the measure that the start sees. Its mean over random starts is the
    density (1/n) Σ δ(λ - λ_i). No basis is kept: where rounding brings in copies of an eigenvalue they share its
    weight, and the quadrature stays right (Chen, Trogdon, Ubaru 2022, "Randomized matrix-free quadrature", §5).
    """
    rules = [_quadrature(product, generator, steps) for _ in range(probes)]
    nodes, weights = (torch.cat(parts) for parts in zip(*rules, strict=True))
    return Density(nodes, weights / probes)


def _quadrature(product: Product, generator: torch.Generator, steps: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of one random start, by Lanczos' three-term recurrence alone."""
    current = torch.randn(product.size, generator=generator, dtype=product.dtype, device=product.device)
    current = current / length(current)
    previous, scale = torch.zeros_like(current), 0.0
    diagonal: list[float] = []
    off_diagonal = [0.0]
    while len(diagonal) < min(steps, product.size):
        image = product(current) - off_diagonal[-1] * previous
        alpha = dot(current, image)
        image -= alpha * current
        beta = length(image)
        diagonal.append(alpha)
        off_diagonal.append(beta)
        scale = max(scale, abs(alpha), beta)
        if not beta > NEGLIGIBLE * torch.finfo(image.dtype).eps * scale:  # NaN too
            break
        previous, current = current, image / beta
    values, vectors = tridiagonal_eigenpairs(diagonal, off_diagonal[1:-1])
    return values, vectors[0].square()
