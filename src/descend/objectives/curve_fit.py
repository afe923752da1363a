"""A curve fitted to data by least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.derivatives.columns import jacobian_by_columns
from descend.errors import ConfigurationError
from descend.objectives.formula import Formula
from descend.objectives.least_squares import LeastSquares
from descend.types import Batch, Params


@dataclass(frozen=True)
class CurveFit(LeastSquares):
    """Σᵢ (yᵢ − formula(xᵢ))² over the rows of a table, as a function of the parameters that `start` names.

    Its metrics are the residual standard deviation s = √(f / (m − n)) of m rows and n parameters, and the standard
    error of each parameter, the square root of its entry on the diagonal of s² (JᵀJ)⁻¹, where J is the Jacobian of the
    residuals (Bates & Watts, "Nonlinear regression analysis and its applications", 1988, section 2.2.3). They are NaN
    where m ≤ n.

    Args:
        formula: in the notation of `Formula`, over columns and parameters, such as `a * exp(-b * x)`.
        columns: the table: a list of numbers for each column name, all of the same length.
        start: the starting value of each parameter.
        response: the column y.

    Raises:
        ConfigurationError: a column is missing or of another length, a name is unknown or has two meanings, or the
            formula is wrong.
    """

    table: ClassVar[Tensor]
    curve: ClassVar[Formula]

    formula: str
    columns: Mapping[str, Sequence[float]]
    start: Mapping[str, float]
    response: str = "y"

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if self.response not in lengths or len(set(lengths.values())) > 1 or 0 in lengths.values():
            found = ", ".join(f"{name}: {count}" for name, count in lengths.items()) or "none"
            raise ConfigurationError(
                f"CurveFit.columns has the columns {found} rows, but all columns need the same number of rows, one or "
                f"more, and one of them must be {self.response!r}; change columns or response."
            )
        twice = [name for name in self.start if name in lengths]
        if twice or not self.start:
            found = f"{twice[0]!r} is a parameter and a column" if twice else "start names no parameter"
            raise ConfigurationError(f"In CurveFit {found}; give every parameter a name of its own and a start.")
        try:
            table = torch.tensor(list(self.columns.values()), dtype=torch.float64, device="cpu")
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"CurveFit.columns holds a value that is not a number ({error}); give numbers."
            ) from error
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "curve", Formula(self.formula, [*lengths, *self.start]))

    def init(self, generator: torch.Generator) -> Params:
        kind: dict[str, Any] = {"dtype": torch.float64, "device": generator.device}
        return {name: torch.tensor(float(value), **kind) for name, value in self.start.items()}

    def residuals(self, params: Params, batch: Batch) -> Tensor:
        columns = dict(zip(self.columns, self.table.unbind(), strict=True))
        return columns[self.response] - self.curve({**params, **columns})

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        residuals, jacobian = jacobian_by_columns(lambda at: self.residuals(at, None), params)
        rows, count = jacobian.shape
        deviation = (torch.dot(residuals, residuals) / (rows - count if rows > count else torch.nan)).sqrt()
        norms = torch.linalg.vector_norm(jacobian, dim=0)  # scaling the columns to length 1 loses fewer digits
        triangle = torch.linalg.qr(jacobian / norms).R
        identity = torch.eye(count, dtype=triangle.dtype, device=triangle.device)
        inverse = torch.linalg.solve_triangular(triangle, identity, upper=True)
        errors = deviation * torch.linalg.vector_norm(inverse, dim=1) / norms
        named = {f"standard_error_{name}": x for name, x in zip(params, errors.unbind(), strict=True)}
        return {"residual_standard_deviation": deviation} | named
