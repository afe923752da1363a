"""Shampoo: a preconditioner for each dimension of a tensor."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from descend.checks import check_number
from descend.graph.renewal import renewed_where
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.soap import gram_of
from descend.optimizers.weight_decay import penalised
from descend.scalars import cast, real
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Shampoo(Optimizer):
    """L ← L + GGᵀ, R ← R + GᵀG, both from εI, x ← x − lr · L^(−1/4) G R^(−1/4).

    A tensor of k dimensions has a matrix for each, to the power −1/(2k): a vector is updated as by full-matrix Adagrad.

    Gupta, Koren & Singer, "Shampoo: Preconditioned Stochastic Tensor Optimization" (ICML 2018), Algorithm 2; of a long
    dimension the diagonal alone is kept, as in section 5 there. ε and the learning rate are pytorch_optimizer's
    defaults. Roots that are taken seldom make large steps in directions that no gradient had when they were taken.

    Args:
        lr: learning rate, > 0.
        eps: ε > 0.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient.
        every: steps from one computation of the roots to the next, ≥ 1.
        largest: of a dimension of more entries the diagonal alone is kept, ≥ 1.
    """

    lr: float = 1e-3
    eps: float = 1e-6
    weight_decay: float = 0.0
    every: int = 1
    largest: int = 1200

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "eps", above=0)
        check_number(self, "weight_decay", at_least=0)
        for name in ("every", "largest"):
            check_number(self, name, at_least=1)

    def init(self, params: Params) -> State:
        statistics = {
            name: tuple(self.identity(x, axis) for axis in preconditioned_axes(x)) for name, x in params.items()
        }
        roots = {name: tuple(torch.zeros_like(x) for x in own) for name, own in statistics.items()}
        return {"statistics": statistics, "roots": roots, "step": 0.0}

    def identity(self, x: Tensor, axis: int) -> Tensor:
        """Return εI of an axis, or its diagonal."""
        size = torch.atleast_1d(x).shape[axis]
        ones = x.new_ones(size)
        return cast(self.eps, x) * (ones if size > self.largest else ones.diag())

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradients = penalised(gradients, params, self.weight_decay)
        due = real(state["step"]) % self.every == 0
        new, statistics, roots = {}, {}, {}
        for name, x in params.items():
            g, old = torch.atleast_1d(gradients[name]), state["statistics"][name]
            own = statistics[name] = tuple(
                s + (gram_of(g, axis) if s.dim() > 1 else squares_of(g, axis))
                for axis, s in zip(preconditioned_axes(x), old, strict=True)
            )
            exponent = -1 / (2 * len(own))
            roots[name] = renewed_where(partial(powers, exponent), due, state["roots"][name], cast(self.eps, x), *own)
            new[name] = add_scaled(x, preconditioned(g, roots[name]).view(x.shape), -self.lr)
        return new, {"statistics": statistics, "roots": roots, "step": state["step"] + 1}


def preconditioned_axes(x: Tensor) -> range:
    """Return the dimensions of a parameter; a number [] has one, of a single entry."""
    return range(max(1, x.dim()))


def squares_of(x: Tensor, axis: int) -> Tensor:
    """Return the diagonal of `gram_of(x, axis)`, [n]."""
    others = [i for i in range(x.dim()) if i != axis]
    return (x * x).sum(others) if others else x * x


def powers(exponent: float, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Return positive definite matrices, or diagonals, to a power; NaN where not finite, which LAPACK would refuse.

    Args:
        tensors: what the powers were before, of which only the number counts; the least eigenvalue []; the matrices.
    """
    count = len(tensors) // 2
    return tuple(matrix_power(x, exponent, tensors[count]) for x in tensors[count + 1 :])


def matrix_power(x: Tensor, exponent: float, least: Tensor) -> Tensor:
    """Return a matrix [n, n], or a diagonal [n], to a power, its eigenvalues taken for `least` where rounded below."""
    if x.dim() == 1:
        return (exponent * torch.maximum(x, least).log()).exp()
    finite = x.isfinite().all()
    values, vectors = torch.linalg.eigh(torch.where(finite, x, 0))
    scales = (exponent * torch.maximum(values, least).log()).exp()
    return torch.where(finite, (vectors * scales) @ vectors.mT, torch.nan)


def preconditioned(x: Tensor, roots: tuple[Tensor, ...]) -> Tensor:
    """Return x times the matrix, or diagonal, of each axis."""
    for root in roots:  # the first axis becomes the last, so that the order is what it was in the end
        x = torch.tensordot(x, root, dims=[[0], [0]]) if root.dim() > 1 else x.movedim(0, -1) * root
    return x
