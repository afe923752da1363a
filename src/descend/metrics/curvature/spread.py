"""How the eigenvalues are spread."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.density import Density, density
from descend.metrics.curvature.part import CurvaturePart, Event
from descend.metrics.histogram import MOST_BINS


@dataclass(frozen=True)
class Spread(CurvaturePart):
    """A histogram of all n eigenvalues over time, `curvature/density`, by stochastic Lanczos quadrature.

    Counts are estimates, so not whole; their sum is n. The eigenvalues' own Krylov space is counted as it is, and the
    rest by random starts.

    Args:
        steps: products for each probe, ≥ 1.
        probes: random starts, ≥ 1.
        bins: between the smallest and the largest node, from 1 to 100,000.
    """

    steps: int = 30
    probes: int = 2
    bins: int = 64

    def __post_init__(self) -> None:
        check_number(self, "steps", at_least=1)
        check_number(self, "probes", at_least=1)
        check_number(self, "bins", at_least=1, at_most=MOST_BINS)

    def __call__(self, seen: Event) -> dict[str, Tensor]:
        found = density(seen.product, seen.generator, self.steps, self.probes, seen.spectrum)
        return {"curvature/density": histogram_of(found, seen.product.size, self.bins)}


def histogram_of(measure: Density, size: int, bins: int) -> Tensor:
    """Return right edges and expected counts of `size` eigenvalues in equal bins, [2, bins], float64 on the CPU.

    A measure at one point c is in a range of c ± max(|c|, 1) / 2; nodes that are not finite are left out.
    """
    finite = measure.nodes.isfinite()
    nodes, weights = measure.nodes[finite], measure.weights[finite]
    if not len(nodes):
        nodes, weights = measure.nodes.new_zeros(1), measure.weights.new_zeros(1)
    low, high = float(nodes.min()), float(nodes.max())
    if low == high:
        low, high = low - max(abs(low), 1) / 2, high + max(abs(high), 1) / 2
    edges = torch.linspace(low, high, bins + 1, dtype=nodes.dtype, device=nodes.device)
    place = (torch.bucketize(nodes, edges, right=True) - 1).clamp(0, bins - 1)
    return torch.stack([edges[1:], torch.zeros_like(edges[1:]).index_add(0, place, size * weights)])
