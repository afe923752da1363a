"""K-FAC."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.layers import Layer
from descend.optimizers.parts.kronecker import Eigen, Kronecker
from descend.scalars import cast, root
from descend.types import State


@dataclass(frozen=True)
class KFAC(Kronecker):
    """x ← x − lr · m, m ← μm + νd, with d = (G + √γ/π I)⁻¹ g (A + π√γ I)⁻¹ for the gradient g, [out, in], of a layer.

    A = E[a aᵀ] for the inputs a of a layer, with a 1 appended for its bias; G = E[s sᵀ] for the gradients s of
    −log p(y) in its outputs, with labels y drawn from the model's own distribution p. A ⊗ G approximates the layer's
    block of the Fisher matrix: Martens & Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature" (ICML 2015), with the damping of section 6.3, π² = (tr A / dim A) / (tr G / dim G). In a 2-d convolution
    the inputs a are the patches under its kernel: Grosse & Martens, "A Kronecker-factored approximate Fisher matrix for
    convolution layers" (ICML 2016); in a sequence they are its positions. ν = min(1, √(κ / (lr² dᵀg))) is from Ba,
    Grosse & Martens, "Distributed second-order optimization using Kronecker-factored approximations" (ICLR 2017).

    All parameters outside of linear layers and 2-d convolutions (in norms, embeddings, torch's fused attention) use the
    diagonal f of the Fisher matrix, from the same labels: d = g / (f + γ). Penalties of the parameters enter g alone. A
    weight that a layer and an embedding share uses the block of its layer.

    An estimate costs a second gradient, on the step's whole batch, and eigenvectors, O(in³ + out³) for each layer. Only
    one in `every` steps makes one.

    Args:
        lr: learning rate, > 0.
        damping: γ > 0.
        momentum: μ in [0, 1).
        decay: in [0, 1): the k-th estimate weighs the previous average by min(1 − 1/k, decay).
        kl_clip: κ > 0; νd changes the distribution of the outputs by a Kullback-Leibler divergence of at most κ/2.
        every: steps from one estimate of the factors to the next, ≥ 1.
        largest: a layer with more inputs or outputs gets the diagonal, ≥ 1.

    Raises:
        ConfigurationError: by `attached`, for a network without such layers, or a loss not known to be a −log p.
    """

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return dict.fromkeys(("function", "gradient"), -(-steps // self.every))

    def kept(self, block: Tensor) -> State:
        return {}

    def scales(self, eigen: Eigen, layer: Layer, kept: State, due: Tensor) -> tuple[Tensor, State]:
        means = eigen.into_values.mean(), eigen.out_values.mean()
        share = (means[0] / means[1]).sqrt()
        share = torch.where(share.isfinite() & (share > 0), share, 1)
        shift = cast(root(self.damping), share)
        return torch.outer(eigen.out_values + shift / share, eigen.into_values + shift * share), kept
