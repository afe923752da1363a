"""The density of eigenvalues of a symmetric matrix that is given by its products with vectors."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.lanczos import NEGLIGIBLE, tridiagonal_eigenpairs, unit_of
from descend.derivatives.probes import signs
from descend.derivatives.products import Product
from descend.derivatives.spectrum import Spectrum


@dataclass(frozen=True)
class Density:
    """A discrete measure with the low moments of the spectrum, of total weight 1; float64 on the CPU."""

    nodes: Tensor  # [k]
    weights: Tensor  # [k]

    def smoothed(self, grid: Tensor, width: float) -> Tensor:
        """The measure convolved with a Gaussian of standard deviation `width`, at the points of `grid` [g]; [g]."""
        distances = (grid.to(self.nodes)[:, None] - self.nodes) / width
        return (distances.square() / -2).exp() @ self.weights / (width * math.sqrt(2 * math.pi))


def density(
    product: Product, generator: torch.Generator, steps: int = 60, probes: int = 4, known: Spectrum | None = None
) -> Density:
    """Stochastic Lanczos quadrature: `probes` random starts of at most `steps` products each (Ubaru et al. 2017).

    The nodes are the eigenvalues of each start's T, the weights the squared first entries of its eigenvectors: Gauss
    quadrature of the start's spectral measure, exact to degree 2·steps - 1. Its mean over random starts is the density
    (1/n) Σ δ(λ - λ_i). No basis is kept: where rounding brings in copies of an eigenvalue they share its weight, and
    the quadrature stays right (Chen, Trogdon, Ubaru 2022, "Randomized matrix-free quadrature", §5).

    The `known` part of the spectrum, within a basis Q [m, n], needs neither chance nor quadrature: each eigenvalue
    there has weight 1/n. The starts are orthogonal to Q and share the weight (n - m)/n (Chen, Hallman 2023,
    "Krylov-aware stochastic trace estimation"). The coupling of H between Q and its complement is neglected, which
    moves the measure by at most 2·remainder/n in Wasserstein distance. With a complete basis the density is complete.
    """
    rules, chance = [], 1.0
    if known is not None:
        rules.append((known.basis_values, torch.full_like(known.basis_values, 1 / product.size)))
        chance -= len(known.basis) / product.size
    if chance > 0:
        for starts in signs(product, generator, probes, known):
            for nodes, weights in _quadratures(product, starts, steps, known):
                rules.append((nodes, weights * chance / probes))
    nodes, weights = (torch.cat(parts) for parts in zip(*rules, strict=True))
    return Density(nodes, weights)


def _quadratures(product: Product, starts: Tensor, steps: int, known: Spectrum | None) -> list[tuple[Tensor, Tensor]]:
    """Nodes and weights of each of the `starts` [k, n], side by side, by Lanczos' three-term recurrence alone.

    Every step projects out what is `known`. Otherwise rounding would bring its large eigenvalues back within a few
    steps, and they would take the nodes that belong to the rest.
    """
    current = starts / starts.square().sum(1, keepdim=True).sqrt()
    previous, beta = torch.zeros_like(current), starts.new_zeros(len(starts), 1)
    tiny, scale = torch.finfo(starts.dtype).tiny, torch.zeros_like(beta)
    diagonals: list[Tensor] = []
    off_diagonals: list[Tensor] = []
    alive: list[Tensor] = []
    unit = 0.0
    while len(diagonals) < min(steps, product.size):
        image = product.each(current)
        unit = unit or unit_of(image)  # keeps the squares of the images within the range of the dtype
        image = (image / unit).addcmul_(beta, previous, value=-1)
        alpha = (current * image).sum(1, keepdim=True)
        image.addcmul_(alpha, current, value=-1)
        if known is not None:
            image -= (image @ known.basis.T) @ known.basis
        beta = image.square().sum(1, keepdim=True).sqrt()
        scale = torch.maximum(scale, torch.maximum(alpha.abs(), beta))
        diagonals.append(alpha)
        off_diagonals.append(beta)
        alive.append(beta > NEGLIGIBLE * torch.finfo(starts.dtype).eps * scale)  # False for NaN
        if not alive[-1].any():
            break
        previous, current = current, image.div_(beta.clamp(min=tiny))
    ends = torch.cat(alive, 1).cumprod(1).sum(1)  # after its space is exhausted a start continues on rounding alone
    table = zip(torch.cat(diagonals, 1).tolist(), torch.cat(off_diagonals, 1).tolist(), ends.tolist(), strict=True)
    rules = [tridiagonal_eigenpairs(main[: end + 1], off[: min(end, len(main) - 1)]) for main, off, end in table]
    return [(values * unit, vectors[0].square()) for values, vectors in rules]
