"""Torch's private names still mean what descend takes them to mean: one test for each name of `compat`."""

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from fresh import in_a_fresh_process
from torch import Tensor
from torch.autograd import Function
from torch.fx import Graph
from torch.overrides import TorchFunctionMode

from descend.graph import compat
from descend.graph.compat import LightDispatchMode, OpOverload, OpOverloadPacket, TorchDispatchMode, pytree

aten = torch.ops.aten
X, Y = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([8.0, 16.0, 32.0])


class Seen(TorchDispatchMode):
    """Notes the operators called within it, and what the queries of `compat` answer meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[Any] = []
        self.answers: list[tuple[int, bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        self.operators.append(func)
        self.answers.append((compat.dispatch_modes(), compat.in_dispatch_mode()))
        return func(*args, **(kwargs or {}))


class Light(LightDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        return func(*args, **(kwargs or {})) + 1


class FunctionsSeen(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Other(Tensor):
    """A subclass that answers every function of torch's by a word."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        return "the subclass was asked"


class Empty(Tensor):
    """A subclass without values, which answers every operator by an error."""

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub leaves out the class
        cls, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        raise LookupError(str(func))


class Tripled(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 3 * gradient


def test_pytree_takes_nested_containers_apart_and_puts_them_together() -> None:
    tree = {"b": [1, (2, 3)], "a": 4, "none": None}
    leaves, spec = pytree.tree_flatten(tree)
    assert leaves == [1, 2, 3, 4, None] == pytree.tree_leaves(tree)  # dicts in their own order; None is a leaf
    assert pytree.tree_unflatten("vwxyz", spec) == {"b": ["v", ("w", "x")], "a": "y", "none": "z"}
    assert pytree.tree_map(lambda x, y: (x, y), [1, (2,)], [3, (4,)]) == [(1, 3), ((2, 4),)]
    assert pytree.tree_any(lambda x: x == 3, tree)
    assert not pytree.tree_any(lambda x: x == 5, tree)
    assert pytree.tree_structure([1, (2,)]) == pytree.tree_structure([5, (6,)]) != pytree.tree_structure([1, [2]])


def test_operators_are_overloads_of_packets() -> None:
    assert isinstance(aten.add.Tensor, OpOverload)
    assert isinstance(aten.add, OpOverloadPacket)
    assert aten.add.Tensor.overloadpacket is aten.add
    assert not isinstance(aten.add, OpOverload)


def test_a_mode_sees_overloads_below_autograd() -> None:
    x = X.clone().requires_grad_()
    with Seen() as seen:
        torch.autograd.grad((x * x).sum(), x)
    assert all(isinstance(op, OpOverload) for op in seen.operators)
    assert seen.operators.count(aten.mul.Tensor) == 3  # one forward, two in the product rule


def test_the_bare_operation_is_the_operation() -> None:
    add = compat.bare(aten.add.Tensor)
    with Seen() as seen:
        found = add(X, Y, alpha=2)
    assert torch.equal(found, torch.tensor([17.0, 34.0, 68.0]))
    assert seen.operators == [aten.add.Tensor]
    x = X.clone().requires_grad_()
    [gradient] = torch.autograd.grad(compat.bare(aten.exp.default)(x).sum(), x)
    assert torch.equal(gradient, X.exp())


def test_an_operator_is_found_again_by_its_names() -> None:
    assert compat.qualified_name(aten.add_.Tensor) == "aten::add_"
    assert [compat.overload_name(op) for op in (aten.add.Tensor, aten.exp.default)] == ["Tensor", "default"]
    for op in (aten.add_.Tensor, aten.sum.dim_IntList, aten.exp.default, torch.ops.prims.exp.default):
        library, name = compat.qualified_name(op).split("::")
        assert getattr(getattr(getattr(torch.ops, library), name), compat.overload_name(op)) is op


@pytest.mark.parametrize("op", [aten.add.Tensor, aten.add_.Tensor, aten.add.out, aten.exp.default, aten.zero_.default])
def test_what_writes_changes_an_argument(op: OpOverload) -> None:
    x, y, out = X.clone(), Y.clone(), torch.zeros(3)
    given = (x, y) if op.overloadpacket in (aten.add, aten.add_) else (x,)
    op(*given, **({"out": out} if op is aten.add.out else {}))
    changed = not (torch.equal(x, X) and torch.equal(y, Y) and torch.equal(out, torch.zeros(3)))
    assert compat.writes(op) == changed


@pytest.mark.parametrize("op", [aten.add.Tensor, aten.mul_.Tensor, aten.view.default, aten.t.default, aten.exp.default])
def test_what_is_new_lies_elsewhere(op: OpOverload) -> None:
    x = X.clone()
    rest = {aten.add.Tensor: (Y,), aten.mul_.Tensor: (Y,), aten.view.default: ([3, 1],)}.get(op, ())
    assert compat.returns_new(op) == (op(x, *rest).untyped_storage().data_ptr() != x.untyped_storage().data_ptr())


def test_core_decompositions_are_the_operation_in_other_operations() -> None:
    with Seen() as seen:
        found = compat.core_aten_decompositions()[aten.addcmul.default](X, X, Y, value=2)
    assert found.tolist() == [17.0, 66.0, 260.0]
    assert aten.addcmul.default not in seen.operators
    assert len(seen.operators) > 1


def test_core_operators_are_decomposed_only_when_asked_for() -> None:
    assert aten.elu.default not in compat.core_aten_decompositions()
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    with Seen() as seen:
        found = compat.get_decompositions([aten.elu])[aten.elu.default](x)
    torch.testing.assert_close(found, torch.where(x > 0, x, torch.expm1(x)))
    assert aten.elu.default not in seen.operators
    assert len(seen.operators) > 1


def test_the_fused_weight_norm_is_what_the_module_calls() -> None:
    v, g = torch.tensor([[3.0, 4.0], [6.0, 8.0]]), torch.tensor([[1.0], [5.0]])
    torch.testing.assert_close(compat.fused_weight_norm(v, g, 0), torch.tensor([[0.6, 0.8], [3.0, 4.0]]))
    called: list[Any] = []

    class Calls(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
            called.append(func)
            return func(*args, **(kwargs or {}))

    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
    with Calls():
        layer(X[:2])
    assert compat.fused_weight_norm in called


def test_a_light_mode_sees_operators_and_imports_no_compiler() -> None:
    with Light():
        assert torch.equal(X + Y, torch.tensor([10.0, 19.0, 37.0]))
    lines = [
        "import sys, torch",
        "from descend.graph.compat import LightDispatchMode",
        "class Mode(LightDispatchMode):",
        "    def __torch_dispatch__(self, func, types, args=(), kwargs=None):",
        "        return func(*args, **(kwargs or {}))",
        "with Mode(): torch.ones(2) + 1",
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'sympy') if name in sys.modules])",
    ]
    assert in_a_fresh_process("\n".join(lines)) == "[]"


