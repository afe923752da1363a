"""Random vectors that probe a matrix that is given by its products with vectors."""

from collections.abc import Iterator

import torch
from torch import Tensor

from descend.derivatives.products import TINY, Product
from descend.derivatives.spectrum import Spectrum

# Most vectors in one batched product: more save little time, and take their memory for each sample.
BATCH = 16


def signs(product: Product, generator: torch.Generator, count: int, known: Spectrum | None) -> Iterator[Tensor]:
    """`count` Rademacher vectors projected on the complement of the `known` basis, in batches [k, n].

    Of all vectors with independent entries, signs give quadratic forms the least variance (Hutchinson 1990).
    """
    batch = BATCH if product.size <= TINY else 1
    for first in range(0, count, batch):
        shape = (min(batch, count - first), product.size)
        draw = torch.randint(0, 2, shape, generator=generator, device=generator.device)
        probes = (2 * draw - 1).to(device=product.device, dtype=product.dtype)
        yield probes if known is None else probes - (probes @ known.basis.T) @ known.basis
