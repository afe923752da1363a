"""Derivatives with many digits: mpmath's differences, and sympy's symbols, of the traced function."""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import sympy
import torch
from torch import Tensor, fx

from descend.audit.arithmetic import Arithmetic, Untranslated
from descend.audit.interpreter import Interpreter
from descend.audit.reference import Reference

DIGITS = 30
LARGEST_NUMERIC = 4_000
"""Elementary operations in a function worth computing with mpmath, some 10 ms a value."""
LARGEST_SYMBOLIC = 100
"""Elementary operations in a function worth differentiating symbolically: what a person would write as a formula."""
ACCURACY = 1e-20
"""Error of mpmath's differences, as a share of the function's own size."""


class ThirtyDigits:
    """The traced function with thirty digits.

    Raises Untranslated, when evaluated, where the function is too large or has an operation that mpmath lacks.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        self.context = mpmath.mp.clone()
        self.context.dps = DIGITS
        arithmetic = Arithmetic(self.context, self.context.mpf, decides=True)
        self._interpreter = Interpreter(graph, arithmetic, LARGEST_NUMERIC)

    def __call__(self, *s: Any) -> Any:
        """The value at a point of mpmath's numbers."""
        return self._interpreter.evaluate(np.array(s, dtype=object))

    def at(self, s: Tensor) -> Any:
        """The value at a float64 point [d]."""
        return self(*(self.context.mpf(x) for x in s.tolist()))


def thirty_digits(graph: fx.GraphModule, at: Tensor, order: int) -> Reference:
    """The derivative of the traced function by differences in some hundred digits, from both sides.

    Raises Untranslated where the function is too large or has an operation that mpmath lacks.
    """
    value = ThirtyDigits(graph)
    point = [value.context.mpf(x) for x in at.tolist()]

    def from_side(side: int) -> Tensor:
        return _symmetric(lambda n: value.context.diff(value, point, n, direction=side), at, order)

    left, right = from_side(-1), from_side(1)
    scale = abs(float(value.at(at)))
    low, high = torch.minimum(left, right), torch.maximum(left, right)
    return Reference("mpmath differences", low, high, torch.full_like(low, ACCURACY * scale), scale)


def symbolic(graph: fx.GraphModule, at: Tensor, order: int) -> Reference:
    """The derivative of the traced function by sympy, to 30 digits.

    Raises Untranslated where the function is too large or branches.
    """
    symbols = [sympy.Symbol(f"s{i}", real=True) for i in range(len(at))]
    interpreter = Interpreter(graph, Arithmetic(sympy, sympy.Rational, decides=False), LARGEST_SYMBOLIC)
    formula = interpreter.evaluate(np.array(symbols, dtype=object))
    if sympy.count_ops(formula) > LARGEST_SYMBOLIC:
        raise Untranslated(f"a formula of more than {LARGEST_SYMBOLIC} operations")
    values = {symbol: sympy.Rational(x) for symbol, x in zip(symbols, at.tolist(), strict=True)}

    def derivative(orders: tuple[int, ...]) -> Any:
        repeated = [(symbol, n) for symbol, n in zip(symbols, orders, strict=True) if n]
        return sympy.diff(formula, *repeated).evalf(DIGITS, subs=values)

    tensor = _symmetric(derivative, at, order)
    return Reference("sympy", tensor, tensor, torch.zeros_like(tensor))


def _symmetric(derivative: Callable[[tuple[int, ...]], Any], at: Tensor, order: int) -> Tensor:
    """The tensor [d, …, d] of partial derivatives, each computed once from the order in every variable."""
    tensor = np.empty((len(at),) * order)
    for indices in itertools.combinations_with_replacement(range(len(at)), order):
        counted = Counter(indices)
        value = float(derivative(tuple(counted[i] for i in range(len(at)))))
        for permuted in set(itertools.permutations(indices)):
            tensor[permuted] = value
    return torch.from_numpy(tensor).to(at)
