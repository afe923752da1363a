"""How large the matrix is as a whole."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.trace import moments
from descend.metrics.curvature.part import CurvaturePart, Event


@dataclass(frozen=True)
class Size(CurvaturePart):
    """Trace, Frobenius norm and effective rank, estimated on what the eigenvalues' Krylov space leaves out.

    `curvature/trace_error` and `curvature/frobenius_error` are standard errors, the latter √‖H‖²'s by its derivative;
    both are 0 where the space is complete. The effective rank (tr H)² / ‖H‖²_F, the participation ratio of the
    eigenvalues, is r for r equal ones among zeros.

    Args:
        probes: products for the estimate, ≥ 2.
    """

    probes: int = 10

    def __post_init__(self) -> None:
        check_number(self, "probes", at_least=2)

    def __call__(self, seen: Event) -> dict[str, Tensor]:
        found = moments(seen.product, seen.generator, self.probes, seen.spectrum)
        trace, square = found.trace.value, max(found.squared_norm.value, 0.0)
        norm = square**0.5
        values = {
            "trace": trace,
            "trace_error": found.trace.error,
            "frobenius": norm,
            "frobenius_error": found.squared_norm.error / (2 * norm) if norm else 0.0,
            "effective_rank": trace**2 / square if square else 0.0,
        }
        return {f"curvature/{name}": torch.tensor(x, dtype=torch.float64, device="cpu") for name, x in values.items()}
