"""Records what a function does to tensors, as a graph of plain tensor operations.

The recording happens below autograd: a gradient taken inside the function becomes arithmetic, custom backwards
included. It does what `torch.fx.experimental.proxy_tensor.make_fx` does with real tensors, without the two seconds of
imports (dynamo, inductor, sympy) that the first use of `make_fx` costs.
"""

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from descend.errors import Untraceable
from descend.graph.compat import (
    LightDispatchMode,
    OpOverload,
    arguments,
    in_dispatch_mode,
    lazy_graph_module,
    memory,
    overload_name,
    qualified_name,
    without_dispatch_modes,
    writes,
)
from descend.graph.leaving import ValuesStay
from descend.graph.nodes import add_call
from descend.graph.operations import SHAPES

VALUE = "value"
"""The key in a node's `meta` for the `Value` of its output, or for a list of them where it has several outputs."""


aten = torch.ops.aten


class Value(NamedTuple):
    """Shape, dtype and device of a tensor, without its numbers."""

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    @property
    def numel(self) -> int:
        """How many numbers it holds."""
        return self.shape.numel()

    @property
    def bytes(self) -> int:
        """The memory they take."""
        return self.numel * self.dtype.itemsize


def precision_of(values: Iterable[Any]) -> torch.dtype | None:
    """Return the precision in which torch computes with these; a number [] does not count beside a tensor with axes."""
    floats = [x for x in values if isinstance(x, Value) and x.dtype.is_floating_point]
    decisive = [x.dtype for x in floats if x.shape] or [x.dtype for x in floats]
    return reduce(torch.promote_types, decisive) if decisive else None


def record(
    function: Callable[..., Sequence[Tensor]],
    inputs: Sequence[Tensor],
    instead: Mapping[OpOverload, Callable[..., Any]] | None = None,
) -> GraphModule:
    """Return `function` as a graph from tensors to a list of tensors; other tensors it uses become constants.

    Args:
        instead: by operation, a function that is carried out, and recorded, in its place.

    Raises:
        Untraceable: the function takes the value of a tensor to Python or NumPy (`if`, `.item()`, `.numpy()`).
    """
    inputs = distinct(inputs)
    recorder = Recorder(inputs, instead or {})
    RECORDING.append(recorder)
    try:
        with recorder, ValuesStay(recorder.follows):
            outputs = function(*inputs)
    finally:
        RECORDING.pop()
    recorder.graph.output([recorder.node(x) for x in outputs])
    drop_unused(recorder.graph)
    return lazy_graph_module(recorder.constants, recorder.graph)


def drop_unused(graph: Graph) -> None:
    """Remove what no output depends on, unless it writes in place; torch's own function for this takes far longer."""
    for node in reversed(graph.nodes):
        kept = node.op in ("placeholder", "output") or (isinstance(node.target, OpOverload) and writes(node.target))
        if not (node.users or kept):
            graph.erase_node(node)


