"""One step of one run made into one of many: every run gets the bits that it gets alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from descend.graph import calls
from descend.graph.code import python_function
from descend.graph.compat import OpOverloadPacket
from descend.graph.layouts import STEADY, STEADY_POWERS
from descend.graph.many import VECTORS
from descend.graph.simplify import simplified
from descend.graph.stack import stacked
from descend.graph.trace import trace

aten = torch.ops.aten
HEIGHTS = (1, 2, 3, 33, 67)
DTYPES = (torch.float32, torch.float64)
NUMBERS: dict[Any, tuple[float, ...]] = {
    aten.clamp: (-0.5, 0.5),
    aten.clamp_max: (0.5,),
    aten.clamp_min: (-0.5,),
    aten.leaky_relu: (0.01,),
}


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())


def column(run: int, x: Tensor) -> Tensor:
    return x[run : run + 1].clone()


def in_a_stack(step: Callable[..., Tensor], given: list[Tensor], last: bool, shared: tuple[Tensor, ...] = ()) -> Tensor:
    """The result of many runs, [runs, …]."""
    runs = len(given[0])
    graph, _ = trace(lambda *x: [step(*x)], *[x[0] for x in given], *shared)
    graph = simplified(graph)
    if last:
        spare = -runs % VECTORS
        given = [torch.cat([x, x[:1].expand(spare, *x.shape[1:])]).movedim(0, -1).contiguous() for x in given]
    marks = [True] * len(given) + [False] * len(shared)
    made = python_function(simplified(stacked(graph, marks, [*given, *shared], last)))
    [found] = made(*given, *shared)
    return found.movedim(-1, 0)[:runs] if last else found


def check(
    step: Callable[..., Tensor], shapes: list[tuple[int, ...]], last: bool, dtype: torch.dtype, **given: Any
) -> None:
    whole = [drawn(max(HEIGHTS), *shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)]
    shared = tuple(drawn(*shape, dtype=dtype, seed=9) for shape in given.get("shared", ()))
    alone = {run: in_a_stack(step, [column(run, x) for x in whole], last, shared) for run in (0, 2, 32, 66)}
    for runs in HEIGHTS:
        found = in_a_stack(step, [x[:runs].clone() for x in whole], last, shared)
        for run, own in alone.items():
            assert run >= runs or same(own[0], found[run]), f"run {run} of {runs}"


def near(step: Callable[..., Tensor], shapes: list[tuple[int, ...]], last: bool) -> None:
    """What is computed is also right."""
    given = [drawn(5, *shape, dtype=torch.float64, seed=i) for i, shape in enumerate(shapes)]
    found = in_a_stack(step, given, last)
    right = torch.stack([step(*[x[i] for x in given]) for i in range(5)])
    torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("packet", sorted(STEADY - {aten._to_copy, aten.masked_fill}, key=str), ids=str)
def test_what_is_called_steady_rounds_alike_wherever_a_number_lies(packet: OpOverloadPacket) -> None:
    first = getattr(packet, packet.overloads()[0])
    for dtype in DTYPES:
        count = sum(str(a.type) == "Tensor" for a in first._schema.arguments)
        bitwise = "bitwise" in str(packet)
        given = [drawn(999, dtype=dtype, seed=i) for i in range(count)]
        given = [x > 0 for x in given] if bitwise else given
        if packet is aten.where:
            given[0] = given[0] > 0
        more = NUMBERS.get(packet, ())
        if packet in NUMBERS:
            given = given[:1]
        if packet is aten.threshold_backward:
            more = (0.1,)
        if packet is aten.lerp:
            given.append(drawn(999, dtype=dtype, seed=7)) if len(given) < 3 else None
        if packet is aten.rsub:
            given = given[:2]
        whole = packet(*given, *more)
        for size in (1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 47):
            for at in (0, 1, 5, 900):
                part = packet(*[x[at : at + size].clone() for x in given], *more)
                assert same(part, whole[at : at + size]), (dtype, size, at)


@pytest.mark.parametrize("power", sorted(STEADY_POWERS))
def test_powers_called_steady_are(power: float) -> None:
    for dtype in DTYPES:
        x = drawn(999, dtype=dtype).abs()
        assert all(same(x[:size].clone() ** power, (x**power)[:size]) for size in (1, 3, 8, 17, 33))


ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid, "cosh": torch.cosh, "gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu,
    "softplus": torch.nn.functional.softplus, "power": lambda x: x.abs() ** 2.5, "fourth": lambda x: x**4,
    "mish": torch.nn.functional.mish, "elu": torch.nn.functional.elu, "atanh": lambda x: (x / 9).atanh(),
    "exp": torch.exp, "logaddexp": lambda x: torch.logaddexp(x, x * 2),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str, last: bool, dtype: torch.dtype) -> None:
    for shape in ((), (2,), (3, 5)):
        check(ELEMENTWISE[name], [shape], last, dtype)
        near(ELEMENTWISE[name], [shape], last)


def test_elementwise_loops_shared_among_threads() -> None:
    with threads(2):
        check(lambda x: torch.sigmoid(x) + torch.cosh(x), [(1201,)], False, torch.float64)


REDUCTIONS = {
    "sum": lambda x: x.sum(), "sum0": lambda x: x.sum(0), "sum1": lambda x: x.sum(-1, keepdim=True),
    "mean": lambda x: x.mean(), "mean1": lambda x: x.mean(1), "norm": torch.linalg.vector_norm,
    "norm0": lambda x: torch.linalg.vector_norm(x, dim=0), "amax": lambda x: x.amax(0), "max": lambda x: x.max(),
    "prod": lambda x: x.prod(), "prod1": lambda x: x.prod(1), "all": lambda x: (x > -9).all().double(),
    "softmax": lambda x: x.softmax(-1), "softmax0": lambda x: x.softmax(0), "logsumexp": lambda x: x.logsumexp(1),
    "log_softmax": lambda x: x.log_softmax(-1), "var": lambda x: x.var(0), "cumsum": lambda x: x.cumsum(0),
    "sort": lambda x: x.sort(0).values, "norm1": lambda x: torch.linalg.vector_norm(x, 1),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str, last: bool, dtype: torch.dtype) -> None:
    for shape in ((2, 1), (10, 7)) if last else ((2, 1), (10, 7), (128, 33)):
        check(REDUCTIONS[name], [shape], last, dtype)
        near(REDUCTIONS[name], [shape], last)


def test_large_sums_shared_among_threads() -> None:
    with threads(2):
        for step in (lambda x: x.sum(), lambda x: x.mean(), lambda x: torch.dot(x, x)):
            check(step, [(50_000,)], False, torch.float32)


SIZES = [
    *((2, 2, 1), (5, 7, 1), (64, 17, 5), (128, 64, 32), (128, 32, 10), (33, 20, 13), (1, 64, 17)),
    *((16, 16, 16), (256, 256, 48), (8, 1024, 32)),  # a matrix is added in the same call; threads share long sums
    *((6, 8, 24), (10, 48, 96)),  # threads share a lone product
]


def scaled_sum(b: Tensor, w: Tensor, x: Tensor) -> Tensor:
    return torch.addmm(b, x, w, beta=0.3, alpha=-2.7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("count", [1, 2])
def test_matrix_products(size: tuple[int, int, int], dtype: torch.dtype, count: int) -> None:
    m, k, n = size
    with threads(count):
        check(torch.mm, [(m, k), (k, n)], False, dtype)
        check(lambda x, y: torch.mm(x.t(), y), [(k, m), (k, n)], False, dtype)
        check(lambda x, y: torch.mm(x, y.t()), [(m, k), (n, k)], False, dtype)
        check(lambda w, x: torch.mm(x, w), [(k, n)], False, dtype, shared=[(m, k)])
        check(lambda b, w, x: torch.addmm(b, x, w), [(n,), (k, n)], False, dtype, shared=[(m, k)])
        check(scaled_sum, [(m, n), (k, n), (m, k)], False, dtype)
        check(scaled_sum, [(m, n)], False, dtype, shared=[(k, n), (m, k)])
        check(torch.mv, [(m, k), (k,)], False, dtype)
        check(torch.bmm, [(1, m, k), (1, k, n)], False, dtype)
    near(torch.mm, [(m, k), (k, n)], False)
    near(scaled_sum, [(m, n), (k, n), (m, k)], False)
    near(torch.mv, [(m, k), (k,)], False)


def test_small_products_with_the_run_axis_last() -> None:
    for dtype in DTYPES:
        check(torch.mm, [(3, 4), (4, 2)], True, dtype)
        check(torch.mv, [(3, 4), (4,)], True, dtype)
        check(torch.dot, [(5,), (5,)], True, dtype)
    near(torch.mm, [(3, 4), (4, 2)], True)
    near(torch.mv, [(3, 4), (4,)], True)
    near(torch.dot, [(5,), (5,)], True)


@pytest.mark.parametrize("count", [3, 8])
@pytest.mark.parametrize(("dtype", "k"), [(torch.float32, 784), (torch.float64, 256)], ids=str)
def test_batches_of_products_with_fewer_matrices_than_threads(dtype: torch.dtype, k: int, count: int) -> None:
    with threads(count):
        check(torch.bmm, [(2, 16, k), (2, k, 256)], False, dtype)
        check(lambda x, y: torch.bmm(x, y.mT), [(2, 16, k), (2, 256, k)], False, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_convolutions(dtype: torch.dtype) -> None:
    def step(x: Tensor, w: Tensor) -> Tensor:
        w = w.detach().requires_grad_()
        with torch.enable_grad():
            found = torch.nn.functional.avg_pool2d(torch.conv2d(x, w, padding=1).tanh(), 2).sum()
        return torch.autograd.grad(found, w)[0]

    check(step, [(4, 3, 8, 8), (5, 3, 3, 3)], False, dtype)
    near(step, [(4, 3, 8, 8), (5, 3, 3, 3)], False)


MOVEMENTS = {
    "slices": lambda x: torch.cat([x[1:], x[:-1] * 2], 1), "stack": lambda x: torch.stack([x[0], x[1] + 1], -1),
    "views": lambda x: x.t().reshape(-1)[::2].flip(0), "unbind": lambda x: sum(x.unbind(1)),
    "expand": lambda x: x[:, None].expand(-1, 3, -1).sum(1), "permute": lambda x: x.permute(1, 0) * 2,
    "transpose": lambda x: x.transpose(0, -1)[0], "split": lambda x: x.split(1, -1)[0],
    "unsafe split": lambda x: x.unsafe_chunk(3, -1)[1],
    "unsafe parts": lambda x: x.unsafe_split_with_sizes([1, 2], 1)[1],
    "squeeze": lambda x: x[:1].squeeze(),
    "number": lambda x: x[0, 0] * x + x.sum(), "index": lambda x: x[torch.tensor([0, 0, 1])],
    "eigenvalues": lambda x: torch.linalg.eigvalsh(x[:2, :2] + x[:2, :2].t()), "roll": lambda x: x.roll(1, 0),
}  # fmt: skip


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("name", MOVEMENTS)
def test_movements(name: str, last: bool) -> None:
    check(MOVEMENTS[name], [(2, 3)], last, torch.float64)
    near(MOVEMENTS[name], [(2, 3)], last)


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
def test_a_number_does_not_widen_what_it_scales(last: bool) -> None:
    number, x = torch.rand(4, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float32)
    found = in_a_stack(lambda a, x: a * x, [number, x], last)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, number.float()[:, None] * x)


def test_what_is_not_known_is_made_run_by_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], calls.call_by_call

    def noted(*given: Any) -> Any:
        made.append(given[0])
        return real(*given)

    monkeypatch.setattr(calls, "call_by_call", noted)
    near(lambda x: torch.linalg.pinv(x), [(3, 2)], False)
    assert made


@pytest.mark.parametrize("last", [True, False], ids=["last", "first"])
@pytest.mark.parametrize("kind", [torch.nn.LSTMCell, torch.nn.GRUCell])
def test_recurrent_cells_are_made_for_all_runs_at_once(
    kind: type[torch.nn.LSTMCell | torch.nn.GRUCell], last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def each(*given: Any) -> Any:
        raise AssertionError(f"{given[0]} is made run by run")

    monkeypatch.setattr(calls, "call_by_call", each)
    cell = kind(3, 8, dtype=torch.float64).requires_grad_(False)

    def step(x: Tensor) -> Tensor:
        found = cell(x)
        return found[0] if isinstance(found, tuple) else found

    check(step, [(5, 3)], last, torch.float64)
    near(step, [(5, 3)], last)
