"""A region around a model with the whole Hessian."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from descend.derivatives.hessian import hessian
from descend.optimizers.parts.few import require_few
from descend.optimizers.parts.regional import Regional
from descend.optimizers.parts.spectrum import Eigenbasis
from descend.types import Loss, Params, State
from descend.vectors import numel


@dataclass(frozen=True)
class HessianRegion(Regional):
    """The model is f(x) + ∇f(x)·p + ½ pᵀ∇²f(x) p, with the Hessian as its eigenvalues λ and eigenvectors."""

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

    def init(self, params: Params) -> State:
        does = "solves an eigenvalue problem of that size at every step"
        require_few(self, params, does, "trust_region_cg, which needs only Hessian-vector products")
        return super().init(params)

    def learned(self, params: Params) -> State:
        like, n = next(iter(params.values())), numel(params)
        return {"values": like.new_zeros(n), "vectors": like.new_zeros(n, n)}

    def model(self, params: Params, loss: Loss, gradient: Tensor, before: State) -> State:
        return Eigenbasis.of(hessian(loss, params))._asdict()

    def solve(self, model: State, gradient: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        slopes = gradient @ model["vectors"]
        found, length = self.within(model["values"], slopes, radius)
        promised = -(slopes * found).sum() - (model["values"] * found * found).sum() / 2
        return model["vectors"] @ found, promised, length
