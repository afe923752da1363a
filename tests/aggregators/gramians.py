"""Jacobians of the kinds that separate right from nearly right methods."""

import pytest
import torch
from torch import Tensor

KINDS = ("random", "rank_deficient", "conflicting", "zero_row", "uneven")


def jacobian(kind: str, m: int, scale: float) -> Tensor:
    """Return a float64 Jacobian of shape [m, 12] whose Gramian is of the order of `scale`."""
    generator = torch.Generator().manual_seed(1000 * m + KINDS.index(kind))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = normal(m, 12)
    if kind == "rank_deficient":
        rows = normal(m, max(1, m // 2)) @ rows[: max(1, m // 2)]
    if kind == "conflicting":
        rows = 0.5 * rows - rows.mean(dim=0, keepdim=True)
    if kind == "zero_row":
        rows[m // 2] = 0
    if kind == "uneven":
        rows = rows * 10 ** torch.linspace(-2, 2, m, dtype=torch.float64)[:, None]
    return rows * scale**0.5


SCALES = (1e-8, 1e-3, 1.0, 1e8)

every_gramian = pytest.mark.parametrize(
    ("kind", "m", "scale"), [(kind, m, scale) for kind in KINDS for m in range(2, 9) for scale in SCALES]
)
