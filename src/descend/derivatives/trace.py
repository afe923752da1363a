"""Trace and Frobenius norm of a symmetric matrix that is given by its products, with the errors of the estimates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.probes import signs
from descend.derivatives.products import Product
from descend.derivatives.spectrum import Spectrum
from descend.errors import ConfigurationError


@dataclass(frozen=True)
class Estimate:
    """A number estimated from random samples."""

    value: float
    error: float  # standard error; 0 where the value is exact


@dataclass(frozen=True)
class Moments:
    """The first two moments of the spectrum, each n times its mean."""

    trace: Estimate  # tr H = Σ λ
    squared_norm: Estimate  # tr H² = Σ λ² = ‖H‖²_F


def moments(product: Product, generator: torch.Generator, probes: int = 10, known: Spectrum | None = None) -> Moments:
    """Trace and squared Frobenius norm of `product`, from `probes` products and the `known` part of its spectrum.

    tr H = tr QHQᵀ + E zᵀHz and ‖H‖² = ‖HQᵀ‖² + E ‖Hz‖², where Q [m, n] is the basis that Lanczos built (no products
    are needed there) and z a Rademacher vector projected on its complement (Hutchinson 1990; the split is that of
    Hutch++, Meyer et al. 2021, with the Krylov space as the sketch: it holds the large eigenvalues already). The
    standard errors come from the spread over the probes. With a complete basis nothing is left to estimate.

    Raises ConfigurationError for fewer than two probes, which have no spread.
    """
    if probes < 2:
        raise ConfigurationError(f"{probes} probes have no spread to measure the error by. Ask for at least 2.")
    inner_trace, inner_norm = 0.0, 0.0
    if known is not None:
        inner_trace = float(known.basis_values.sum())
        inner_norm = float(known.basis_values.square().sum()) + known.remainder**2
        if len(known.basis) == product.size:
            return Moments(Estimate(inner_trace, 0.0), Estimate(inner_norm, 0.0))
    traces, norms = [], []
    for tried in signs(product, generator, probes, known):
        images = product.each(tried)
        traces.append((tried * images).sum(1, dtype=torch.float64))
        norms.append(images.double().square().sum(1))  # in float32 squares leave the range early
    return Moments(_estimate(torch.cat(traces), inner_trace), _estimate(torch.cat(norms), inner_norm))


def _estimate(samples: Tensor, offset: float) -> Estimate:
    return Estimate(offset + float(samples.mean()), float(samples.std()) / len(samples) ** 0.5)
