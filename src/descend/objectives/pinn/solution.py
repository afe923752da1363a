"""A candidate for the solution of a differential equation, and its partial derivatives by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

from torch import Tensor

from descend.derivatives import auto_partials, nested_partials, taylor_partials
from descend.derivatives.partials import Field
from descend.errors import ConfigurationError

MODES: dict[str, Callable[..., dict[Any, Tensor]]] = {
    "auto": auto_partials,
    "nested": nested_partials,
    "taylor": taylor_partials,
}


@dataclass(frozen=True)
class Solution:
    """The unknowns of a system of equations as functions of its variables.

    Called as `u_t, u_xx = solution(points, "u_t", "u_xx")` it returns each named derivative at points [n, d], of shape
    [n] and differentiable in the parameters of the network; a single name gives a single tensor. Derivatives that are
    asked for in one call are computed together.

    Args:
        field: points [n, d] -> the unknowns there, [n, unknowns].
        variables: a letter for each coordinate.
        unknowns: a name for each output of the field.
        mode: `nested` (reverse mode over reverse mode), `taylor` (truncated Taylor series), or `auto`, which chooses by
            the orders asked for.
    """

    field: Field
    variables: str
    unknowns: tuple[str, ...] = ("u",)
    mode: str = "auto"

    @overload
    def __call__(self, points: Tensor, name: str, /) -> Tensor: ...

    @overload
    def __call__(self, points: Tensor, name: str, /, *names: str) -> tuple[Tensor, ...]: ...

    def __call__(self, points: Tensor, *names: str) -> Tensor | tuple[Tensor, ...]:
        wanted = [self.parse(name) for name in names]
        found = MODES[self.mode](self.field, points, dict.fromkeys(index for _, index in wanted))
        columns = tuple(found[index][:, output] for output, index in wanted)
        return columns if len(columns) > 1 else columns[0]

    def parse(self, name: str) -> tuple[int, tuple[int, ...]]:
        """Return the index of the unknown in a name like `u_xxt`, and the order of its derivative in each variable."""
        unknown, _, letters = name.partition("_")
        if unknown not in self.unknowns or set(letters) - set(self.variables):
            raise ConfigurationError(
                f"The derivative {name!r} was asked for, but the unknowns are {', '.join(self.unknowns)} and the "
                f"variables {', '.join(self.variables)}: write the unknown, and after an underscore the variables it "
                f"is differentiated in, as in {self.unknowns[0]}_{2 * self.variables[0]}."
            )
        return self.unknowns.index(unknown), tuple(letters.count(variable) for variable in self.variables)
