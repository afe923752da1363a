"""Formulas: right where they are accepted, refused in a sentence where they are not."""

import contextlib
import math

import pytest
import sympy
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from descend.errors import ConfigurationError
from descend.objectives.formula import FUNCTIONS, Formula

# sympy's names where they differ from ours.
SYMPY = {
    "abs": sympy.Abs,
    "max": sympy.Max,
    "min": sympy.Min,
    "expm1": lambda x: sympy.exp(x) - 1,
    "log1p": lambda x: sympy.log(1 + x),
    "log2": lambda x: sympy.log(x, 2),
    "log10": lambda x: sympy.log(x, 10),
    "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
    "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    "relu": lambda x: sympy.Max(x, 0),
    "e": sympy.E,
}
OF_ONE = [name for name, (_, arity) in FUNCTIONS.items() if arity == 1 and name not in ("sum", "mean", "detach")]
OF_TWO = [name for name, (_, arity) in FUNCTIONS.items() if arity == 2]
LEAVES = st.one_of(
    st.sampled_from(["x", "y", "pi", "e"]),
    st.integers(0, 9).map(str),
    st.floats(0.125, 8, allow_nan=False).map(lambda number: f"{number:.3f}"),
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", " - ", "*", " / "]), inner).map("".join),
        st.tuples(st.just("("), inner, st.just(")**"), st.integers(0, 4).map(str)).map("".join),
        st.tuples(st.just("-("), inner, st.just(")")).map("".join),
        st.tuples(st.sampled_from(OF_ONE), st.just("("), inner, st.just(")")).map("".join),
        st.tuples(st.sampled_from(OF_TWO), st.just("("), inner, st.just(", "), inner, st.just(")")).map("".join),
    )


def scalar(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float64, requires_grad=True)


def value(text: str, **point: float) -> torch.Tensor:
    return Formula(text, list(point))({name: scalar(number) for name, number in point.items()})


# Odd fractions, so that no piece of a formula meets another just there: on a tie torch halves the derivative.
NUMBERS = st.integers(-3000, 3000).map(lambda count: (count + 0.5) / 997)


@given(text=st.recursive(LEAVES, grown, max_leaves=8), x=NUMBERS, y=NUMBERS)
def test_value_and_derivative_equal_sympys(text: str, x: float, y: float) -> None:
    point = {"x": scalar(x), "y": scalar(y)}
    try:
        found = Formula(text, list(point))(point)
    except (ArithmeticError, ValueError):
        assume(False)  # numbers alone that cannot be computed: 1/0
    assume(isinstance(found, torch.Tensor) and found.requires_grad and abs(found.item()) < 1e6)
    expected, left, right = sympys_value_and_slopes(text, x, y)
    assume(math.isfinite(expected))
    # Where large numbers cancel, their rounding is what is left: hence the absolute part.
    assert float(found.detach()) == pytest.approx(expected, rel=1e-7, abs=1e-7)
    (derivative,) = torch.autograd.grad(found, point["x"], materialize_grads=True)
    assume(left == pytest.approx(right, rel=1e-6, abs=1e-9) and abs(left) < 1e6)  # no kink, no cliff
    assume(math.isfinite(derivative))  # asin(x / x) has a derivative for sympy, ∞ · 0 for torch
    assert float(derivative) == pytest.approx(left, rel=1e-6, abs=1e-6)


def sympys_value_and_slopes(text: str, x: float, y: float) -> tuple[float, float, float]:
    """The value at (x, y), and the slopes in x to either side, in 60 digits; NaN where it isn't real."""
    symbols = sympy.symbols("x y", real=True)
    names = {**SYMPY, "x": symbols[0], "y": symbols[1]}
    try:
        expression = sympy.sympify(text, locals=names, rational=True)
    except (TypeError, ValueError):
        return math.nan, math.nan, math.nan  # an infinity compared: max(log(0), x)
    if expression.has(sympy.zoo, sympy.oo, -sympy.oo, sympy.nan):
        return math.nan, math.nan, math.nan  # sympy's infinities have other rules than floating point's
    step = sympy.Rational(1, 10**20)

    def at(shift: sympy.Rational) -> sympy.Expr:
        return sympy.N(expression.subs({symbols[0]: sympy.Rational(x) + shift, symbols[1]: sympy.Rational(y)}), 60)

    here, before, after = at(sympy.Integer(0)), at(-step), at(step)
    slopes = ((here - before) / step, (after - here) / step)
    value, left, right = (float(v) if v.is_real else math.nan for v in (here, *slopes))
    return value, left, right


@pytest.mark.parametrize(
    ("text", "at", "derivative"),
    [
        ("x**3 + 2*x**2 + 3*x + 4", 2.0, 23.0),
        ("sin(x) + cos(x)", 1.0, math.cos(1) - math.sin(1)),
        ("log(x)", 2.0, 0.5),
        ("2**x", 3.0, 8 * math.log(2)),
        ("x**x", 2.0, 4 * (math.log(2) + 1)),
        ("x if x > 0 else -2*x", 3.0, 1.0),
        ("x if x > 0 else -2*x", -3.0, -2.0),
        ("x**2 if 0 < x <= 1 else 5*x", 1.0, 2.0),
        ("x**2 if 0 < x < 1 else 5*x", 1.0, 5.0),
        ("x if 1 < 2 else 7*x", 1.0, 1.0),
        ("sum(x**i for i in range(4))", 2.0, 1 + 4 + 12),
        ("sum(i * x for i in range(10, 0, -3))", 2.0, 10 + 7 + 4 + 1),
        ("sum(sum(i * j * x for j in range(i)) for i in range(4))", 1.0, 0 + 0 + 2 + 9),
        ("detach(x) * x", 3.0, 3.0),
        ("-x * +x", 3.0, -6.0),
        ("x * sin(2)", 1.0, math.sin(2)),
        ("1e-3 * x * e ** 2", 1.0, 1e-3 * math.e**2),
        ("  x\n + 2 *\n x ", 1.0, 3.0),
    ],
)
def test_derivative_by_hand(text: str, at: float, derivative: float) -> None:
    x = scalar(at)
    (gradient,) = torch.autograd.grad(Formula(text, ["x"])({"x": x}), x)
    assert float(gradient) == pytest.approx(derivative, rel=1e-14)


