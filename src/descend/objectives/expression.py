"""An objective written as a formula."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.formula import CONSTANTS, FUNCTIONS, Formula
from descend.objectives.objective import Objective
from descend.types import Batch, Losses, Params


@dataclass(frozen=True)
class Expression(Objective):
    """One loss per formula, in the notation of `Formula`, over the parameters named in `start`.

    Args:
        formula: a formula whose value has shape [], or a dict of formulas by the names of their losses. The loss of a
            single formula is named `value`.
        start: the starting value of each parameter: a number, a nested list of numbers, or a floating-point tensor.
            None starts every name in the formulas at 1.
        op: the function that formulas call as `op(…)`: Tensor -> Tensor of the same shape; None means there is none.
        minimum: the known minimum of the sum of the losses, or None.

    Raises:
        ConfigurationError: a formula or a start is wrong; the message says which, and at which column.
    """

    formulas: ClassVar[dict[str, Formula]]
    first: ClassVar[Params]

    formula: str | Mapping[str, str]
    start: Mapping[str, float | Sequence[Any] | Tensor] | None = None
    op: Callable[[Tensor], Tensor] | None = None
    minimum: float | None = None

    def __post_init__(self) -> None:
        texts = {"value": self.formula} if isinstance(self.formula, str) else dict(self.formula)
        names = None if self.start is None else list(self.start)
        formulas = {loss: Formula(text, names, self.op) for loss, text in texts.items()}
        used = dict.fromkeys(name for formula in formulas.values() for name in formula.parameters)
        start = dict.fromkeys(used, 1.0) if self.start is None else dict(self.start)
        for name in start:
            self._check_name(name, used)
        if not start:
            raise ConfigurationError(
                "The formula names no parameter, so there is nothing to optimise: use one, such as x."
            )
        object.__setattr__(self, "formulas", formulas)
        object.__setattr__(self, "first", {name: _as_parameter(name, value) for name, value in start.items()})
        for loss in formulas:
            self._check_value(loss)

    def _check_name(self, name: str, used: Mapping[str, None]) -> None:
        if not name.isidentifier() or name in CONSTANTS or name in FUNCTIONS:
            raise ConfigurationError(f"{name!r} cannot name a parameter: choose a name such as x that is not taken.")
        if name not in used:
            raise ConfigurationError(
                f"The start names the parameter {name!r}, but no formula uses it (formula: {self.formula!r}): use it, "
                f"or leave it out (on the command line, ~objective.start.{name} removes one that a preset names)."
            )

    def _check_value(self, loss: str) -> None:
        formula = self.formulas[loss]
        try:
            value = formula(self.first)
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"The formula {formula.text!r} cannot be computed at its start ({error}): change one of them."
            ) from error
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise ConfigurationError(f"The formula {formula.text!r} depends on no parameter: use one, such as x.")
        if value.ndim > 0:
            raise ConfigurationError(
                f"The formula {formula.text!r} gives a tensor of shape {list(value.shape)}, but a loss is one number: "
                f"reduce it, as in 'sum({formula.text})'."
            )

    def init(self, generator: torch.Generator) -> Params:
        return {name: value.to(generator.device, copy=True) for name, value in self.first.items()}

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {loss: formula(params) for loss, formula in self.formulas.items()}


def _as_parameter(name: str, value: Any) -> Tensor:
    """Return the start as float64 on the CPU. A number may be of any real type; a tensor must be floating point."""
    if isinstance(value, Tensor):
        if not value.is_floating_point():
            raise ConfigurationError(
                f"The parameter {name!r} is a tensor of {value.dtype}, but only floating point parameters have "
                "derivatives: give a float, such as 5.0."
            )
        return value.detach().to(device="cpu", dtype=torch.float64, copy=True)
    try:
        as_given = torch.tensor(value, device="cpu")
        if as_given.dtype == torch.bool or as_given.is_complex():
            raise ValueError(f"it is of {as_given.dtype}")
        return torch.tensor(value, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f"The parameter {name!r} starts at {value!r}, which is not a number or a list of numbers ({error}): "
            f"give one, as in {{{name}: 2.0}} or {{{name}: [1.0, -2.0]}}."
        ) from error
