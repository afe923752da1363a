"""Extreme eigenvalues and eigenvectors of a symmetric matrix that is given by its products with vectors."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.lanczos import Lanczos
from descend.derivatives.products import Product
from descend.errors import ConfigurationError

# Up to this size a complete basis costs no more products than convergence would, and is exact.
SMALL = 64
# If the start has little of an eigenvector, its eigenvalue comes late, and until then the next ones are taken for it.
# So this many further pairs must be known to a tenth: of 240 spectra of trained networks six missed an eigenvalue
# without that rule, and one with it, for 4% more products.
GUARDS, GUARDED_TO = 2, 0.1
# Products between two computations of the Ritz values, so that their small eigenproblem costs little beside a product.
STRIDE = 2


@dataclass(frozen=True)
class Eigenpairs:
    """k eigenvalues in float64 on the CPU, their eigenvectors, and bounds on the values' errors."""

    values: Tensor  # [k]
    vectors: Tensor  # [k, n], unit rows
    errors: Tensor  # [k]


@dataclass(frozen=True)
class Spectrum:
    """The eigenpairs that were asked for, and the basis in which they were found."""

    top: Eigenpairs  # largest first
    bottom: Eigenpairs  # smallest first
    basis: Tensor  # [m, n], orthonormal rows, m = products taken
    basis_values: Tensor  # [m], eigenvalues of the matrix within the basis, ascending, float64 on the CPU
    remainder: float  # norm of what the matrix maps out of the basis; 0 where the basis spans an invariant subspace
    converged: bool  # whether every pair met the tolerance


def spectrum(
    product: Product,
    generator: torch.Generator,
    top: int = 10,
    bottom: int = 0,
    tolerance: float = 1e-3,
    most: int = 300,
    start: Tensor | None = None,
) -> Spectrum:
    """The `top` algebraically largest and `bottom` smallest eigenpairs of `product`.

    Lanczos runs until, for every pair asked for, min(r, r²/gap) ≤ tolerance·|θ|: θ is the Ritz value, r its residual
    ‖Hx - θx‖, gap its distance to the next Ritz value minus the residual of that one. The first term bounds the error;
    the second does once every eigenvalue nearby has its Ritz value (Parlett, "The symmetric eigenvalue problem",
    §11.7). Of two eigenvalues that Lanczos has not separated yet, either may be returned. The next two pairs must be
    known to a tenth as well: then a pair asked for is probably not missing, though this is no proof. Values below √ε of
    the largest are held to the tolerance of √ε times the largest. After `most` products the function returns the pairs
    it has, with `converged` False. Up to 64 parameters it always completes the basis, which is exact. A matrix with
    entries that are not finite has NaN for eigenvalues.

    `start` [n] (Gaussian by default) may be the sum of the vectors found a few steps earlier, which saves products. One
    copy of a multiple eigenvalue is sure to be found; the others only once the Krylov space is exhausted.

    Raises ConfigurationError where more pairs are asked for than there are.
    """
    size, wanted = product.size, top + bottom
    if min(top, bottom) < 0 or not 1 <= wanted <= size:
        raise ConfigurationError(
            f"{top} largest and {bottom} smallest eigenpairs were asked for, and the matrix has {size}. Ask for at "
            f"least 1 and at most {size} in all."
        )
    if start is None:
        start = torch.randn(size, generator=generator, dtype=product.dtype, device=generator.device)
    process = Lanczos(product, start.to(product.device), generator)
    limit = size if size <= SMALL else min(max(most, wanted), size)
    while process.steps < limit:
        process.extend()
        if size > SMALL and process.steps > wanted and process.steps % STRIDE == 0:
            ritz = _ritz(process)
            if _converged(ritz, top, bottom, tolerance, product.dtype) or math.isnan(process.remainder):
                break
    ritz = _ritz(process)
    return Spectrum(
        top=_pairs(process, ritz, range(process.steps - 1, process.steps - 1 - top, -1)),
        bottom=_pairs(process, ritz, range(bottom)),
        basis=process.basis,
        basis_values=ritz.values,
        remainder=process.remainder,
        converged=_converged(ritz, top, bottom, tolerance, product.dtype),
    )


def _ritz(process: Lanczos) -> Eigenpairs:
    """All m eigenpairs of T, ascending; the vectors are in coordinates of the basis."""
    values, vectors = process.ritz()
    residuals = process.remainder * vectors[-1].abs()
    between, edge = values.diff(), values.new_tensor([torch.inf])
    below = torch.cat([edge, between - residuals[:-1]])
    above = torch.cat([between - residuals[1:], edge])
    gaps = torch.minimum(below, above).clamp(min=0)
    return Eigenpairs(values, vectors.T, torch.fmin(residuals, residuals * (residuals / gaps)))


def _converged(ritz: Eigenpairs, top: int, bottom: int, tolerance: float, dtype: torch.dtype) -> bool:
    size = ritz.values.abs()
    size = size.clamp(min=torch.finfo(dtype).eps ** 0.5 * size.max())
    met, nearly = (ritz.errors <= bound * size for bound in (tolerance, max(tolerance, GUARDED_TO)))
    more_top, more_bottom = (min(count + GUARDS, len(met)) if count else 0 for count in (top, bottom))
    asked = met[:bottom].all() and met[len(met) - top :].all()
    return bool(asked and nearly[:more_bottom].all() and nearly[len(met) - more_top :].all())


def _pairs(process: Lanczos, ritz: Eigenpairs, which: range) -> Eigenpairs:
    chosen = list(which)
    vectors = ritz.vectors[chosen].to(process.basis) @ process.basis
    return Eigenpairs(ritz.values[chosen], vectors, ritz.errors[chosen])
