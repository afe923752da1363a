"""The audit calls the engine's own functions: break one of them by a factor, and it accuses that one and no other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from audit.planted_functions import op
from torch import Tensor

from descend.audit import engine_routes
from descend.audit.audit import audit
from descend.audit.conclusion import conclusion
from descend.audit.report import AuditReport
from descend.audit.verdict import Judged, Mark
from descend.derivatives.series.rules import PRIMITIVES
from descend.engine.backends.c_program import NoCompiler
from descend.engine.backends.expressions import EXPRESSIONS
from descend.engine.losses import LossGradients
from descend.graph.many import Many
from descend.graph.moves import RULES
from descend.graph.recorder import Recorder
from descend.ops.straight_through_round import StraightThroughRound
from descend.types import Params

pytestmark = pytest.mark.long

aten = torch.ops.aten
X = torch.tensor([0.33, -0.72, 1.17], dtype=torch.float64)

TRAINING = "descend.engine: training gradient"
JACOBIAN = "descend.engine: Jacobian of the losses"
GRAPH = "descend.engine: recorded graph"
FIRST = "descend.engine: stack, runs first"
LAST = "descend.engine: stack, runs last"
KERNEL = "descend.engine: C kernel"
COMPILED = "descend.engine: compiled graph"
TAYLOR = "Taylor series"
MADE = {1: {GRAPH, FIRST, LAST, KERNEL}, 2: {GRAPH, FIRST, LAST}}

own_sin = op(torch.sin, torch.cos)


def product(x: Tensor) -> Tensor:
    return (x.sin() * x**2).sum()


def flipped(x: Tensor) -> Tensor:
    return (x.flip(0).sin() * x**2).sum()


def network(params: Params) -> Tensor:
    given = torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(10, 2)
    hidden = torch.tanh(given @ params["first"] + params["bias"])
    return ((hidden @ params["second"]).squeeze(-1) - given.prod(1)).square().mean()


NETWORK = {
    "first": torch.tensor([[0.3, -0.5, 0.9, 0.1], [-0.2, 0.7, 0.4, -1.1]], dtype=torch.float64),
    "bias": torch.tensor([0.1, -0.3, 0.2, 0.4], dtype=torch.float64),
    "second": torch.tensor([[0.8], [-0.6], [0.5], [1.2]], dtype=torch.float64),
}


def report_on(function: Callable[[Tensor], Tensor], order: int = 2, **options: Any) -> AuditReport:
    generator = torch.Generator().manual_seed(0)
    options = {"backend": None, **options}
    return audit(lambda p: function(p["x"]), [{"x": X}], order, generator=generator, **options)


def rows(report: AuditReport, order: int = 1) -> dict[str, Judged]:
    return {row.route: row for row in report.rows if row.order == order}


def wrong(report: AuditReport) -> set[tuple[int, str]]:
    return {(row.order, row.route) for row in report.rows if row.verdict == Mark.WRONG}


def accused(report: AuditReport) -> set[tuple[int, str]]:
    return {(row.order, row.route) for row in report.first_wrong}


@pytest.mark.parametrize("function", [product, flipped, lambda x: (own_sin(x) * x**2).sum()])
def test_unbroken_every_route_is_right(function: Callable[[Tensor], Tensor]) -> None:
    report = report_on(function, 3, backend="eager")
    ours = [row for row in report.rows if row.ours]
    assert {row.verdict for row in ours} == {Mark.RIGHT}, report.table()
    assert {row.route for row in ours if row.order == 1} >= {TRAINING, JACOBIAN, GRAPH, FIRST, LAST, KERNEL, COMPILED}
    assert {row.route for row in ours if row.order == 2} >= {GRAPH, FIRST, LAST}
    assert {row.route for row in ours if row.order == 3} >= {TAYLOR}


def test_unbroken_every_route_is_right_for_a_network_and_says_which_are_not_taken() -> None:
    generator = torch.Generator().manual_seed(0)
    report = audit(network, [NETWORK], 2, generator=generator, backend=None)
    first = rows(report)
    assert {first[name].verdict for name in (TRAINING, JACOBIAN, GRAPH, FIRST, LAST)} == {Mark.RIGHT}, report.table()
    assert first[KERNEL].verdict == Mark.NOT_TAKEN
    assert first[KERNEL].remark == "a kernel is for tensors of at most 16 entries; run by the graph backend"
    assert report.exit_code == 0
    assert "not taken" not in conclusion([report])


def test_a_backward_that_is_meant_to_be_another_agrees_by_every_route() -> None:
    op = StraightThroughRound()
    report = report_on(lambda x: (op(x) * x).sum(), 1, by_design=op.declines_gradcheck)
    ours = {row.verdict for row in report.rows if row.ours}
    assert ours <= {Mark.AGREES}, report.table()


def break_recorder(monkeypatch: pytest.MonkeyPatch, operation: Any) -> None:
    """Let what `operation` gives be recorded twice as large."""
    taken = Recorder.__torch_dispatch__

    def dispatch(self: Recorder, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        found = taken(self, func, types, args, kwargs)
        if func is operation and isinstance(found, Tensor):
            self._know(found, self.graph.call_function(aten.mul.Tensor, (self.node(found), 2)))
        return found

    monkeypatch.setattr(Recorder, "__torch_dispatch__", dispatch)


@pytest.mark.parametrize("operation", [aten.cos.default, aten.mul.Tensor], ids=str)
def test_a_broken_recorder_is_accused_and_what_is_made_of_its_graph_with_it(
    monkeypatch: pytest.MonkeyPatch, operation: Any
) -> None:
    break_recorder(monkeypatch, operation)
    report = report_on(product)
    assert accused(report) == {(1, GRAPH), (2, GRAPH)}, report.table()
    assert wrong(report) == {(order, name) for order in (1, 2) for name in MADE[order]}, report.table()
    assert report.exit_code == 1
    told = conclusion([report])
    assert told.startswith(
        f"Wrong, and taken by descend itself: {GRAPH} at order 1, {GRAPH} at order 2. So is what is made of it: "
    )


def test_a_broken_kernel_operation_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXPRESSIONS, aten.mul, "2 * {0} * {1}")
    report = report_on(product)
    assert wrong(report) == accused(report) == {(1, KERNEL)}, report.table()
    assert report.exit_code == 1


def test_a_broken_taylor_rule_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = PRIMITIVES[Tensor.sin]
    monkeypatch.setitem(PRIMITIVES, Tensor.sin, lambda *args, **kwargs: 2 * rule(*args, **kwargs))
    report = report_on(product, 3)
    assert wrong(report) == {(order, TAYLOR) for order in (1, 2, 3)}, report.table()
    assert accused(report) == {(3, TAYLOR)}


@pytest.mark.parametrize(("front", "route"), [(1, FIRST), (0, LAST)])
def test_a_broken_rule_of_stacking_is_accused(monkeypatch: pytest.MonkeyPatch, front: int, route: str) -> None:
    rule = RULES[aten.flip]

    def doubled(node: Any, args: Any, kwargs: Any, place: int) -> Any:
        found = rule(node, args, kwargs, place)
        return Many(2 * found.x) if place == front else found

    monkeypatch.setitem(RULES, aten.flip, doubled)
    report = report_on(flipped)
    assert wrong(report) == accused(report) == {(1, route), (2, route)}, report.table()


def test_a_rule_of_stacking_that_takes_a_neighbour_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RULES[aten.flip]
    monkeypatch.setitem(RULES, aten.flip, lambda node, *rest: Many(rule(node, *rest).x.roll(1, 0)))
    assert (1, FIRST) in accused(report_on(flipped, 1))


def test_a_broken_training_gradient_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = LossGradients.combined

    def doubled(self: LossGradients, *args: Any, **kwargs: Any) -> Params:
        return {name: 2 * x for name, x in found(self, *args, **kwargs).items()}

    monkeypatch.setattr(LossGradients, "combined", doubled)
    report = report_on(product, 1)
    assert accused(report) == {(1, TRAINING)}, report.table()
    assert wrong(report) == {(1, name) for name in (TRAINING, *MADE[1])}, report.table()


def test_a_broken_jacobian_is_accused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = LossGradients.jacobian
    monkeypatch.setattr(LossGradients, "jacobian", lambda self: 2 * found(self))
    report = report_on(product, 1)
    assert wrong(report) == accused(report) == {(1, JACOBIAN)}, report.table()


def test_what_passes_through_numpy_is_run_by_python() -> None:
    slope = op(torch.sin, lambda x: torch.from_numpy(x.detach().numpy().copy()).cos())
    remark = rows(report_on(lambda x: slope(x).sum(), 1))[GRAPH].remark
    assert remark.startswith("its values pass through NumPy or Python")


def test_what_is_more_than_arithmetic_has_no_kernel_and_the_reason_is_one_line() -> None:
    row = rows(report_on(lambda x: F.logsigmoid(x).sum(), 1))[KERNEL]
    assert row.verdict == Mark.NOT_TAKEN
    assert row.remark.startswith("more than arithmetic between entries: aten.log_sigmoid_")
    assert row.remark.endswith("; run by the graph backend")
    assert "\n" not in row.remark


def test_without_a_compiler_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(step: object) -> None:
        raise NoCompiler("none here")

    monkeypatch.setattr(engine_routes, "CProgram", none)
    row = rows(report_on(product, 1))[KERNEL]
    assert (row.verdict, row.remark) == (Mark.NOT_TAKEN, "no C compiler here; run by the graph backend")