def test_vectors_are_indexed_sliced_and_reduced() -> None:
    x = torch.tensor([-1.2, 1.0, 2.0], dtype=torch.float64)
    text = "sum(100 * (x[1:] - x[:-1]**2)**2 + (1 - x[:-1])**2) + mean(x) - x[0] * x[-1] + sum(x[1:2])"
    expected = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum() + x.mean() - x[0] * x[-1] + x[1]
    assert float(Formula(text)({"x": x})) == pytest.approx(float(expected), rel=1e-14)


def test_numbers_take_the_type_of_the_parameters() -> None:
    x = torch.tensor(1.0, dtype=torch.float32)
    assert Formula("x * exp(1) + max(x, 2)")({"x": x}).dtype == torch.float32
    assert Formula("x if x > 0 else 1")({"x": x}).dtype == torch.float32


def test_parameters_are_found_in_order() -> None:
    assert Formula("b + sin(a) * sum(i * c for i in range(3)) + pi").parameters == ("b", "a", "c")


def test_an_op_is_called_by_that_name() -> None:
    assert Formula("op(x) + 1", ["x"], op=lambda x: 3 * x)({"x": scalar(2.0)}).item() == 7.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x + * 2", "does not parse at column 5"),
        ("", "does not parse at column 1"),
        ("x[0", "does not parse at column 2"),
        ("x = 3", "does not parse at column 3"),
        ("x\0", "does not parse"),
        ("2 * sn(x)", "unknown function 'sn' at column 5: did you mean 'sin'"),
        ("x + pj", "unknown name 'pj' at column 5: did you mean 'pi'"),
        ("op(x)", "unknown function 'op' at column 1"),
        ("sum(i * x for i in range(3)) + i", "unknown name 'i' at column 32"),
        ("ü(x) + x", "unknown function 'ü' at column 1"),
        ("x**2 + sin", "names the function 'sin' at column 8"),
        ("1 + x^2", "has '^' at column 6: write a power as"),
        ("1 + sin(x, x)", "gives sin 2 arguments at column 5: it takes 1"),
        ("sum(x, dim=0)", "gives sum 2 arguments"),
        ("x and 2", "'x and 2' (BoolOp) at column 1"),
        ("not x", "(UnaryOp) at column 1"),
        ("x // 2", "(BinOp) at column 1"),
        ("x == 2", "has another comparison at column 1"),
        ("'x'", "has 'x' at column 1: the only constants are numbers"),
        ("x + True", "has True at column 5"),
        ("2j * x", "has 2j at column 1"),
        ("x[::2]", "slice with a step"),
        ("x[0, 1]", "(Tuple) at column 3"),
        ("sum(x for i in [1, 2])", "loop of another form at column 4"),
        ("sum(x for i in range(3) if i)", "loop of another form"),
        ("sum(x for i in range(3) for j in range(3))", "loop of another form"),
        ("mean(x for i in range(3))", "(GeneratorExp)"),
    ],
)
def test_what_is_no_formula_is_refused_with_its_column(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Formula(text, ["x"])
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x.__class__",
        "().__class__.__bases__",
        "(lambda: x)()",
        "[x for x in (1,)]",
        "{x}",
        "{x: x}",
        "f'{x}'",
        "(y := x)",
        "sin(*x)",
        "sin(**x)",
        "getattr(x, 'data')",
        "open('file')",
        "eval('x')",
        "print(x)",
        "sin.__globals__",
        "x @ x",
        "await x",
        "yield",
        "x; x",
        "import os",
        "...",
        "None",
        "x if x else yield",
    ],
)
def test_nothing_but_arithmetic_gets_in(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Formula(text, ["x"])


@given(st.text(max_size=40))
def test_any_text_is_a_formula_or_a_configuration_error(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        Formula(text)


@pytest.mark.parametrize("text", ["-" * 9000 + "x", "+".join(["x"] * 4000), "x" * 20_000])
def test_monstrous_texts_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"nested|too long"):
        Formula(text)


def test_brackets_of_reasonable_depth_are_accepted() -> None:
    assert value("(" * 80 + "x" + ")" * 80, x=2.0).item() == 2.0
    assert value("+".join(["x"] * 100), x=2.0).item() == 200.0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x + 9**9**9**9", OverflowError),
        ("x + (-8)**0.5", ValueError),
        ("x / 0 * (1 / 0)", ZeroDivisionError),
        ("sum(x for i in range(1000000))", ConfigurationError),
        ("sum(i**2 for i in range(x))", ConfigurationError),
    ],
)
def test_numbers_that_cannot_be_computed_raise_at_once(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        value(text, x=5.0)
