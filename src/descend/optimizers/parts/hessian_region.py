"""A region around a model with the whole Hessian."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.hessian import hessian
from descend.optimizers.parts.few import EIGENVALUES
from descend.optimizers.parts.regional import Regional
from descend.optimizers.parts.spectrum import Eigenbasis
from descend.scalars import cast
from descend.types import Loss, Params, State
from descend.vectors import numel


@dataclass(frozen=True)
class HessianRegion(Regional):
    """The model is f(x) + ∇f(x)·p + ½ pᵀ∇²f(x) p, with the Hessian as its eigenvalues λ and eigenvectors.

    Args:
        unit_free: measure steps by ‖D p‖, where Dᵢ is the largest √|∂²f/∂xᵢ²| so far, so that the units of the
            parameters make no difference (near a minimum of least squares this is Moré's scaling); `lr` is then a
            multiple of ‖D x‖, or of 1 where that is 0.
    """

    matrix = (EIGENVALUES, "trust_region_cg, which needs only Hessian-vector products")

    unit_free: bool = False

    @abstractmethod
    def within(self, values: Tensor, slopes: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        """Return the step [n] in the eigenvectors' coordinates, and its length as it compares with the radius, [].

        λ [n] ascends, and ∇f(x) [n] is in the same coordinates.
        """

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"hessian": steps}

    def learned(self, params: Params) -> State:
        like, n = next(iter(params.values())), numel(params)
        scale = {"scale": like.new_zeros(n)} if self.unit_free else {}
        return {"values": like.new_zeros(n), "vectors": like.new_zeros(n, n), **scale}

    def model(self, params: Params, loss: Loss, gradient: Tensor, before: State) -> State:
        matrix = hessian(loss, params)
        if not self.unit_free:
            return Eigenbasis.of(matrix)._asdict()
        scale = torch.maximum(matrix.diagonal().abs().sqrt(), before["scale"])
        safe = torch.where(scale > 0, scale, 1)
        return Eigenbasis.of(matrix / safe / safe[:, None])._asdict() | {"scale": scale}

    def first_radius(self, point: Tensor, model: State) -> Tensor:
        if not self.unit_free:
            return super().first_radius(point, model)
        length = torch.linalg.vector_norm(model["scale"] * point)
        return cast(self.lr, point) * torch.where(length > 0, length, 1)

    def solve(self, model: State, gradient: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scale = torch.where(model["scale"] > 0, model["scale"], 1) if self.unit_free else torch.ones_like(gradient)
        slopes = (gradient / scale) @ model["vectors"]
        found, length = self.within(model["values"], slopes, radius)
        promised = -(slopes * found).sum() - (model["values"] * found * found).sum() / 2
        return (model["vectors"] @ found) / scale, promised, length
