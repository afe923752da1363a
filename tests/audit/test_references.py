"""What the audit believes in: held to derivatives known by hand, and to one another."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from descend.audit.arithmetic import Untranslated
from descend.audit.audit import audit
from descend.audit.conclusion import conclusion
from descend.audit.differences import finite_differences
from descend.audit.exact import symbolic, thirty_digits
from descend.audit.interpreter import forward_graph
from descend.audit.reference import Reference
from descend.audit.subjects import objective_subject, op_points, through_op
from descend.audit.subspace import Restricted, orthonormal
from descend.audit.transforms import reverse
from descend.errors import ConfigurationError
from descend.objectives.rosenbrock import Rosenbrock
from descend.ops.gradient_reversal import GradientReversal
from descend.ops.loop import Loop
from descend.ops.op import Op
from descend.ops.relu import ReLU
from descend.ops.softplus import Softplus
from descend.ops.straight_through_round import StraightThroughRound
from descend.types import Params

X = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)


def close(reference: Reference, expected: Tensor, tolerance: float) -> bool:
    middle = (reference.low + reference.high) / 2
    return bool((middle - expected).abs().max() <= tolerance * expected.abs().max())


def exp_of_sum(s: Tensor) -> Tensor:
    return torch.exp(s.sum())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_references_against_a_derivative_known_by_hand(order: int) -> None:
    expected = torch.full((3,) * order, math.exp(0.7), dtype=torch.float64)
    graph = forward_graph(exp_of_sum, X)
    assert close(symbolic(graph, X, order), expected, 1e-15)
    assert close(thirty_digits(graph, X, order), expected, 1e-15)
    lower: Callable[[Tensor], Tensor] = exp_of_sum
    for _ in range(order - 1):
        lower = reverse(lower)
    assert close(finite_differences(lower, X), expected, 1e-11)


DATA = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(4, 3)
LABELS = torch.tensor([0, 2, 1, 1])
FUNCTIONS = {
    "gelu and layer norm": lambda s: F.layer_norm(F.gelu(DATA * s), (3,), s, s).square().sum(),
    "cross entropy": lambda s: F.cross_entropy(torch.tanh(DATA * s), LABELS),
    "softplus, relu, clamp": lambda s: (F.softplus(DATA @ s) + F.relu(s.sum()) + s.clamp(-0.5, 0.5).sum()).sum(),
    "indexing and joining": lambda s: torch.stack([s[0] * s[1], torch.cat([s, s])[4]]).prod() + s.flip(0)[1:].mean(),
    "every way to move": lambda s: (
        (s.repeat(2).gather(0, torch.tensor([5, 1, 0])) * s.index_select(0, torch.tensor([2, 0, 1]))).sum()
        + torch.outer(s, s).diagonal().roll(1).dot(s) * torch.cat([DATA[0], s])[[3, 4]].split(1)[1].prod()
        + s.unflatten(0, (3, 1)).expand(3, 2).transpose(0, 1).reshape(-1)[::2].unbind()[1].exp()
    ),
    "where, hypot, power": lambda s: torch.where(s > 0, s**3, torch.hypot(s, s * s)).sum() / (1 + s[2]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mpmath_agrees_with_double_backward(name: str) -> None:
    function = FUNCTIONS[name]
    graph = forward_graph(function, X)
    assert close(thirty_digits(graph, X, 1), reverse(function)(X).detach(), 1e-13)
    assert close(thirty_digits(graph, X, 2), reverse(reverse(function))(X).detach(), 1e-12)


def test_an_operation_without_a_meaning_is_said() -> None:
    with pytest.raises(Untranslated, match="_linalg_det"):
        thirty_digits(forward_graph(lambda s: torch.linalg.det(torch.outer(s, s)), X), X, 1)


def test_a_kink_gives_an_interval() -> None:
    at = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64)
    for found in (
        finite_differences(lambda s: F.relu(s).sum(), at),
        thirty_digits(forward_graph(lambda s: F.relu(s).sum(), at), at, 1),
    ):
        assert found.at_kink
        for subgradient in (0.0, 0.5, 1.0):
            assert found.admits(torch.tensor([subgradient, 1.0, 0.0], dtype=torch.float64))
        assert not found.admits(torch.tensor([1.1, 1.0, 0.0], dtype=torch.float64))
        assert not found.admits(torch.tensor([1.0, 0.9, 0.0], dtype=torch.float64))


def test_nan_is_never_admitted() -> None:
    found = finite_differences(lambda s: s.sum(), X)
    assert not found.admits(torch.full((3,), math.nan, dtype=torch.float64))


def test_directions_are_orthonormal_or_the_coordinates() -> None:
    generator = torch.Generator().manual_seed(0)
    large = {"w": torch.zeros(4, 5, dtype=torch.float64)}
    columns = orthonormal(large, 3, generator)
    torch.testing.assert_close(columns.T @ columns, torch.eye(3, dtype=torch.float64))
    assert torch.equal(orthonormal({"x": X}, 3, generator), torch.eye(3, dtype=torch.float64))
    restricted = Restricted(lambda params: params["w"].sum(), large, columns)
    torch.testing.assert_close(reverse(restricted)(torch.zeros(3).double()).detach(), columns.sum(dim=0))


@pytest.mark.parametrize("op", [ReLU(), Softplus()])
def test_ops_pass_at_their_kinks_and_edges(op: Op) -> None:
    generator = torch.Generator().manual_seed(0)
    report = audit(through_op(op), op_points(op, generator), 2, generator=generator, backend=None)
    assert report.exit_code == 0, report.table()


def test_an_objective_passes_to_the_third_order() -> None:
    generator = torch.Generator().manual_seed(0)
    subject = objective_subject("rosenbrock", Rosenbrock(), ReLU(), generator)
    assert len(subject.points) == 2
    assert not torch.equal(subject.points[0]["x"], subject.points[1]["x"])
    report = subject.audited(3, generator, backend=None)
    assert {row.verdict for row in report.rows} == {"right"}


def test_an_op_that_is_not_a_derivative_by_design_is_held_to_agreement() -> None:
    op, generator = GradientReversal(), torch.Generator().manual_seed(0)
    points = op_points(op, generator)
    plain = audit(through_op(op), points, 1, generator=generator, backend=None)
    assert plain.exit_code == 1
    by_design = audit(through_op(op), points, 1, generator=generator, backend=None, by_design=op.declines_gradcheck)
    assert by_design.exit_code == 0
    assert op.declines_gradcheck is not None
    assert op.declines_gradcheck in by_design.table()


def test_detach_is_taken_for_design() -> None:
    point = [{"x": X}]
    generator = torch.Generator().manual_seed(0)
    report = audit(lambda p: (p["x"] * p["x"].detach()).sum(), point, 1, generator=generator, backend=None)
    assert report.exit_code == 0
    rows = {row.route: row.verdict for row in report.rows}
    assert rows["descend.derivatives.gradient"] == "right, with constants"
    assert "held to those of the function in which that is a constant" in report.table()
    assert "test_references.py, line" in report.table()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x.detach().mean(), x.sin().sum())[1],
        lambda x: (x - x.detach().max()).exp().sum().log() + x.detach().max(),
    ],
    ids=["a mean kept for a log", "a stable logsumexp"],
)
def test_a_detach_that_the_value_does_not_depend_on_is_no_constant(function: Callable[[Tensor], Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    report = audit(lambda p: function(p["x"]), [{"x": X}], 1, generator=generator, backend=None)
    rows = {row.route: row.verdict for row in report.rows}
    assert rows["descend.derivatives.gradient"] == rows["nested func.jvp"] == "right"
    assert "holds constant" not in report.table()


def test_a_route_that_raises_is_called_so() -> None:
    """Torch has no forward derivative of fused attention; nothing else is the matter with it."""

    def attention(p: dict[str, Tensor]) -> Tensor:
        x = p["x"].reshape(1, 1, 3, 1)
        return F.scaled_dot_product_attention(x, x, x).square().sum()

    report = audit(attention, [{"x": X}], 1, generator=torch.Generator().manual_seed(0), backend=None)
    verdicts = {row.route: row.verdict for row in report.rows}
    assert verdicts["nested func.jvp"] == verdicts["nested func.jacfwd"] == "raises"
    assert verdicts["descend.engine: recorded graph"] == verdicts["make_fx of autograd.grad"] == "right"
    assert "wrong" not in verdicts.values()
    assert report.exit_code == 0
    assert "Every derivative that descend itself takes is right" in conclusion([report])


def test_traced_and_compiled_is_a_route() -> None:
    generator = torch.Generator().manual_seed(0)
    report = audit(lambda p: p["x"].sin().sum(), [{"x": X}], 1, generator=generator, backend="eager")
    assert {"make_fx then compile", "compile of func.grad"} <= {row.route for row in report.rows}
    assert report.exit_code == 0


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo does it itself
def test_a_backward_that_compiling_drops_is_wrong_and_named() -> None:
    op, generator = StraightThroughRound(), torch.Generator().manual_seed(0)
    points, design = op_points(op, generator)[:1], op.declines_gradcheck
    report = audit(through_op(op), points, 1, generator=generator, backend="eager", by_design=design)
    rows = {row.route: row for row in report.rows}
    assert rows["compile of func.grad"].verdict == "wrong"
    assert "#193279" in rows["compile of func.grad"].remark
    assert rows["make_fx then compile"].verdict == "agrees"
    assert report.exit_code == 0


@pytest.mark.parametrize(
    ("points", "order", "named"),
    [([{"x": X}], 0, "order 0"), ([], 1, "at least one point"), ([{"x": X.float()}], 1, "'x' has dtype torch.float32")],
)
def test_wrong_input_is_said_in_a_sentence(points: list[Params], order: int, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        audit(lambda p: p["x"].sum(), points, order, generator=torch.Generator())


def test_a_reference_may_be_off_by_the_error_that_it_states() -> None:
    """At 3 the second derivative of the loop jumps, and differences of the value are good to six digits."""
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor([-3.0, 0.1, 3.0], dtype=torch.float64)
    report = audit(through_op(Loop()), [{"x": x}], 1, generator=generator, backend=None)
    row = next(row for row in report.rows if row.route == "finite differences")
    assert row.verdict == "right"
    assert row.error is not None
    assert row.error > 1e-8


def test_a_kinked_line_all_along_settles_nowhere() -> None:
    """Between kinks closer than the smallest step no difference quotient is to be believed."""
    turns = 2 * math.pi / 1e-9

    def sawteeth(s: Tensor) -> Tensor:
        return torch.asin(torch.sin(turns * (s + 0.123))).sum() * 100 / turns

    found = finite_differences(sawteeth, torch.zeros(1, dtype=torch.float64))
    assert not found.settled.any()