def test_no_mode_sees_what_is_called_without_modes() -> None:
    with Seen() as seen:
        with compat.without_dispatch_modes():
            X + Y
            assert compat.dispatch_modes() == 0
        assert seen.operators == []
        X + Y  # and again after it
    assert seen.operators == [aten.add.Tensor]


def test_the_last_mode_alone_can_be_left() -> None:
    with Seen() as outer, Seen() as inner:
        with compat.without_last_mode():
            X + Y
        assert (inner.operators, outer.operators) == ([], [aten.add.Tensor])
        X * Y  # and again after it
    assert inner.operators == [aten.mul.Tensor]


def test_modes_are_counted_where_they_would_see_a_call() -> None:
    assert (compat.dispatch_modes(), compat.in_dispatch_mode()) == (0, False)
    with Seen() as outer:
        assert (compat.dispatch_modes(), compat.in_dispatch_mode()) == (1, True)
        with Seen() as inner:
            assert (compat.dispatch_modes(), compat.in_dispatch_mode()) == (2, True)
            X + Y
    assert inner.answers == [(1, True)]  # the one that handles the call would not see the next
    assert outer.answers == [(0, True)]
    assert (compat.dispatch_modes(), compat.in_dispatch_mode()) == (0, False)


def test_make_fx_is_a_dispatch_mode() -> None:
    from torch.fx.experimental.proxy_tensor import make_fx

    answers = []

    def function(x: Tensor) -> Tensor:
        answers.append(compat.in_dispatch_mode())
        return x + 1

    make_fx(function)(X)
    assert answers == [True]


