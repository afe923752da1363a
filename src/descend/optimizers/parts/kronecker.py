"""The common part of K-FAC and EKFAC: blocks of the Fisher matrix in the eigenbases of Kronecker products."""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.layers import Biases, Layer, layer_gradients, layers_of
from descend.errors import ConfigurationError
from descend.graph.renewal import renewed_where
from descend.optimizers.arithmetic import add_scaled, moving_average, scaled
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.parts.outputs import drawn_of, network_of
from descend.scalars import cast, ratio, real, root, smaller
from descend.types import Composed, Loss, Params, State
from descend.vectors import dot


class Eigen(NamedTuple):
    """The eigenvectors of A [in, in] and of G [out, out], as columns, and their eigenvalues, [in] and [out], ≥ 0."""

    into: Tensor
    out: Tensor
    into_values: Tensor
    out_values: Tensor

    def rotated(self, layer: Layer) -> Layer:
        """Return a layer's inputs and gradients in this basis."""
        return Layer(layer.inputs @ self.into, layer.gradients @ self.out)


@dataclass(frozen=True)
class Kronecker(Optimizer):
    """x ← x − lr · m, m ← μm + νd, with d = P⁻¹g, and a block of P for each layer, diagonal in the eigenbasis of A ⊗ G.

    `KFAC` and `EKFAC` document the fields. A and G are averaged and decomposed at the first step, and then once in
    `every` steps.
    """

    lr: float = 0.01
    damping: float = 0.01
    momentum: float = 0.9
    decay: float = 0.95
    kl_clip: float = 1e-3
    every: int = 10
    largest: int = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("damping", "kl_clip"):
            check_number(self, name, above=0)
        for name in ("momentum", "decay"):
            check_number(self, name, at_least=0, below=1)
        for name in ("every", "largest"):
            check_number(self, name, at_least=1)
        object.__setattr__(self, "_layers", None)

    @abstractmethod
    def kept(self, block: Tensor) -> State:
        """Return the state of a layer beside its factors, before the first step; `block` is zeros [out, in]."""

    @abstractmethod
    def scales(self, eigen: Eigen, layer: Layer, kept: State, due: Tensor) -> tuple[Tensor, State]:
        """Return the damped eigenvalues [out, in] of a layer's P in this basis, and the new state that `kept` was.

        Args:
            due: whether the basis is new, a bool [].
        """

    @property
    def needs_outputs(self) -> bool:
        return True

    def attached(self, network: Composed, params: Params) -> Self:
        drawn_of(network)
        found = layers_of(network.outputs, params)
        layers = {name: bias for name, bias in found.items() if max(block_of(params, name, bias).shape) <= self.largest}
        if not layers:
            raise ConfigurationError(
                f"{type(self).__name__} was given a network without a linear layer or 2-d convolution of at most "
                f"{self.largest:,} inputs and outputs; choose another optimizer (sophia_g, adam)."
            )
        changed = copy.copy(self)
        object.__setattr__(changed, "_layers", layers)
        return changed

    @property
    def layers(self) -> Biases:
        """The layers of the network to which the optimizer is attached.

        Raises:
            ConfigurationError: it is not attached to any.
        """
        known: Biases | None = self._layers  # type: ignore[attr-defined]
        if known is None:
            raise ConfigurationError(f"{type(self).__name__} knows no network; take the one that `attached` returns.")
        return known

    def init(self, params: Params) -> State:
        blocks = {name: torch.zeros_like(block_of(params, name, bias)) for name, bias in self.layers.items()}
        within = {*self.layers, *self.layers.values()}
        return {
            "first": {name: torch.zeros_like(x) for name, x in params.items()},
            "layers": {name: {**zero_factors(block), "kept": self.kept(block)} for name, block in blocks.items()},
            "diagonal": {name: torch.zeros_like(x) for name, x in params.items() if name not in within},
            "step": 0.0,
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        step = real(state["step"])
        due = step % self.every == 0
        decay = smaller(1 - ratio(1, step / self.every + 1), self.decay)

        def averaged(before: Tensor, found: Tensor) -> Tensor:
            return torch.where(due, moving_average(before, found, decay), before)

        network = network_of(loss)
        found, others = layer_gradients(network.outputs, drawn_of(network), params, self.layers)
        diagonal = {name: averaged(state["diagonal"][name], g * g) for name, g in others.items()}
        directions = {name: gradients[name] / (f + cast(self.damping, f)) for name, f in diagonal.items()}
        layers = {}
        for name, layer in found.items():
            before, bias = state["layers"][name], self.layers[name]
            factors = [averaged(x, gram) for x, gram in zip(before["factors"], grams_of(layer), strict=True)]
            eigen = Eigen(*renewed_where(eigen_of, due, tuple(before["eigen"]), *factors))
            scales, kept = self.scales(eigen, layer, before["kept"], due)
            layers[name] = {"factors": factors, "eigen": list(eigen), "kept": kept}
            turned = eigen.out.mT @ block_of(gradients, name, bias) @ eigen.into
            directions |= weight_and_bias(eigen.out @ (turned / scales) @ eigen.into.mT, params, name, bias)
        shorter = self.clipped(directions, gradients)
        first = {
            name: add_scaled(scaled(directions[name], shorter), m, self.momentum) for name, m in state["first"].items()
        }
        new = {name: add_scaled(x, first[name], -self.lr) for name, x in params.items()}
        return new, {"first": first, "layers": layers, "diagonal": diagonal, "step": state["step"] + 1}

    def clipped(self, directions: Params, gradients: Params) -> Tensor:
        """Return ν = min(1, √(κ / (lr² dᵀg))), float64 [], with dᵀg = dᵀPd."""
        return root(ratio(self.kl_clip, real(dot(directions, gradients)) * self.lr * self.lr)).clamp(max=1)


def block_of(values: Params, weight: str, bias: str | None) -> Tensor:
    """Return a layer's weight as [out, in], with its bias as a last column."""
    flat = values[weight].flatten(start_dim=1)
    return flat if bias is None else torch.cat([flat, values[bias][:, None]], dim=1)


def weight_and_bias(block: Tensor, like: Params, weight: str, bias: str | None) -> Params:
    """Return the weight and bias in a layer's block [out, in], by name."""
    if bias is None:
        return {weight: block.view_as(like[weight])}
    return {weight: block[:, :-1].reshape(like[weight].shape), bias: block[:, -1]}


def zero_factors(block: Tensor) -> State:
    """Return A and G, and their eigenvectors and eigenvalues, before the first step: zeros."""
    out, into = block.shape
    squares = [block.new_zeros(n, n) for n in (into, out, into, out)]
    return {"factors": squares[:2], "eigen": [*squares[2:], block.new_zeros(into), block.new_zeros(out)]}


def grams_of(layer: Layer) -> tuple[Tensor, Tensor]:
    """Return A and G on a batch: the mean of a aᵀ over all examples and places, and the sum of s sᵀ over them.

    The gradients s are those of √n times the mean of n losses, so the sum of s sᵀ over n examples is the mean of the
    products of each example's own gradient. For the sum over places see Grosse & Martens, "A
    Kronecker-factored approximate Fisher matrix for convolution layers" (2016), §3.
    """
    a, s = layer.inputs.flatten(end_dim=1), layer.gradients.flatten(end_dim=1)
    return a.mT @ a / len(a), s.mT @ s


def eigen_of(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the fields of `Eigen` for A and G, the last two tensors; NaN if not finite, since LAPACK refuses that."""
    vectors, values = [], []
    for gram in tensors[-2:]:
        finite = gram.isfinite().all()
        found = torch.linalg.eigh(torch.where(finite, gram, 0))
        vectors.append(torch.where(finite, found.eigenvectors, torch.nan))
        values.append(found.eigenvalues.clamp(min=0))
    return (*vectors, *values)
