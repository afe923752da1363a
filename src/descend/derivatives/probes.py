"""Random vectors that a matrix known by its products is tried with."""

from collections.abc import Iterator

import torch
from torch import Tensor

from descend.derivatives.products import TINY, Product
from descend.derivatives.spectrum import Spectrum

# Vectors to one batched product at most: more save little, and take their memory for each sample.
TOGETHER = 16


def signs(product: Product, generator: torch.Generator, count: int, known: Spectrum | None) -> Iterator[Tensor]:
    """`count` Rademacher vectors projected on the complement of the `known` basis, by as many [k, n] as go together.

    Of all vectors with independent entries, signs give quadratic forms the least variance (Hutchinson 1990).
    """
    together = TOGETHER if product.size <= TINY else 1
    for first in range(0, count, together):
        shape = (min(together, count - first), product.size)
        draw = torch.randint(0, 2, shape, generator=generator, device=generator.device)
        probes = (2 * draw - 1).to(device=product.device, dtype=product.dtype)
        yield probes if known is None else probes - (probes @ known.basis.T) @ known.basis
