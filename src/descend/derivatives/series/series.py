"""A tensor that carries its truncated Taylor series, so that ordinary torch code computes with whole series."""

import itertools
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor

from descend.derivatives.series.constant import CONSTANT, METADATA
from descend.derivatives.series.fallback import differentiate_nested, refuse_in_place
from descend.derivatives.series.rules import DECOMPOSITIONS, PRIMITIVES
from descend.errors import ConfigurationError
from descend.graph.compat import DisableTorchFunctionSubclass, make_wrapper, pytree

_depths = itertools.count()
_ALIASES = {"axis": "dim", "keepdims": "keepdim"}


class Variable:
    """The t of x(t) = x_0 + x_1 t + … + x_order t^order + O(t^(order+1)).

    Expansions nest: one that begins inside another has the greater `depth`, and treats a series in the outer variable
    as a constant. This keeps d/ds and d/dt apart (no perturbation confusion).
    """

    def __init__(self, order: int, followed: bool = False) -> None:
        self.order = order
        self.followed = followed  # whether autograd follows what happens to the expanded tensors
        self.depth = next(_depths)

    def owns(self, value: Any) -> TypeGuard["Series"]:
        """Whether `value` is a series in this variable."""
        return isinstance(value, Series) and value.variable is self

    def series(self, rows: Tensor) -> Tensor:
        """`rows` [m, *shape], x_k in row k, as one value of shape [*shape]; missing rows are zero."""
        return rows[0] if rows.shape[0] == 1 else Series(rows, self)

    def series_and_constant(self, a: Any, b: Any) -> tuple["Series", Any]:
        """The one of two arguments that is a series, and the other, which is a constant."""
        return (a, b) if self.owns(a) else (b, a)

    def rows(self, value: Tensor) -> Tensor:
        """The coefficients [m, *shape], m ≤ order + 1, of a series; of a constant, m = 1."""
        return value.coefficients if self.owns(value) else value[None]

    def constant_term(self, value: Any) -> Any:
        """x_0 of a series; anything else as it is."""
        return value.coefficients[0] if self.owns(value) else value


class Series(Tensor):
    """x(t) truncated: has the shape, dtype and device of x_0, and `coefficients` [m, *shape] with x_k in row k.

    Every torch function called on it is carried out by its rule (`rules.py`). It holds no values of its own: a call
    that bypasses torch's function protocol raises, instead of computing with x_0 alone.
    """

    coefficients: Tensor
    variable: Variable

    @staticmethod
    def __new__(cls, coefficients: Tensor, variable: Variable) -> "Series":
        shape = coefficients.shape[1:]
        return make_wrapper(cls, shape, dtype=coefficients.dtype, device=coefficients.device)

    def __init__(self, coefficients: Tensor, variable: Variable) -> None:
        self.coefficients = coefficients
        self.variable = variable

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in METADATA:
            with DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        t = deepest_variable((args, kwargs))
        assert t is not None  # torch calls this because there is a series among the arguments
        return _carry_out(t, func, args, kwargs)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub leaves out the class
        cls, func: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise ConfigurationError(
            f"{func} was reached by a Taylor series outside torch's function protocol, as happens inside torch.vmap or "
            "torch.func.grad. Write that part of the function with torch.autograd.grad, or with a batch dimension."
        )


def _carry_out(t: Variable, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    refuse_in_place(func, kwargs)
    if func in CONSTANT or not torch.is_grad_enabled():
        return func(*pytree.tree_map(t.constant_term, args), **pytree.tree_map(t.constant_term, kwargs))
    kwargs = {_ALIASES.get(name, name): value for name, value in kwargs.items() if name != "out"}
    args = (kwargs.pop("input"), *args) if "input" in kwargs else args
    result = NotImplemented
    if func in PRIMITIVES:
        result = PRIMITIVES[func](t, *args, **kwargs)
    elif func in DECOMPOSITIONS:
        result = DECOMPOSITIONS[func](*args, **kwargs)
    return differentiate_nested(t, func, args, kwargs) if result is NotImplemented else result


def deepest_variable(arguments: Any) -> Variable | None:
    """The innermost variable of the series among `arguments`, a tree; None where there is none."""
    if isinstance(arguments, Series):
        return arguments.variable
    if isinstance(arguments, dict):
        arguments = arguments.values()
    elif not isinstance(arguments, tuple | list):
        return None
    return max(filter(None, map(deepest_variable, arguments)), key=lambda t: t.depth, default=None)
