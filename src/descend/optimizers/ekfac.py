"""EKFAC."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.layers import Layer
from descend.optimizers.arithmetic import moving_average
from descend.optimizers.parts.kronecker import Eigen, Kronecker
from descend.scalars import cast
from descend.types import State


@dataclass(frozen=True)
class EKFAC(Kronecker):
    """x ← x − lr · m, m ← μm + νd, with d = Q_G (Q_Gᵀ g Q_A / (S + γ)) Q_Aᵀ for the gradient g, [out, in], of a layer.

    Q_A and Q_G are the eigenvectors of K-FAC's factors A and G. S is the second moment, in that basis, of the gradients
    of −log p(y) of single examples, with labels y drawn from the model's own distribution p. It is a moving average
    over all steps; in a new basis it starts from K-FAC's moments, the products of the eigenvalues. George et al., "Fast
    approximate natural gradient descent in a Kronecker-factored eigenbasis" (NeurIPS 2018), Algorithm 1 with running
    averages. See `kfac` for A, G and ν, and for the parameters outside of such layers.

    Every step costs a second gradient, and memory for the gradients of single examples in a layer with several places
    (a convolution, a sequence). The eigenvectors cost O(in³ + out³) for each layer, once in `every` steps.

    Args:
        lr: learning rate, > 0.
        damping: γ > 0.
        momentum: μ in [0, 1).
        decay: in [0, 1): the k-th estimate of the factors weighs their previous average by min(1 − 1/k, decay); every
            step weighs the previous average of S by `decay`.
        kl_clip: κ > 0; νd changes the distribution of the outputs by a Kullback-Leibler divergence of at most κ/2.
        every: steps from one estimate of the factors to the next, ≥ 1.
        largest: a layer with more inputs or outputs gets the diagonal, ≥ 1.

    Raises:
        ConfigurationError: by `attached`, for a network without such layers, or a loss not known to be a −log p.
    """

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return dict.fromkeys(("function", "gradient"), steps)

    def kept(self, block: Tensor) -> State:
        return {"moments": block}

    def scales(self, eigen: Eigen, layer: Layer, kept: State, due: Tensor) -> tuple[Tensor, State]:
        before = torch.where(due, torch.outer(eigen.out_values, eigen.into_values), kept["moments"])
        moments = moving_average(before, second_moments(eigen.rotated(layer)), self.decay)
        return moments + cast(self.damping, moments), {"moments": moments}


def second_moments(layer: Layer) -> Tensor:
    """Return the sum over examples of their squared gradients, [out, in]; a gradient is the sum over its places."""
    a, s = layer
    if a.shape[1] == 1:  # (s aᵀ)² is s² (a²)ᵀ, so that no example needs a matrix of its own
        a, s = a[:, 0], s[:, 0]
        return (s * s).mT @ (a * a)
    each = s.mT @ a
    return (each * each).sum(0)
