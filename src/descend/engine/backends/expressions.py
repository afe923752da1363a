"""Operations between numbers as C expressions, each with the values that torch gives it.

`{0}`, `{1}`, … stand for the inputs, converted to the type in which the operation computes, `{T}` for that type. The
math functions are those of <tgmath.h>, which go by the type of their argument.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch.fx import Node

from descend.graph.entries import Inseparable
from descend.graph.recorder import VALUE

aten = torch.ops.aten

TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.int32: "int32_t",
    torch.bool: "_Bool",
}

SAME = "{0}"

FUNCTIONS = {
    aten.acos, aten.acosh, aten.asin, aten.asinh, aten.atan, aten.atan2, aten.atanh, aten.ceil, aten.cos, aten.cosh,
    aten.erf, aten.erfc, aten.exp, aten.exp2, aten.expm1, aten.floor, aten.hypot, aten.log, aten.log10, aten.log1p,
    aten.log2, aten.sin, aten.sinh, aten.sqrt, aten.tan, aten.tanh, aten.trunc,
}  # fmt: skip

COMPARISONS = {
    aten.eq: "{0} == {1}",
    aten.ne: "{0} != {1}",
    aten.lt: "{0} < {1}",
    aten.le: "{0} <= {1}",
    aten.gt: "{0} > {1}",
    aten.ge: "{0} >= {1}",
    aten.isnan: "{0} != {0}",
    aten.logical_and: "{0} && {1}",
    aten.logical_or: "{0} || {1}",
    aten.logical_not: "!{0}",
    aten.logical_xor: "!{0} != !{1}",
}

EXPRESSIONS: dict[Any, str] = {
    **dict.fromkeys((aten.alias, aten.clone, aten.detach, aten.lift_fresh, aten.lift_fresh_copy, aten._to_copy), SAME),
    **COMPARISONS,
    aten.abs: "({0} < 0 ? -{0} : {0})",
    aten.add: "{0} + {alpha} * {1}",
    aten.sub: "{0} - {alpha} * {1}",
    aten.rsub: "{1} - {alpha} * {0}",
    aten.mul: "{0} * {1}",
    aten.div: "{0} / {1}",
    aten.neg: "-{0}",
    aten.reciprocal: "1 / {0}",
    aten.rsqrt: "1 / sqrt({0})",
    aten.square: "{0} * {0}",
    aten.sign: "({T})(({0} > 0) - ({0} < 0))",
    aten.sgn: "({T})(({0} > 0) - ({0} < 0))",
    aten.round: "rint({0})",
    aten.floor_divide: "({0} / {1} - ({0} % {1} != 0 && ({0} < 0) != ({1} < 0)))",
    aten.bitwise_and: "{0} & {1}",
    aten.bitwise_or: "{0} | {1}",
    aten.maximum: "({0} > {1} || {0} != {0} ? {0} : {1})",
    aten.minimum: "({0} < {1} || {0} != {0} ? {0} : {1})",
    aten.clamp_min: "({0} < {1} ? {1} : {0})",
    aten.clamp_max: "({0} > {1} ? {1} : {0})",
    aten.relu: "({0} < 0 ? 0 : {0})",
    aten.threshold_backward: "({1} <= {2} ? 0 : {0})",
    aten.sigmoid: "1 / (1 + exp(-{0}))",
    aten.sigmoid_backward: "{0} * ((1 - {1}) * {1})",
    aten.tanh_backward: "{0} * (1 - {1} * {1})",
    aten.silu: "{0} / (1 + exp(-{0}))",
    aten.silu_backward: "{0} / (1 + exp(-{1})) * (1 + {1} * (1 - 1 / (1 + exp(-{1}))))",
    aten.gelu: "{0} * ({T})0.5 * (1 + erf({0} * ({T})M_SQRT1_2))",
    aten.gelu_backward: (
        "{0} * (({T})0.5 * (1 + erf({1} * ({T})M_SQRT1_2))"
        " + {1} * exp({1} * {1} * ({T})-0.5) * ({T})(M_2_SQRTPI * M_SQRT1_2 / 2))"
    ),
    aten.lerp: "({2} < ({T})0.5 ? {0} + {2} * ({1} - {0}) : {1} - ({1} - {0}) * (1 - {2}))",
    aten.addcmul: "{0} + {value} * {1} * {2}",
    aten.addcdiv: "{0} + {value} * ({1} / {2})",
}

POWERS = {
    0.0: "({T})1",
    0.5: "sqrt({0})",
    1.0: "{0}",
    2.0: "{0} * {0}",
    3.0: "{0} * {0} * {0}",
    -0.5: "1 / sqrt({0})",
    -1.0: "1 / {0}",
    -2.0: "1 / ({0} * {0})",
}

Written = Callable[[Any, torch.dtype], str]
"""Writes a node or a number as a value of a type."""


def expression(node: Node, written: Written) -> str:
    """Return what a node computes, of the type of its value.

    Raises:
        Inseparable: no expression is known for its operation.
    """
    op: Any = node.target
    packet, given = op.overloadpacket, dict(node.kwargs)
    computed = computes_in(node)
    inputs = [written(x, computed) for x in node.args if x is not None]
    extra = {name: written(given.pop(name, 1), computed) for name in ("alpha", "value")}
    if given.keys() - {"dtype", "layout", "device", "pin_memory", "memory_format"}:
        raise Inseparable(f"{op} with {', '.join(given)}")
    if packet is aten.where:
        return f"({written(node.args[0], torch.bool)} ? {inputs[1]} : {inputs[2]})"
    if computed.is_floating_point and packet is aten.floor_divide:
        raise Inseparable(f"{op} of fractions")
    if computed.is_floating_point and packet in FUNCTIONS:
        return f"{packet.__name__}({', '.join(inputs)})"
    of_node = {aten.pow: c_power, aten.clamp: c_clamp, aten.bitwise_not: c_not}.get(packet)
    template = EXPRESSIONS.get(packet) if of_node is None else of_node(node)
    if template is None or computed not in TYPES:
        raise Inseparable(str(op))
    return template.format(*inputs, T=TYPES[computed], **extra)


def computes_in(node: Node) -> torch.dtype:
    """Return the type in which a node computes: that of its value, or of what it compares."""
    op: Any = node.target
    if op.overloadpacket not in COMPARISONS:
        return node.meta[VALUE].dtype
    found = reduce(torch.promote_types, [x.meta[VALUE].dtype for x in node.all_input_nodes])
    fractions = any(isinstance(x, float) for x in node.args) and not found.is_floating_point
    return torch.get_default_dtype() if fractions else found


def c_power(node: Node) -> str:
    """Return the template of a power; torch computes those with common exponents without `pow`."""
    exponent = node.args[1]
    return POWERS.get(float(exponent), "pow({0}, {1})") if isinstance(exponent, int | float) else "pow({0}, {1})"


def c_not(node: Node) -> str:
    """Return the template of the bits turned over; a truth has one."""
    return "!{0}" if node.meta[VALUE].dtype is torch.bool else "~{0}"


def c_clamp(node: Node) -> str:
    """Return the template of a clamp between limits, either of which may be missing."""
    low, high = (*node.args[1:], None)[:2]
    if low is None:
        return EXPRESSIONS[aten.clamp_max]
    return "({0} < {1} ? {1} : {0} > {2} ? {2} : {0})" if high is not None else EXPRESSIONS[aten.clamp_min]


def literal(x: float, dtype: torch.dtype) -> str:
    """Return a number as C writes it, exactly."""
    if not dtype.is_floating_point:
        return str(int(x))
    number = float(torch.tensor(x, dtype=dtype, device="cpu"))
    if number != number:
        return f"({TYPES[dtype]})NAN"
    if number in (float("inf"), -float("inf")):
        return f"({TYPES[dtype]}){'-' if number < 0 else ''}INFINITY"
    return f"({TYPES[dtype]}){number.hex()}"
