"""Muon: momentum, orthogonalised."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Self

import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.scalars import Scalar, cast
from descend.types import Loss, Params, State

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the authors: the steepest slope at 0 that keeps singular values within about [0.7, 1.2]."""

RMS_OF_ADAMW = 0.2
"""Root mean square of the entries of a usual AdamW update (Liu et al. 2025, section 2.2)."""


@dataclass(frozen=True)
class Muon(Optimizer):
    """m ← μm + (1−μ)g, u = (1−μ)g + μm, x ← (1 − lr · λ)x − lr · s · NS(u), for matrices [rows, columns].

    NS(u) puts about 1 in place of each singular value of u, by the Newton-Schulz iteration X ← aX + (bA + cA²)X with
    A = XXᵀ from X = u / ‖u‖. A kernel of a convolution, [out, in, …], is the matrix [out, in · …]. s is
    √max(1, rows / columns), or 0.2 √max(rows, columns).

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024, kellerjordan.github.io/posts/muon)
    and the authors' code, from which the defaults are; the other s is that of Liu et al., "Muon is Scalable for LLM
    Training" (2025), section 2.2.

    Args:
        lr: learning rate, > 0.
        momentum: μ in [0, 1).
        weight_decay: λ ≥ 0, decoupled.
        nesterov: look ahead along the momentum; otherwise u = m.
        iterations: of Newton-Schulz, ≥ 1.
        match_rms_adamw: take the s whose steps are as long as AdamW's, so that AdamW's learning rates suit it.
        eps: the least norm that u is divided by, > 0.
        bfloat16: iterate on float32 in bfloat16, as the authors' code does: several times faster where the processor
            computes in it, and far slower where it does not.

    Raises:
        ConfigurationError: by `suited`: a parameter has fewer than two dimensions.
    """

    lr: float = 0.02
    momentum: float = 0.95
    weight_decay: float = 0.0
    nesterov: bool = True
    iterations: int = 5
    match_rms_adamw: bool = False
    eps: float = 1e-7
    bfloat16: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum", at_least=0, below=1)
        check_number(self, "weight_decay", at_least=0)
        check_number(self, "iterations", at_least=1)
        check_number(self, "eps", above=0)

    def suited(self, params: Params, kinds: Mapping[str, str]) -> Self:
        check_matrices(type(self).__name__, params)
        return self

    def init(self, params: Params) -> State:
        return {"momentum": {name: torch.zeros_like(x) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        new, momentum = {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            momentum[name], update = self.update(gradients[name], state["momentum"][name])
            new[name] = add_scaled(x, update.view(x.shape), -self.lr * self.factor(update))
        return new, {"momentum": momentum}

    def update(self, gradient: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
        """Return the momentum after this gradient, and NS(u) as a matrix."""
        momentum = moving_average(momentum, gradient, self.momentum)
        ahead = moving_average(momentum, gradient, self.momentum) if self.nesterov else momentum
        lowered = torch.bfloat16 if self.bfloat16 else None
        return momentum, orthogonalised(ahead.flatten(1), self.iterations, self.eps, lowered)

    def factor(self, update: Tensor) -> float:
        """Return s for a matrix."""
        rows, columns = update.shape
        return RMS_OF_ADAMW * sqrt(max(rows, columns)) if self.match_rms_adamw else sqrt(max(1, rows / columns))


def check_matrices(method: str, params: Params) -> None:
    """Require that every parameter is a matrix, or can be read as one.

    Raises:
        ConfigurationError: naming one that has fewer than two dimensions.
    """
    for name, x in params.items():
        if x.dim() < 2:
            raise ConfigurationError(
                f"{method} takes matrices and kernels of convolutions, but the parameter {name} has shape "
                f"{list(x.shape)}; give it to another method by groups, as optimizer={method.lower()} does."
            )


def orthogonalised(matrix: Tensor, iterations: int, eps: Scalar, lowered: torch.dtype | None = None) -> Tensor:
    """Return NS(matrix), of the same shape.

    Args:
        lowered: in which float32 iterates; None leaves it as it is.
    """
    a, b, c = COEFFICIENTS
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.mT
    x = x.to(lowered) if lowered is not None and x.dtype == torch.float32 else x
    norm = torch.linalg.vector_norm(x)
    x = x / torch.maximum(norm, cast(eps, norm))
    for _ in range(iterations):
        gram = x @ x.mT
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    x = x.to(matrix.dtype)
    return x if wide else x.mT.contiguous()