@pytest.mark.parametrize(
    "transform",
    [torch.vmap, lambda f: torch.func.grad(lambda x: f(x).sum()), lambda f: lambda x: torch.func.jvp(f, (x,), (x,))],
    ids=["vmap", "grad", "jvp"],
)
def test_a_transform_is_told(transform: Any) -> None:
    answers = []

    def function(x: Tensor) -> Tensor:
        answers.append(compat.in_transform())
        return x * x

    transform(function)(X)
    function(X)
    assert answers == [True, False]


def test_a_row_of_a_batch_is_told() -> None:
    answers = []

    def function(x: Tensor) -> Tensor:
        answers.extend([compat.is_batched(x), compat.is_batched(2 * x), compat.is_batched(Y)])
        return x

    torch.vmap(function)(X)
    assert answers == [True, True, False]
    assert not compat.is_batched(X)


def test_disabled_subclasses_are_plain_and_modes_see_on() -> None:
    other = X.as_subclass(Other)
    assert torch.neg(other) == "the subclass was asked"
    with FunctionsSeen() as seen, compat.DisableTorchFunctionSubclass():
        assert torch.neg(other).tolist() == [-1.0, -2.0, -4.0]
        assert seen.count > 0
    assert torch.neg(other) == "the subclass was asked"


def test_disabled_functions_are_seen_by_neither_subclass_nor_mode() -> None:
    other = X.as_subclass(Other)
    with FunctionsSeen() as seen:
        with compat.DisableTorchFunction():
            found = torch.neg(other)
        assert seen.count == 0
    with compat.DisableTorchFunctionSubclass():
        assert found.tolist() == [-1.0, -2.0, -4.0]


def test_a_wrapper_has_a_shape_and_no_values() -> None:
    made = compat.make_wrapper(Empty, (2, 3), dtype=torch.float64, device=X.device)
    assert type(made) is Empty
    assert (made.shape, made.dtype, made.device) == ((2, 3), torch.float64, X.device)
    with pytest.raises(LookupError, match=r"aten\.neg\.default"):
        torch.neg(made)


def test_clones_are_equal_in_order_and_lie_elsewhere() -> None:
    turned = torch.arange(6.0).reshape(2, 3).t()
    given = [turned, torch.tensor(3), torch.zeros(0), torch.tensor(2.0), turned[0], torch.tensor([True])]
    found = compat.clones(given)
    assert all(x.equal(y) and x.dtype == y.dtype for x, y in zip(found, given, strict=True))
    assert found[0].stride() == turned.clone().stride()
    assert len({compat.memory(x) for x in [*found, turned]}) == len(given) + 1
    assert compat.clones([]) == []


def test_memory_is_that_of_a_view_and_not_of_a_clone() -> None:
    assert {compat.memory(x) for x in (X[1:], X.view(3, 1), X.detach(), X.t())} == {compat.memory(X)}
    different = [X, Y, X.clone(), X + 0]  # kept, so that none takes the place of another
    assert len({compat.memory(x) for x in different}) == len(different)


def test_writing_into_a_view_is_counted_and_reading_is_not() -> None:
    x = torch.zeros(3)
    before = compat.writings(x)
    assert compat.writings(x) == before == (x + 1).sum().new_tensor(before)
    x[1:].add_(1)
    assert compat.writings(x) > before


def test_buffers_are_those_of_the_module_alone_and_can_be_set() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    module.register_buffer("own", X.clone())
    module.register_buffer("unset", None)
    module.register_buffer("passing", Y.clone(), persistent=False)
    assert list(compat.buffers(module)) == ["own", "unset", "passing"]
    compat.buffers(module).update(own=Y)
    assert module.own is Y


def test_a_lazy_graph_writes_its_code_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(aten.add.Tensor, (x, graph.get_attr("constant"))))
    written = []
    python_code = graph.python_code
    module = compat.lazy_graph_module({"constant": Y}, graph)

    def noted(*args: Any, **kwargs: Any) -> Any:
        written.append(1)
        return python_code(*args, **kwargs)

    monkeypatch.setattr(module.graph, "python_code", noted)
    assert written == []
    assert torch.equal(module(X), torch.tensor([9.0, 18.0, 36.0]))
    assert written == [1]


