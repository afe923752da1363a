"""Runs a traced torch function over numbers that torch does not know."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from descend.audit.arithmetic import COMPARISONS, Arithmetic, Array, Untranslated, elementwise
from descend.audit.subspace import Function
from descend.graph.compat import core_aten_decompositions, get_decompositions, pytree, qualified_name
from descend.graph.entries import Entrywise

CONVERTED = ("_to_copy", "convert_element_type")
JOINED = {torch.ops.aten.cat, torch.ops.aten.stack}
COMPOSITE = (
    *("addmm", "gelu", "elu", "_softmax", "_log_softmax", "nll_loss_forward"),
    *("native_layer_norm", "native_group_norm", "native_batch_norm"),
)


def forward_graph(function: Function, at: Tensor) -> fx.GraphModule:
    """The arithmetic of `function`, forward only, in torch's primitive operations."""

    def forward(s: Tensor) -> Tensor:
        return function(s.detach().requires_grad_()).detach()  # hooks and `detach` act on differentiated tensors only

    return make_fx(forward, decomposition_table=_primitives())(at.detach())


@cache
def _primitives() -> dict[Any, Any]:
    """The decompositions into primitive operations; torch takes a quarter of a second to list its own."""
    return {**core_aten_decompositions(), **get_decompositions([getattr(torch.ops.aten, name) for name in COMPOSITE])}


