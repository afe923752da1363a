"""Every private name of torch that descend uses, each with its purpose.

Torch may rename these, or give them another meaning, in any version: `tests/graph/test_compat.py` tests the meaning of
each. No other source file names one (`tests/test_architecture.py`). Operators of `torch.ops` whose names begin with an
underscore do not count: programs saved by torch contain these names, so torch keeps them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch._decomp
import torch._ops
import torch.autograd.function
import torch.fx._lazy_graph_module
import torch.utils._python_dispatch
import torch.utils._pytree
from torch import Tensor
from torch.autograd import Function
from torch.autograd.graph import Node
from torch.fx import Graph, GraphModule

pytree = torch.utils._pytree
"""Takes nested dicts, lists and tuples apart, and puts them together again."""

# Operators

OpOverload = torch._ops.OpOverload
"""One overload of an operator, such as `aten.add.Tensor`: what graphs call."""

OpOverloadPacket = torch._ops.OpOverloadPacket
"""All overloads of an operator, such as `aten.add`."""


def bare(op: OpOverload) -> Callable[..., Any]:
    """Return the function that an operator wraps: the same operation, called with less overhead."""
    return op._op


def qualified_name(op: OpOverload) -> str:
    """Return the name of an operator with that of its library, such as `aten::add_`."""
    return op._schema.name


def overload_name(op: OpOverload) -> str:
    """Return the name of an overload among those of its operator, such as `Tensor` or `default`."""
    return op._overloadname


def writes(op: OpOverload) -> bool:
    """Tell whether an operator writes into one of its arguments."""
    return op._schema.is_mutable


def written(op: OpOverload) -> list[str]:
    """Return the names of the arguments that an operator writes into."""
    return [each.name for each in op._schema.arguments if each.alias_info is not None and each.alias_info.is_write]


def arguments(op: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name; those left out, as dispatch does, have their defaults."""
    schema = op._schema.arguments
    given = dict(zip((each.name for each in schema), args, strict=False))
    return {each.name: each.default_value for each in schema if each.has_default_value()} | given | dict(kwargs)


def returns_new(op: OpOverload) -> bool:
    """Tell whether nothing that an operator returns shares memory with its arguments."""
    return all(each.alias_info is None for each in op._schema.returns)


core_aten_decompositions = torch._decomp.core_aten_decompositions
"""Definitions of operators by torch's core operators: for the audit, which interprets only those."""

get_decompositions = torch._decomp.get_decompositions
"""Definitions of given operators by simpler ones, even where the operators are core operators."""

fused_weight_norm = torch._weight_norm
"""The function behind `torch.nn.utils.weight_norm`: its derivatives are wrong from order 2 on: descend replaces it."""

# Dispatch

TorchDispatchMode = torch.utils._python_dispatch.TorchDispatchMode
"""Sees every operator that is called within its `with` block, below autograd."""


class LightDispatchMode(TorchDispatchMode):
    """A `TorchDispatchMode` whose first call does not import torch's compiler, which takes seconds."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping it imports it


without_dispatch_modes = torch.utils._python_dispatch._disable_current_modes
"""A context in which no dispatch mode sees what is called."""

without_last_mode = torch.utils._python_dispatch._pop_mode_temporarily
"""A context in which the dispatch mode that was entered last sees nothing of what is called; the others do."""

in_dispatch_mode = torch.utils._python_dispatch.is_in_torch_dispatch_mode
"""Tells whether a dispatch mode is active, ours or that of `make_fx`."""

dispatch_modes = torch._C._len_torch_dispatch_stack
"""Counts the dispatch modes that would see an operator called here: none while one of them handles a call."""

in_transform = torch._C._are_functorch_transforms_active
"""Tells whether a transform of `torch.func` (vmap, grad, jvp…) is active: what it computes has no values yet."""

is_batched = torch._C._functorch.is_batchedtensor
"""Tells whether a tensor stands for one row of a batch, within `torch.vmap`."""

DisableTorchFunctionSubclass = torch._C.DisableTorchFunctionSubclass
"""A context in which subclasses of Tensor are treated as plain tensors; modes still see every function."""

DisableTorchFunction = torch._C.DisableTorchFunction
"""A context in which neither subclasses of Tensor nor modes see what is called."""

# Tensors, modules and graphs

make_wrapper = Tensor._make_wrapper_subclass
"""Makes a tensor of a subclass with shape, dtype and device, and without values of its own."""


def clones(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return a copy of each tensor on memory of its own; a GPU copies all of one kind by one kernel."""
    kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for i, x in enumerate(tensors):
        kinds.setdefault((x.device, x.dtype), []).append(i)
    found = list(tensors)
    for places in kinds.values():
        for i, copy in zip(places, torch._foreach_clone([tensors[i] for i in places]), strict=True):
            found[i] = copy
    return found


def memory(x: Tensor) -> int:
    """Return a number that identifies the memory of a tensor."""
    return x.untyped_storage()._cdata


def writings(x: Tensor) -> int:
    """Return how often a tensor, or another that shares its memory, was written into."""
    return x._version


def buffers(module: torch.nn.Module) -> dict[str, Tensor | None]:
    """Return the dict in which a module keeps its own buffers, None for one not set; writing to it sets them."""
    return module._buffers


def lazy_graph_module(constants: Any, graph: Graph) -> GraphModule:
    """Return a graph with its constants; its Python code is written at the first call, because most have none."""
    with torch.fx._lazy_graph_module._use_lazy_graph_module(True):
        return torch.fx._lazy_graph_module._make_graph_module(constants, graph)


# Custom autograd Functions

SingleLevelFunction: Any = torch.autograd.function._SingleLevelFunction
"""The base of `Function` above the classes in C: an `apply` set on it takes the calls of every custom Function.

Untyped: `apply` comes from C, of which torch's stubs say nothing.
"""


def function_of(node: Node) -> type[Function] | None:
    """Return the custom Function that a node of autograd's graph is the backward of; None for torch's own nodes."""
    return getattr(type(node), "_forward_cls", None)


# The compiler, imported when it is asked for: that takes a second and more


def compiler() -> Callable[[GraphModule, list[Any]], Callable[..., Any]]:
    """Return a function that compiles a graph of tensor operations for example inputs: inductor, without dynamo."""
    from torch import _inductor

    return _inductor.compile


def lowerer() -> Callable[[GraphModule, list[Any]], Callable[..., Any]]:
    """Return `compiler` without code generation: the graph for which it would generate code is carried out instead."""
    from functorch.compile import make_boxed_func  # type: ignore[import-untyped]
    from torch._inductor.compile_fx import compile_fx

    def carry_out(graph: GraphModule, _: list[Any], **__: Any) -> Any:
        return make_boxed_func(graph.forward)

    def lower(graph: GraphModule, examples: list[Any]) -> Any:
        return compile_fx(graph, examples, inner_compile=carry_out)

    return lower


def has_cpp_compiler() -> bool:
    """Tell whether inductor finds a C++ compiler here."""
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return False
    return True


def forget_compiled() -> None:
    """Make `torch.compile` forget every function it has compiled, and the sizes that it treats as variable."""
    torch._dynamo.reset()


@contextmanager
def without_onednn() -> Iterator[None]:
    """Let torch compute without oneDNN; `torch.backends.mkldnn.flags` does, too, but warns of Intel's GPUs."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)
