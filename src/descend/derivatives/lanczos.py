"""The Lanczos process: an orthonormal Krylov basis in which a symmetric matrix is tridiagonal."""

import math

import torch
from torch import Tensor

from descend.derivatives.products import Product

# A new direction shorter than this many rounding errors of the matrix is nothing but rounding.
NEGLIGIBLE = 10


class Lanczos:
    """Basis Q [m, n] of the Krylov space of `product` from `start` [n], and T = Q H Qᵀ [m, m], grown step by step.

    H q_j = β_{j-1} q_{j-1} + α_j q_j + β_j q_{j+1} (Golub & Van Loan, "Matrix computations", §10.1). Each new vector
    passes Gram-Schmidt twice, against its two predecessors by the recurrence, then against the whole basis; that keeps
    Q orthonormal to rounding (Giraud et al. 2005, "The loss of orthogonality in the Gram-Schmidt process"), so that
    only multiple eigenvalues appear more than once. Once the Krylov space is exhausted, the process continues with a
    random direction orthogonal to it, and so finds the further copies of a multiple eigenvalue.

    Images are divided by a power of two near their size (`unit`), so that their squares stay in the range of the dtype.
    """

    def __init__(self, product: Product, start: Tensor, generator: torch.Generator) -> None:
        self._product, self._generator = product, generator
        self._storage = start.new_empty(min(32, product.size), product.size)
        start = start / unit_of(start)
        self._storage[0] = start / length(start)
        self._unit = 0.0  # known with the first image
        self._diagonal: list[float] = []
        self._off_diagonal: list[float] = []
        self._scale = 0.0

    @property
    def steps(self) -> int:
        """m, the number of products taken."""
        return len(self._diagonal)

    @property
    def basis(self) -> Tensor:
        """Q [m, n], orthonormal rows."""
        return self._storage[: self.steps]

    @property
    def remainder(self) -> float:
        """β_m = ‖H Qᵀ - QᵀT‖: zero where the basis spans an invariant subspace."""
        return self._off_diagonal[-1] * self._unit

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues [m] of T, ascending, and eigenvectors [m, m] in columns, as coordinates in the basis."""
        values, vectors = tridiagonal_eigenpairs(self._diagonal, self._off_diagonal[:-1])
        return values * self._unit, vectors

    def extend(self) -> None:
        """Take one more product. Do not call it on a complete basis (m = n)."""
        basis = self._storage[: self.steps + 1]
        current = basis[-1]
        image = self._product(current)
        self._unit = self._unit or unit_of(image)
        image = image / self._unit
        alpha = accurate_dot(current, image)
        image = torch.sub(image, current, alpha=alpha)
        if self._off_diagonal:
            image.sub_(basis[-2], alpha=self._off_diagonal[-1])
        image.addmv_(basis.T, basis @ image, alpha=-1)
        norm = beta = length(image)
        self._scale = max(self._scale, abs(alpha), beta)
        if beta <= NEGLIGIBLE * torch.finfo(image.dtype).eps * self._scale:
            image, beta = self._orthogonal_direction(basis), 0.0
            norm = length(image)
        self._diagonal.append(alpha)
        self._off_diagonal.append(beta)
        if self.steps < self._product.size:
            self._store(image, norm)

    def _orthogonal_direction(self, basis: Tensor) -> Tensor:
        drawn = self._generator
        direction = torch.randn(basis.shape[1], generator=drawn, dtype=basis.dtype, device=drawn.device).to(basis)
        for _ in range(2):
            direction = direction - (basis @ direction) @ basis
        return direction

    def _store(self, direction: Tensor, norm: float) -> None:
        if self.steps == len(self._storage):
            self._storage = torch.cat([self._storage, torch.empty_like(self._storage)])
        torch.div(direction, norm, out=self._storage[self.steps])


def unit_of(vector: Tensor) -> float:
    """A power of two near the largest entry of a tensor; 1 where that is zero or not finite."""
    largest = float(vector.abs().max())
    return math.ldexp(0.5, math.frexp(largest)[1]) if math.isfinite(largest) and largest else 1.0


def accurate_dot(left: Tensor, right: Tensor) -> float:
    """Inner product of two vectors [n], summed by torch's cascade: BLAS's float32 `dot` errs by 1e-5 at n = 300,000."""
    return float((left * right).sum())


def length(vector: Tensor) -> float:
    """Euclidean norm of a vector [n], as accurate as `accurate_dot`."""
    return accurate_dot(vector, vector) ** 0.5


def tridiagonal_eigenpairs(diagonal: list[float], off_diagonal: list[float]) -> tuple[Tensor, Tensor]:
    """Eigenvalues [m], ascending, and eigenvectors [m, m], in columns, of a matrix given by its m and m - 1 entries.

    In float64 on the CPU, where small eigenproblems are cheap. All NaN if an entry is not finite.
    """
    main = torch.tensor(diagonal, dtype=torch.float64, device="cpu")
    off = torch.tensor(off_diagonal, dtype=torch.float64, device="cpu")
    matrix = main.diag() + off.diag(1) + off.diag(-1)
    if not matrix.isfinite().all():
        undefined = torch.full_like(matrix, torch.nan)
        return undefined[0], undefined
    return torch.linalg.eigh(matrix)