def test_every_custom_function_applies_through_the_class_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    base, bound, called = compat.SingleLevelFunction, Tripled.apply, []
    original = super(base, Tripled).apply

    def apply(cls: type, *args: Any) -> Any:
        called.append(cls)
        return super(base, cls).apply(*args)

    assert "apply" not in vars(base)
    assert torch.equal(original(X), X)
    with monkeypatch.context() as patch:
        patch.setattr(base, "apply", classmethod(apply), raising=False)
        x = X.clone().requires_grad_()
        [gradient] = torch.autograd.grad(Tripled.apply(x).sum(), x)
        bound(x)
    assert called == [Tripled, Tripled]
    assert torch.equal(gradient, torch.full((3,), 3.0))


def test_a_node_of_a_custom_function_names_it() -> None:
    x = X.clone().requires_grad_()
    node = (x * x).grad_fn
    assert node is not None
    leaf = node.next_functions[0][0]
    assert leaf is not None
    assert compat.function_of(Tripled.apply(x).grad_fn) is Tripled
    assert compat.function_of(node) is None
    assert compat.function_of(leaf) is None


def test_the_compiler_compiles_a_graph_for_example_inputs() -> None:
    graph = Graph()
    x, y = graph.placeholder("x"), graph.placeholder("y")
    both = graph.call_function(aten.add.Tensor, (x, y)), graph.call_function(aten.mul.Tensor, (x, y))
    graph.output(list(both))
    module = compat.lazy_graph_module({}, graph)
    with torch.no_grad():
        compiled = compat.compiler()(module, [X, Y])
        with Seen() as seen:
            found = compiled(Y, Y)
    assert [x.tolist() for x in found] == [[16.0, 32.0, 64.0], [64.0, 256.0, 1024.0]]
    assert not {aten.add.Tensor, aten.mul.Tensor} & set(seen.operators)  # one kernel makes both


def test_arguments_left_out_have_their_defaults() -> None:
    assert compat.arguments(aten.add.Tensor, (1, 2), {}) == {"self": 1, "other": 2, "alpha": 1}
    assert compat.arguments(aten.add.Tensor, (1,), {"alpha": 3, "other": 2}) == {"self": 1, "other": 2, "alpha": 3}
    attention = compat.arguments(aten._scaled_dot_product_flash_attention_for_cpu.default, (), {})
    assert attention["dropout_p"] == 0.0


def test_a_lowered_graph_is_made_of_operators() -> None:
    graph = Graph()
    x = graph.placeholder("x")
    graph.output([graph.call_function(aten.silu.default, (x,))])
    lowered = compat.lowerer()(compat.lazy_graph_module({}, graph), [X])
    with torch.no_grad(), Seen() as seen:
        [found] = lowered(Y)
    assert torch.allclose(found, Y / (1 + (-Y).exp()), rtol=1e-6)
    assert aten.silu.default not in seen.operators
    assert aten.exp.default in seen.operators  # inductor's own formula


def test_without_a_cpp_compiler_that_is_told() -> None:
    import torch._inductor.config as config

    assert compat.has_cpp_compiler() == any(shutil.which(name) for name in ("g++", "clang++", "c++"))
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        assert not compat.has_cpp_compiler()


def test_what_was_compiled_is_forgotten() -> None:
    compiled = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(any(isinstance(x, torch.SymInt) for x in inputs))
        return graph

    function = torch.compile(lambda x: x + 1, backend=backend)
    compat.forget_compiled()
    for x in (X, X, X[:2]):
        function(x)
    assert compiled == [False, True]  # by the second size, sizes were taken for variable
    compat.forget_compiled()
    function(X)
    assert compiled == [False, True, False]


def test_importing_it_imports_no_compiler() -> None:
    code = (
        "import sys, descend.graph.compat;"
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'sympy') if name in sys.modules])"
    )
    assert in_a_fresh_process(code) == "[]"


def test_every_name_has_a_test() -> None:
    defined, used = (ast.parse(Path(str(file)).read_text(encoding="utf-8")) for file in (compat.__file__, __file__))
    names = {node.name for node in defined.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    names |= {ast.unparse(node.targets[0]) for node in defined.body if isinstance(node, ast.Assign)}
    names |= {ast.unparse(node.target) for node in defined.body if isinstance(node, ast.AnnAssign)}
    assert names <= {ast.unparse(node).removeprefix("compat.") for node in ast.walk(used)}


def test_onednn_is_left_out_inside_alone() -> None:
    before = torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled()
    with compat.without_onednn():
        assert not torch._C._get_mkldnn_enabled()
    assert torch._C._get_mkldnn_enabled() == before
