"""The matrices whose curvature is looked at, as products."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.gauss_newton import GaussNewtonProduct, empirical_fisher_product, fisher_product
from descend.derivatives.gradient import gradient
from descend.derivatives.products import HessianProduct, Product
from descend.errors import ConfigurationError
from descend.types import Params, Total


class Matrix(ABC):
    """A symmetric matrix [n, n] of second-order information at a point."""

    @abstractmethod
    def product(self, total: Total, params: Params) -> Product:
        """Return its product with vectors, for the parameters `params` alone."""


@dataclass(frozen=True)
class Hessian(Matrix):
    """∇²f."""

    def product(self, total: Total, params: Params) -> Product:
        return HessianProduct(total.loss, params)


@dataclass(frozen=True)
class GaussNewton(Matrix):
    """Jᵀ H J of a network: J the Jacobian of its outputs, H the Hessian of the loss in them. Penalties are left out."""

    def product(self, total: Total, params: Params) -> Product:
        outputs, outer = network(self, total)
        return GaussNewtonProduct(outputs, outer, params)


@dataclass(frozen=True)
class Fisher(Matrix):
    """The Fisher matrix of a classifier, over labels that the model itself would draw; outputs [examples, classes]."""

    def product(self, total: Total, params: Params) -> Product:
        return fisher_product(network(self, total)[0], params)


@dataclass(frozen=True)
class EmpiricalFisher(Matrix):
    """(1/B) Σ_b g_b g_bᵀ, g_b the gradient of example b's own loss, for a loss that is the mean over the examples.

    With u = ∂loss/∂outputs, whose row b is that of example b over B, g_b is the gradient of ⟨B u_b, outputs_b⟩.
    """

    def product(self, total: Total, params: Params) -> Product:
        outputs, outer = network(self, total)
        with torch.no_grad():
            at = outputs(params)
        pull = len(at) * gradient(lambda point: outer(point["outputs"]), {"outputs": at})["outputs"]
        return empirical_fisher_product(lambda point: (outputs(point) * pull).flatten(start_dim=1).sum(dim=1), params)


def network(matrix: Matrix, total: Total) -> tuple[Callable[[Params], Tensor], Callable[[Tensor], Tensor]]:
    """Return the outputs and the loss in them, which there must be."""
    if total.composed is None:
        raise ConfigurationError(
            f"{type(matrix).__name__} is made of a network's outputs, and this objective has none: look at its Hessian "
            "instead (metrics.curvature.matrix._target_=descend.metrics.curvature.matrices.Hessian), or choose an "
            "objective with data (digits_mlp)."
        )
    return total.composed.outputs, total.composed.outer