def distinct(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the inputs with no tensor twice: a repeated one would be recorded as the last of its places alone."""
    first = {id(x): i for i, x in reversed(list(enumerate(inputs)))}
    return [x if first[id(x)] == i else x.clone() for i, x in enumerate(inputs)]


def returned(graph: GraphModule) -> list[Node]:
    """Return the nodes whose values a graph returns."""
    [end] = [node for node in graph.graph.nodes if node.op == "output"]
    return list(end.args[0])


def inputs(graph: GraphModule) -> list[Node]:
    """Return the nodes that stand for a graph's inputs."""
    return [node for node in graph.graph.nodes if node.op == "placeholder"]


def depends(graph: GraphModule, marked: Sequence[bool]) -> list[bool]:
    """Return for each output of a graph whether it depends on an input marked in `marked`."""
    found: dict[Node, bool] = {}
    places = iter(marked)
    for node in graph.graph.nodes:
        of_shape = getattr(node.target, "overloadpacket", None) in SHAPES
        own = any(found[source] for source in node.all_input_nodes) and not of_shape
        found[node] = next(places) if node.op == "placeholder" else own
    return [found[node] for node in returned(graph)]


def is_recorded() -> bool:
    """Tell whether operations are being recorded now, by us or by `make_fx`."""
    return in_dispatch_mode()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Record nothing inside this context."""
    with without_dispatch_modes():
        yield


RECORDING: list["Recorder"] = []
"""The recorders at work, the innermost last."""


def as_one_node(function: Callable[..., Any], *args: Any) -> Any:
    """Call `function`, and record the call as one node, without the operations inside it.

    Args:
        function: pure, from tensors and other values to tensors.
    """
    with unrecorded():
        found = function(*args)
    if RECORDING:
        RECORDING[-1].note(function, args, {}, found)
    return found


class OneCall:
    """A function of tensors that is recorded as one node; a stack calls it for one run after the other.

    A subclass has a `__name__`, and says in words what it does, so that a refusal can.
    """

    __name__: str
    described: str

    def __call__(self, *args: Any) -> Any:
        """Return tensors, one or several."""
        raise NotImplementedError


class Recorder(LightDispatchMode):
    """Records every operation within its `with` block.

    Args:
        inputs: the tensors that become the graph's inputs.
        instead: see `record`.

    Attributes:
        graph: the recording.
        constants: tensors from outside the function, by the names under which the graph reads them.
    """

    def __init__(self, inputs: Sequence[Tensor], instead: Mapping[OpOverload, Callable[..., Any]]) -> None:
        super().__init__()
        self.graph = Graph()
        self.constants: dict[str, Tensor] = {}
        self._instead = instead
        self._nodes: dict[int, Node] = {}
        self._known: list[Tensor] = []  # a tensor is known by its id, which Python must not give to another
        self._alive: list[Any] = []
        self._sharing: Counter[int] = Counter()  # how many known tensors lie in each piece of memory
        for i, x in enumerate(inputs):
            self._know(x, self.graph.placeholder(f"input{i}"))

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._instead:
            with self:
                return self._instead[func](*args, **kwargs)
        if func is torch.ops.aten._local_scalar_dense.default:
            raise Untraceable("the value of a tensor decides in Python what is computed (an `if`, or `.item()`)")
        if any(self.follows(x) for x in deciding_shape(func, args, kwargs)):
            raise Untraceable(f"how many entries a result has depends on values ({func})")
        if func is torch.ops.aten.native_batch_norm.default and args[3] is not None:
            return self._batch_norm(args)
        inputs, keywords = self._nodes_of(args), {name: self._nodes_of(x) for name, x in kwargs.items()}
        pure = self._pure(func, args)
        if pure is aten.copy.default and args[0].is_contiguous():
            return self._copy(*args, **kwargs)
        found = func(*args, **kwargs)
        self._note(add_call(self.graph, pure, tuple(inputs), keywords), (args, kwargs), found)
        return found

    def _batch_norm(self, args: tuple) -> Any:
        """Carry out a batch norm, and record the form of it that returns the running statistics.

        The operation itself writes them without saying so in its schema.
        """
        pure = torch.ops.aten._native_batch_norm_legit_functional.default
        found = pure(*args)
        self._note(add_call(self.graph, pure, tuple(self._nodes_of(args))), args, found)
        for statistic, new in zip(args[3:5], found[3:], strict=True):
            statistic.copy_(new)
            self._know(statistic, self._nodes[id(new)])
        return found[:3]

    def _copy(self, target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
        """Carry out a `copy_`, and record what `target` holds then, in memory of its own."""
        with self:
            new = overwritten(target, source).clone(memory_format=torch.contiguous_format)
        target.copy_(source)
        self._know(target, self._nodes[id(new)])
        return target

    def note(self, function: Callable[..., Any], args: tuple, kwargs: dict[str, Any], found: Any) -> None:
        """Record a call without the operations inside it."""
        inputs, keywords = self._nodes_of(args), {name: self._nodes_of(x) for name, x in kwargs.items()}
        self._note(add_call(self.graph, function, tuple(inputs), keywords), (args, kwargs), found)

    def _note(self, node: Node, given: Any, found: Any) -> None:
        """Remember which tensors a node made."""
        if isinstance(found, Tensor):
            self._know(found, node)
        elif isinstance(found, tuple | list):
            self._alive.append(given)
            node.meta[VALUE] = [value_of(x) for x in found]
            for i, x in enumerate(found):
                if isinstance(x, Tensor):
                    self._know(x, add_call(self.graph, operator.getitem, (node, i)))

    def _pure(self, func: OpOverload, args: tuple) -> OpOverload:
        """Return the form of `func` that returns what it writes in place, if no other tensor shares that memory."""
        name, overload = qualified_name(func).removeprefix("aten::"), overload_name(func)
        alone = bool(args) and isinstance(args[0], Tensor) and self._sharing[memory(args[0])] <= 1
        if not (writes(func) and name.endswith("_") and alone):
            return func
        pure = getattr(getattr(torch.ops.aten, name[:-1], None), overload, func)
        # The dtype must stay: another dtype would widen it, but a number [] does not beside a tensor that has axes.
        decisive = [x for x in args if isinstance(x, Tensor) and (x.dim() or not args[0].dim())]
        return pure if all(x.dtype == args[0].dtype for x in decisive) else func

    def _nodes_of(self, x: Any) -> Any:
        """Return arguments with the nodes that made their tensors; written by hand, because walking trees is slower."""
        if isinstance(x, Tensor):
            return self.node(x)
        if isinstance(x, torch.UntypedStorage):
            raise Untraceable("a tensor is made of memory in Python (a copy or a pickle of another, say)")
        return type(x)([self._nodes_of(item) for item in x]) if type(x) in (list, tuple) else x

    def follows(self, x: Any) -> bool:
        """Tell whether a tensor was computed from the inputs."""
        waiting = [self._nodes[id(x)]] if id(x) in self._nodes else []
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            if node.op == "placeholder":
                return True
            fresh = [source for source in node.all_input_nodes if source not in seen]
            seen.update(fresh)
            waiting += fresh
        return False

    def node(self, x: Any) -> Any:
        """Return the node that made a tensor, or a constant's node if none did; anything else as it is."""
        if not isinstance(x, Tensor):
            return x
        if id(x) not in self._nodes:
            if memory(x) in self._sharing and any(memory(y) == memory(x) and self.follows(y) for y in self._known):
                raise Untraceable("a tensor is made of another's memory in Python (nn.Parameter, say)")
            name = f"constant{len(self.constants)}"
            self.constants[name] = x
            self._know(x, self.graph.get_attr(name))
        return self._nodes[id(x)]

    def _know(self, x: Tensor, node: Node) -> None:
        if id(x) not in self._nodes:
            self._known.append(x)
            self._sharing[memory(x)] += 1
        self._nodes[id(x)] = node
        node.meta[VALUE] = value_of(x)


def deciding_shape(op: OpOverload, args: tuple, kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return those among a call's tensors whose values decide the shape of its result."""
    if torch.Tag.dynamic_output_shape not in op.tags:
        return []
    given = arguments(op, args, kwargs)
    if given.get("output_size") is not None or given.get("num_classes", -1) != -1:
        return []
    if op is aten.index.Tensor:
        return [x for x in given["indices"] if x is not None and x.dtype in (torch.bool, torch.uint8)]
    return [x for x in given.values() if isinstance(x, Tensor)]


def overwritten(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """Return what `target` holds once `source` is written to it; torch's own function for this has no rule for vmap."""
    alike = source if source.dtype == target.dtype else aten._to_copy.default(source, dtype=target.dtype)
    return alike.expand(target.shape)


def value_of(x: Any) -> Value | None:
    """Return the `Value` of a tensor; None for anything else."""
    return Value(x.shape, x.dtype, x.device) if isinstance(x, Tensor) else None