class Interpreter(Entrywise):
    """Runs a traced graph over an array of other numbers; torch computes what does not depend on the input.

    Raises Untranslated for an operation without a rule, and once more than `budget` elementary operations were done.
    """

    def __init__(self, graph: fx.GraphModule, arithmetic: Arithmetic, budget: int) -> None:
        super().__init__(graph)
        self.arithmetic, self.budget = arithmetic, budget

    def evaluate(self, s: Array) -> Any:
        """The scalar value at s [d]."""
        self.left = self.budget
        return self.arithmetic.array(self.run(s)).item()

    def run_node(self, node: fx.Node) -> Any:
        result = super().run_node(node)
        if isinstance(result, np.ndarray) and node.op == "call_function":
            self.spend(result.size)
        return result

    def dtype(self, node: fx.Node) -> torch.dtype:
        """float64 for values that torch fills: a coarser precision keeps all its digits here."""
        return torch.float64

    def joinable(self, packet: Any, args: Sequence[Any]) -> Sequence[Any]:
        return [[self.arithmetic.array(x) for x in args[0]], *args[1:]] if packet in JOINED else args

    def placed(self, entry: Any | None, node: fx.Node) -> Any:
        return self.arithmetic.number(0.0) if entry is None else entry

    def compute(self, node: fx.Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        target: Any = node.target
        sizes = [math.prod(x.shape) for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, np.ndarray | Tensor)]
        name = qualified_name(target).partition("::")[2]
        if name not in CONVERTED and max(sizes) > self.left:
            self.spend(max(sizes))  # before the work, which can be millions of operations for a network
        result = self.translate(name, args, kwargs)
        # NumPy makes bare numbers of arrays without axes.
        return result if isinstance(result, Tensor | list) else np.asarray(result, dtype=object)

    def spend(self, operations: int) -> None:
        self.left -= operations
        if self.left < 0:
            raise Untranslated(f"more than {self.budget} operations")

    def translate(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        rules = self.arithmetic
        if name in CONVERTED:
            return self.converted(args[0], kwargs.get("dtype", args[1] if len(args) > 1 else None))
        if name in rules.unary and len(args) == 1 and not kwargs:
            return elementwise(rules.unary[name], args[0])
        if name in rules.binary and len(args) == 2 and not kwargs:
            result = elementwise(rules.binary[name], rules.array(args[0]), rules.array(args[1]))
            return torch.from_numpy(result.astype(bool)) if name in COMPARISONS else result
        method = getattr(self, f"do_{name}", None)
        if method is None:
            raise Untranslated(f"{name} has no meaning in these numbers")
        return method(*args, **kwargs)

    def converted(self, x: Array, dtype: torch.dtype | None) -> Array | Tensor:
        """Whole numbers lose their fractions; a coarser precision keeps all its digits here."""
        if dtype is None or dtype.is_floating_point:
            return x
        if not self.arithmetic.decides or dtype.is_complex:
            raise Untranslated(f"a conversion to {dtype}")
        if dtype == torch.bool:
            return torch.from_numpy((x != 0).astype(bool))
        return elementwise(self.arithmetic.unary["trunc"], x)

    def do_round(self, x: Array, decimals: int = 0) -> Array:
        if not self.arithmetic.decides:
            raise Untranslated("rounding of symbols")
        ten = self.arithmetic.number(10.0) ** decimals
        return elementwise(self.arithmetic.unary["round"], x * ten) / ten

    def do_cumsum(self, x: Array, dim: int, dtype: Any = None) -> Array:
        return np.cumsum(x, axis=dim) if x.ndim else x

    def do_cumprod(self, x: Array, dim: int, dtype: Any = None) -> Array:
        return np.cumprod(x, axis=dim) if x.ndim else x

    def do_add(self, x: Any, y: Any, alpha: float = 1.0) -> Array:
        return self.arithmetic.array(x) + self.arithmetic.array(y) * self.arithmetic.number(float(alpha))

    def do_sub(self, x: Any, y: Any, alpha: float = 1.0) -> Array:
        return self.do_add(x, y, -alpha)

    def do_rsub(self, x: Any, y: Any, alpha: float = 1.0) -> Array:
        return self.do_add(y, x, -alpha)

    def do_where(self, condition: Tensor, yes: Any, no: Any) -> Array:
        if not isinstance(condition, Tensor):
            raise Untranslated("a condition that is not decided")
        return np.where(condition.numpy(), self.arithmetic.array(yes), self.arithmetic.array(no))

    def do_clamp(self, x: Any, low: Any = None, high: Any = None) -> Array:
        x = x if low is None else elementwise(self.comparing("maximum"), x, self.arithmetic.array(low))
        return x if high is None else elementwise(self.comparing("minimum"), x, self.arithmetic.array(high))

    def do_clamp_min(self, x: Any, low: Any) -> Array:
        return self.do_clamp(x, low)

    def do_amax(self, x: Array, dim: Any = (), keepdim: bool = False) -> Array:
        return np.asarray(np.max(x, axis=_axes(dim), keepdims=keepdim)) if self.comparing("maximum") else x

    def do_sum(self, x: Array, dim: Any = (), keepdim: bool = False, dtype: Any = None) -> Array:
        return np.asarray(np.sum(x, axis=_axes(dim), keepdims=keepdim), dtype=object)

    def do_prod(self, x: Array, dim: Any = (), keepdim: bool = False, dtype: Any = None) -> Array:
        return np.asarray(np.prod(x, axis=_axes(dim), keepdims=keepdim), dtype=object)

    def do_mean(self, x: Array, dim: Any = (), keepdim: bool = False, dtype: Any = None) -> Array:
        total = self.do_sum(x, dim, keepdim)
        return total / self.arithmetic.number(x.size / total.size)

    def do_var(self, x: Array, dim: Any = (), correction: float = 1.0, keepdim: bool = False) -> Array:
        centred = x - self.do_mean(x, dim, keepdim=True)
        total = self.do_sum(centred * centred, dim, keepdim)
        return total / self.arithmetic.number(x.size / total.size - correction)

    def do_var_mean(self, x: Array, dim: Any = (), correction: float = 1.0, keepdim: bool = False) -> list[Array]:
        return [self.do_var(x, dim, correction, keepdim), self.do_mean(x, dim, keepdim)]

    def do_mm(self, x: Any, y: Any) -> Array:
        self.spend(math.prod(x.shape) * (y.shape[-1] if y.ndim > 1 else 1))
        return np.asarray(np.matmul(self.arithmetic.array(x), self.arithmetic.array(y)), dtype=object)

    do_bmm = do_mv = do_dot = do_mm

    def comparing(self, name: str) -> Any:
        if not self.arithmetic.decides:
            raise Untranslated(f"{name} of symbols")
        return self.arithmetic.binary[name]


def _axes(dim: Any) -> tuple[int, ...] | None:
    return tuple(dim) or None if isinstance(dim, list | tuple) else dim
