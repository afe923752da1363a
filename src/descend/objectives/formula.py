"""A formula in one line of text, turned into a function of tensors without ever running the text."""

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import reduce
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from descend.errors import ConfigurationError

TensorOrNumber = Any
"""A tensor, or a Python number where no tensor has entered yet: indices, exponents, loop counters."""

Evaluate = Callable[[Mapping[str, TensorOrNumber]], TensorOrNumber]
"""The value of a part of a formula, given the values of its names."""

CONSTANTS = {"pi": math.pi, "e": math.e}
ELEMENTWISE = (
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "abs", "sign", "sigmoid", "relu", "erf"),
)
FUNCTIONS: dict[str, tuple[Callable[..., Tensor], int]] = {
    **{name: (getattr(torch, name), 1) for name in ELEMENTWISE},
    "softplus": (functional.softplus, 1),
    "atan2": (torch.atan2, 2),
    "max": (torch.maximum, 2),
    "min": (torch.minimum, 2),
    "sum": (torch.sum, 1),
    "mean": (torch.mean, 1),
    "detach": (Tensor.detach, 1),
}
"""The functions that a formula may call, with their numbers of arguments."""


def formula_power(base: TensorOrNumber, exponent: TensorOrNumber) -> TensorOrNumber:
    """Return base ** exponent, of numbers in floating point: a tower of powers overflows and fills no memory."""
    if isinstance(base, Tensor) or isinstance(exponent, Tensor):
        return base**exponent
    return math.pow(base, exponent)


