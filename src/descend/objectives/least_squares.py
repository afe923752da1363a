"""The contract of sums of squares."""

from abc import abstractmethod

from torch import Tensor

from descend.objectives.objective import Objective
from descend.types import Batch, Losses, Params


class LeastSquares(Objective):
    """One loss, the sum of squared residuals; methods that use the Jacobian of the residuals call `residuals`."""

    @abstractmethod
    def residuals(self, params: Params, batch: Batch) -> Tensor:
        """Return the residuals r, shape [m], at `params` on one batch; `batch=None` means the whole data."""

    def losses(self, params: Params, batch: Batch) -> Losses:
        residuals = self.residuals(params, batch)
        return {"value": (residuals * residuals).sum()}
