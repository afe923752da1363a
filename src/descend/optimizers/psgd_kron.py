"""PSGD with Kronecker factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from descend.checks import check_number
from descend.graph.renewal import renewed_where
from descend.optimizers.arithmetic import add_scaled, moving_average, state_number
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.shampoo import preconditioned, squares_of
from descend.optimizers.soap import gram_of
from descend.scalars import cast, ratio, real
from descend.types import Loss, Params, State

TINY = torch.finfo(torch.bfloat16).tiny
"""Keeps a quotient from being 0/0; as in the authors' code."""

LONGEST = 1.1
"""The root mean square of an update is at most this; as in the authors' code."""


@dataclass(frozen=True)
class PSGDKron(Optimizer):
    """m ← μm + (1−μ)g, u = QᵀQ m̂ with Q = Q₁ ⊗ Q₂ ⊗ …, x ← x − lr · (min(1, 1.1 / rms(u)) u + λx), m̂ = m/(1−μᵗ).

    Each factor is upper triangular and descends on E[gᵀPg + vᵀP⁻¹v] for P = QᵀQ and v ~ N(0, I), whose minimum makes
    the entries of Qg uncorrelated and of one size: with A = Q m̂ and B = Q⁻ᵀv,
    Qᵢ ← Qᵢ − q · triu(AAᵀ − BBᵀ) Qᵢ / ‖AAᵀ + BBᵀ‖, the products over all axes but i. A vector, and an axis that is too
    long, has a diagonal.

    Li, "Preconditioned stochastic gradient descent" (IEEE Trans. Neural Netw. Learn. Syst. 29, 2018), and "Curvature-
    informed SGD via general purpose Lie-group preconditioners" (2024); the defaults are those of the code that made it
    known, evanatyourservice/kron_torch. The factors are renewed at every step at first, and ever more seldom: the share
    of the steps at which they are falls as exp(−decay · (t − flat)). Their norms are not balanced, which changes
    rounding alone.

    Args:
        lr: learning rate, > 0.
        momentum: μ in [0, 1).
        weight_decay: λ ≥ 0, decoupled; of matrices and tensors, not of vectors.
        renewal: q, the length of a step of the factors, in (0, 1].
        flat: the number of steps with a renewal each, ≥ 0.
        decay: how fast the share falls, ≥ 0.
        least: the share that it falls to, in (0, 1].
        largest: an axis of more entries has a diagonal, ≥ 1.
    """

    lr: float = 3e-4
    momentum: float = 0.9
    weight_decay: float = 0.0
    renewal: float = 0.1
    flat: float = 500.0
    decay: float = 0.001
    least: float = 0.03
    largest: int = 8192

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum", at_least=0, below=1)
        for name in ("weight_decay", "flat", "decay"):
            check_number(self, name, at_least=0)
        for name in ("renewal", "least"):
            check_number(self, name, above=0, at_most=1)
        check_number(self, "largest", at_least=1)

    def init(self, params: Params) -> State:
        return {
            "first": {name: torch.zeros_like(x) for name, x in params.items()},
            "factors": {name: self.identities(torch.atleast_1d(x)) for name, x in params.items()},
            "power": 1.0,
            "step": 0.0,
            "waited": state_number(0.0, params),
        }

    def identities(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the factors before the first step: identities [n, n], as diagonals [n] where one is enough."""
        plain = [x.dim() < 2 or n == 1 or n > self.largest for n in x.shape]
        return tuple(
            x.new_ones(n) if diagonal else x.new_ones(n).diag() for n, diagonal in zip(x.shape, plain, strict=True)
        )

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        waited = state["waited"] + 1
        due = waited * self.share(real(state["step"])) >= 1
        power = state["power"] * self.momentum
        new, first, factors = {}, {}, {}
        for name, x in params.items():
            first[name] = moving_average(state["first"][name], gradients[name], self.momentum)
            momentum = torch.atleast_1d(first[name] * cast(ratio(1, 1 - power), x))
            own, noise = state["factors"][name], torch.randn_like(momentum)
            own = factors[name] = renewed_where(
                partial(renewed, len(own)), due, own, momentum, noise, cast(self.renewal, x)
            )
            update = preconditioned(preconditioned(momentum, each_transposed(own)), own).view(x.shape)
            shorter = (LONGEST / (update.square().mean().sqrt() + 1e-6)).clamp(max=1)
            kept = add_scaled(x, x, -self.lr * self.weight_decay) if x.dim() > 1 else x
            new[name] = add_scaled(kept, update * shorter, -self.lr)
        rest = {"power": power, "step": state["step"] + 1, "waited": torch.where(due, 0, waited)}
        return new, {"first": first, "factors": factors, **rest}

    def share(self, step: Tensor) -> Tensor:
        """Return the share of the steps at which the factors are renewed, [] in [least, 1]."""
        falling = torch.exp(-self.decay * (step - self.flat)).clamp(max=1)
        return torch.maximum(falling, cast(self.least, falling))


def each_transposed(factors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the transposes of matrices [n, n] and of diagonals [n]."""
    return tuple(x.mT if x.dim() > 1 else x for x in factors)


def renewed(count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the factors after a step of theirs.

    Args:
        tensors: so many factors, the gradient, the noise v, and the length of the step.
    """
    factors, (gradient, noise, length) = tensors[:count], tensors[count:]
    a, b = preconditioned(gradient, each_transposed(factors)), solved(noise, factors)
    found = []
    for axis, q in enumerate(factors):
        of = gram_of if q.dim() > 1 else squares_of
        left, right = of(a, axis), of(b, axis)
        change, size = length * (left - right), spectral_bound(left + right) + TINY
        found.append(q - (change.triu() / size) @ q if q.dim() > 1 else q - change * q / size)
    return tuple(found)


def solved(x: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """Return Q⁻ᵀ x along each axis."""
    for q in factors:  # the first axis becomes the last, so that the order is what it was in the end
        rows = x.reshape(len(q), -1)
        rows = torch.linalg.solve_triangular(q.mT, rows, upper=False) if q.dim() > 1 else rows / q[:, None]
        x = rows.reshape(x.shape).movedim(0, -1)
    return x


def spectral_bound(x: Tensor) -> Tensor:
    """Return a lower bound [] of the spectral norm of a positive semidefinite matrix [n, n], exact for a diagonal [n].

    A step of power iteration from the longest column, as in the authors' code.
    """
    largest = x.abs().amax()
    if x.dim() == 1:
        return largest
    scaled = x / torch.where(largest > 0, largest, 1)
    column = scaled.index_select(1, scaled.square().sum(0).argmax().view(1)).view(-1)
    image = column @ scaled
    return largest * torch.linalg.vector_norm((image / torch.linalg.vector_norm(image).clamp(min=TINY)) @ scaled.mT)