OPERATORS: dict[type, Callable[[TensorOrNumber, TensorOrNumber], TensorOrNumber]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: formula_power,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
LIKE = ""
"""The key, among the names, of the value whose dtype and device a number takes when it becomes a tensor."""

LONGEST_TEXT = 10_000
LONGEST_LOOP = 10_000


class Formula:
    """A scalar or elementwise formula in Python's notation, such as `x**3 + 2*sin(y[0])`.

    It may hold numbers, names, `+ - * / **`, comparisons, `a if condition else b`, indices and slices, the calls in
    `FUNCTIONS`, and `sum(… for i in range(…))`. Both branches of an `if` are computed and one is selected, as
    torch.where does: a branch whose derivative is infinite where it is not taken makes the gradient NaN.

    Args:
        text: the formula.
        names: the names it may use, or None for any.
        op: the function that the formula calls as `op(…)`; None means there is none.

    Raises:
        ConfigurationError: the text does not parse, or holds anything but the above; the message gives the column.
    """

    def __init__(
        self, text: str, names: Collection[str] | None = None, op: Callable[..., Tensor] | None = None
    ) -> None:
        self.text = " ".join(text.split())
        if len(self.text) > LONGEST_TEXT:
            raise ConfigurationError(
                f"A formula of {len(self.text)} characters is too long: write it in at most {LONGEST_TEXT}, or as a "
                "Python objective of your own."
            )
        translator = _Translator(self.text, names, FUNCTIONS if op is None else {**FUNCTIONS, "op": (op, 1)})
        try:
            self._evaluate = translator.visit(_parse(self.text))
        except (RecursionError, MemoryError) as error:
            raise ConfigurationError(
                f"The formula that begins with {self.text[:40]!r} is nested too deeply: write it with fewer brackets."
            ) from error
        self.parameters = tuple(translator.parameters)

    def __call__(self, values: Mapping[str, Tensor]) -> TensorOrNumber:
        """Return the formula's value at these values of its parameters, which share a dtype and a device."""
        return self._evaluate({LIKE: next(iter(values.values())), **values})


def _parse(text: str) -> ast.Expression:
    if "^" in text:
        raise ConfigurationError(
            f"The formula {text!r} has '^' at column {text.index('^') + 1}: write a power as **, as in 'x**2'."
        )
    try:
        return ast.parse(text, mode="eval")
    except SyntaxError as error:
        column = min(max(error.offset or 1, 1), len(text) + 1)
        raise ConfigurationError(
            f"The formula {text!r} does not parse at column {column} ({error.msg}): write one expression in Python's "
            "notation, such as 'x**3 + 2*x**2 + 3*x + 4'."
        ) from error


class _Translator(ast.NodeVisitor):
    """Turns each allowed node into a closure, and refuses all others."""

    def __init__(self, text: str, names: Collection[str] | None, functions: Mapping[str, tuple[Callable, int]]) -> None:
        self.text, self.names, self.functions = text, names, functions
        self.counters: list[str] = []
        self.parameters: dict[str, None] = {}

    def refuse(self, node: ast.AST, problem: str, advice: str) -> NoReturn:
        before = self.text.encode()[: getattr(node, "col_offset", 0)].decode()  # ast counts bytes
        column = len(before) + 1
        raise ConfigurationError(f"The formula {self.text!r} {problem} at column {column}: {advice}.")

    def generic_visit(self, node: ast.AST) -> NoReturn:
        part = ast.get_source_segment(self.text, node) or type(node).__name__
        self.refuse(
            node,
            f"has {part!r} ({type(node).__name__})",
            "use numbers, names, + - * / **, comparisons, 'a if c else b', indices and function calls only",
        )

    def visit_Expression(self, node: ast.Expression) -> Evaluate:
        return self.visit(node.body)

    def visit_Constant(self, node: ast.Constant) -> Evaluate:
        if type(node.value) not in (int, float):
            self.refuse(node, f"has {node.value!r}", "the only constants are numbers")
        return lambda values: node.value

    def visit_Name(self, node: ast.Name) -> Evaluate:
        name = node.id
        if name in CONSTANTS:
            return lambda values: CONSTANTS[name]
        if name not in self.counters:
            if name in self.functions:
                self.refuse(node, f"names the function {name!r}", f"give it an argument, as in '{name}(x)'")
            if self.names is not None and name not in self.names:
                self.refuse_unknown(node, "name", name, [*self.names, *self.counters, *CONSTANTS])
            self.parameters[name] = None
        return lambda values: values[name]

    def refuse_unknown(self, node: ast.AST, kind: str, name: str, known: list[str]) -> NoReturn:
        nearest = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}? " if nearest else ""
        self.refuse(node, f"has an unknown {kind} {name!r}", f"{hint}Known {kind}s are {', '.join(known)}")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Evaluate:
        if not isinstance(node.op, ast.USub | ast.UAdd):
            self.generic_visit(node)
        operand = self.visit(node.operand)
        return operand if isinstance(node.op, ast.UAdd) else lambda values: -operand(values)

    def visit_BinOp(self, node: ast.BinOp) -> Evaluate:
        if type(node.op) not in OPERATORS:
            self.generic_visit(node)
        combine = OPERATORS[type(node.op)]
        left, right = self.visit(node.left), self.visit(node.right)
        return lambda values: combine(left(values), right(values))

    def visit_Compare(self, node: ast.Compare) -> Evaluate:
        if not all(type(op) in OPERATORS for op in node.ops):
            self.refuse(node, "has another comparison", "compare by <, <=, > or >=")
        compare = [OPERATORS[type(op)] for op in node.ops]
        sides = [self.visit(side) for side in (node.left, *node.comparators)]

        def evaluate(values: Mapping[str, TensorOrNumber]) -> TensorOrNumber:
            at = [side(values) for side in sides]
            return reduce(operator.and_, (test(a, b) for test, a, b in zip(compare, at, at[1:], strict=False)))

        return evaluate

    def visit_IfExp(self, node: ast.IfExp) -> Evaluate:
        condition, chosen, other = self.visit(node.test), self.visit(node.body), self.visit(node.orelse)

        def evaluate(values: Mapping[str, TensorOrNumber]) -> TensorOrNumber:
            holds = condition(values)
            if not isinstance(holds, Tensor):
                return (chosen if holds else other)(values)
            like = values[LIKE]
            return torch.where(holds, _as_tensor(chosen(values), like), _as_tensor(other(values), like))

        return evaluate

    def visit_Subscript(self, node: ast.Subscript) -> Evaluate:
        vector, index = self.visit(node.value), self.visit(node.slice)
        return lambda values: vector(values)[index(values)]

    def visit_Slice(self, node: ast.Slice) -> Evaluate:
        ends = [self.visit(end) if end else lambda values: None for end in (node.lower, node.upper)]
        if node.step is not None:
            self.refuse(node, "has a slice with a step", "slice as x[1:], x[:-1] or x[1:3]")
        return lambda values: slice(*(end(values) for end in ends))

    def visit_Call(self, node: ast.Call) -> Evaluate:
        if not isinstance(node.func, ast.Name):
            self.generic_visit(node.func)
        name = node.func.id
        if name not in self.functions:
            self.refuse_unknown(node, "function", name, list(self.functions))
        function, arity = self.functions[name]
        if len(node.args) != arity or node.keywords:
            self.refuse(node, f"gives {name} {len(node.args) + len(node.keywords)} arguments", f"it takes {arity}")
        if name == "sum" and isinstance(node.args[0], ast.GeneratorExp):
            return self.sum_over_range(node.args[0])
        arguments = [self.visit(argument) for argument in node.args]

        def evaluate(values: Mapping[str, TensorOrNumber]) -> TensorOrNumber:
            return function(*(_as_tensor(argument(values), values[LIKE]) for argument in arguments))

        return evaluate

    def sum_over_range(self, node: ast.GeneratorExp) -> Evaluate:
        """Σ of the body over a counter, unrolled: `sum(x**i for i in range(1, 6))`."""
        match node.generators:
            case [
                ast.comprehension(
                    target=ast.Name(id=counter),
                    iter=ast.Call(func=ast.Name(id="range"), args=arguments, keywords=[]),
                    ifs=[],
                )
            ]:
                ends = [self.visit(end) for end in arguments]
            case _:
                self.refuse(node, "has a loop of another form", "write it as sum(… for i in range(1, 6))")
        self.counters.append(counter)
        body = self.visit(node.elt)
        self.counters.pop()

        def evaluate(values: Mapping[str, TensorOrNumber]) -> TensorOrNumber:
            bounds = [end(values) for end in ends]
            if any(isinstance(bound, Tensor) for bound in bounds):
                self.refuse(node, "bounds a loop by a parameter", "a number that only counts has no derivative")
            counts = range(*bounds)
            if len(counts) > LONGEST_LOOP:
                self.refuse(node, f"sums {len(counts)} terms", f"sum at most {LONGEST_LOOP}")
            return sum(body({**values, counter: i}) for i in counts)

        return evaluate


def _as_tensor(value: TensorOrNumber, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value
    return torch.full((), float(value), dtype=like.dtype, device=like.device)
