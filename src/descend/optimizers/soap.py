"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from descend.checks import check_number, check_pair
from descend.graph.renewal import renewed_where
from descend.optimizers.arithmetic import add_scaled, moving_average, moving_square, root_plus, state_number
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.scalars import ratio, real, root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class SOAP(Optimizer):
    """L ← β₂L + (1−β₂)GGᵀ, R ← β₂R + (1−β₂)GᵀG with eigenvectors Q_L, Q_R, and Adam on G' = Q_LᵀGQ_R:

    m ← β₁m + (1−β₁)G', v ← β₂v + (1−β₂)G'², x ← x − lr · Q_L (m · √(1−β₂ᵗ)/(1−β₁ᵗ) / (√v + ε)) Q_Rᵀ, then
    x ← (1 − lr · λ)x; m is turned into the new bases where they change. A tensor of more dimensions has a basis for
    each; a vector is updated as by Adam.

    Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam" (ICLR 2025), Algorithm 3. The bases are the
    eigenvectors at the first step, which moves nothing, and later one step of power iteration, by a QR decomposition
    (Algorithm 4), taken every so many steps. The defaults are those of the authors' code, nikhilvyas/SOAP.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first moment, and of the second and of L and R, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
        every: steps from one power iteration to the next, ≥ 1.
        largest: a dimension of more entries has no basis, ≥ 1.
    """

    lr: float = 3e-3
    betas: tuple[float, float] = (0.95, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.01
    every: int = 10
    largest: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        for name in ("eps", "weight_decay"):
            check_number(self, name, at_least=0)
        for name in ("every", "largest"):
            check_number(self, name, at_least=1)

    def axes(self, x: Tensor) -> list[int]:
        """Return the dimensions of a parameter that have a basis."""
        return [i for i, size in enumerate(x.shape) if size <= self.largest] if x.dim() > 1 else []

    def init(self, params: Params) -> State:
        def squares() -> dict[str, tuple[Tensor, ...]]:
            sizes = {name: [x.shape[axis] for axis in self.axes(x)] for name, x in params.items()}
            return {name: tuple(params[name].new_zeros(n, n) for n in own) for name, own in sizes.items()}

        return {
            "rotated": {name: torch.zeros_like(x) for name, x in params.items()},
            "second": {name: torch.zeros_like(x) for name, x in params.items()},
            "grams": squares(),
            "bases": squares(),
            "power1": state_number(1.0, params),
            "power2": state_number(1.0, params),
            "step": 0.0,
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        step = real(state["step"])
        begins, due = step == 0, (step > 0) & (step % self.every == 0)
        power1 = torch.where(begins, 1, state["power1"] * beta1)
        power2 = torch.where(begins, 1, state["power2"] * beta2)
        rate = self.lr * ratio(root(1 - power2), 1 - power1)
        new, first, second, grams, bases = {}, {}, {}, {}, {}
        for name, x in params.items():
            g, axes, own = gradients[name], self.axes(x), state["bases"][name]
            inside = rotated(g, axes, own)
            m = torch.where(begins, 0, moving_average(state["rotated"][name], inside, beta1))
            v = torch.where(begins, 0, moving_square(state["second"][name], inside, beta2))
            update = rotated(m / root_plus(v, self.eps), axes, own, back=True)
            moved = decayed({name: add_scaled(x, update, -rate)}, self.weight_decay, self.lr)[name]
            new[name] = torch.where(begins, x, moved)
            known = zip(state["grams"][name], axes, strict=True)
            grams[name] = tuple(moving_average(gram, gram_of(g, axis), beta2) for gram, axis in known)
            own = renewed_where(eigenbases, begins, own, *grams[name]) if axes else ()
            *own, first[name], second[name] = (
                renewed_where(partial(power_iteration, axes), due, (*own, m, v), *grams[name]) if axes else (m, v)
            )
            bases[name] = tuple(own)
        powers = {"power1": power1, "power2": power2, "step": state["step"] + 1}
        return new, {"rotated": first, "second": second, "grams": grams, "bases": bases, **powers}


def gram_of(x: Tensor, axis: int) -> Tensor:
    """Return X Xᵀ, [n, n], of the matrix X [n, …] whose rows are the slices along an axis of length n."""
    others = [i for i in range(x.dim()) if i != axis]
    return torch.tensordot(x, x, dims=[others, others])


def rotated(x: Tensor, axes: Sequence[int], bases: Sequence[Tensor], back: bool = False) -> Tensor:
    """Return x with each of these axes in its basis, or back from it."""
    known = dict(zip(axes, bases, strict=True))
    for axis in range(x.dim()):  # the first axis becomes the last, so that the order is what it was in the end
        x = torch.tensordot(x, known[axis], dims=[[0], [int(back)]]) if axis in known else x.movedim(0, -1)
    return x


def eigenbases(*matrices: Tensor) -> tuple[Tensor, ...]:
    """Return the eigenvectors of the second half of the matrices, the largest eigenvalue first, as columns.

    NaN of a matrix that is not finite, which LAPACK would refuse.
    """
    found = []
    for gram in matrices[len(matrices) // 2 :]:
        finite = gram.isfinite().all()
        vectors = torch.linalg.eigh(torch.where(finite, gram, 0)).eigenvectors.flip(1)
        found.append(torch.where(finite, vectors, torch.nan))
    return tuple(found)


def power_iteration(axes: Sequence[int], *tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the bases after a step of power iteration, the first moment in them, and the second in their order.

    The columns are put in the order of their Rayleigh quotients first, the largest first.

    Args:
        tensors: the bases, both moments, and the matrices whose eigenvectors the bases follow.
    """
    count = len(axes)
    bases, first, second, grams = tensors[:count], tensors[count], tensors[count + 1], tensors[count + 2 :]
    found = []
    for axis, basis, gram in zip(axes, bases, grams, strict=True):
        image = gram @ basis
        order = (basis * image).sum(0).argsort(descending=True, stable=True)
        second = second.index_select(axis, order)
        found.append(torch.linalg.qr(image.index_select(1, order)).Q)
    first = rotated(rotated(first, axes, bases, back=True), axes, found)
    return (*found, first, second)
