"""Values and derivatives of the ops against references nobody here wrote: mpmath, scipy, torch, and the guide."""

from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from descend.derivatives.directional import taylor
from descend.errors import ConfigurationError
from descend.ops.branch import Branch
from descend.ops.fixed_point import FixedPoint
from descend.ops.gelu import GELU
from descend.ops.gradient_clip import GradientClip
from descend.ops.gradient_reversal import GradientReversal
from descend.ops.gradient_scale import GradientScale
from descend.ops.guide_relu import GuideReLU
from descend.ops.hard_threshold import HardThreshold
from descend.ops.identity import Identity
from descend.ops.log import Log
from descend.ops.log1mexp import Log1mExp
from descend.ops.loop import Loop
from descend.ops.op import Op
from descend.ops.relu import ReLU
from descend.ops.sigmoid import Sigmoid
from descend.ops.silu import SiLU
from descend.ops.sin import Sin
from descend.ops.smooth_abs import SmoothAbs
from descend.ops.soft_threshold import SoftThreshold
from descend.ops.softplus import Softplus
from descend.ops.spike import Spike
from descend.ops.straight_through_round import StraightThroughRound
from descend.ops.straight_through_sign import StraightThroughSign
from descend.ops.subgradient_relu import SubgradientReLU
from descend.ops.tanh import Tanh

DIGITS = 60
mp = mpmath.mp.clone()
mp.dps = DIGITS


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def derivatives(op: Op, x: float, order: int) -> list[float]:
    """The derivatives 0…order at x by nested autograd."""
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    current = op(leaf)
    found = [current.item()]
    for _ in range(order):
        (current,) = torch.autograd.grad(current, leaf, create_graph=True, materialize_grads=True)
        found.append(current.item())
    return found


def slope(op: Op, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(op(leaf).sum(), leaf)[0]


def solve_fixed_point(x: mpmath.mpf) -> mpmath.mpf:
    return mp.findroot(lambda z: z - mp.tanh(0.75 * z + x), (-1, 1), solver="anderson", tol=mp.mpf(10) ** -110)


FORMULAS = {
    "tanh": (Tanh(), mp.tanh),
    "sigmoid": (Sigmoid(), lambda x: 1 / (1 + mp.exp(-x))),
    "sin": (Sin(), mp.sin),
    "gelu": (GELU(), lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2),
    "silu": (SiLU(), lambda x: x / (1 + mp.exp(-x))),
    "softplus": (Softplus(), lambda x: mp.log1p(mp.exp(x))),
    "smooth_abs": (SmoothAbs(width=0.25), lambda x: mp.sqrt(x * x + mp.mpf(1) / 16)),
    "log": (Log(), mp.log),
    "log1mexp": (Log1mExp(), lambda x: mp.log(1 - mp.exp(x))),
    "branch": (Branch(), lambda x: mp.log(x) if x > 1 else x - 1),
    "fixed_point": (FixedPoint(weight=0.75), solve_fixed_point),
}
WHERE = {"log": (0.1, 1.5, 40.0), "log1mexp": (-12.0, -0.7, -1e-3)}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_three_derivatives_against_mpmath(name: str) -> None:
    op, formula = FORMULAS[name]
    for x in WHERE.get(name, (-2.3, -0.4, 0.3, 1.9)):
        expected = [float(value) for value in mp.taylor(formula, mp.mpf(x), 3)]
        expected = [value * factor for value, factor in zip(expected, (1, 1, 2, 6), strict=True)]
        np.testing.assert_allclose(derivatives(op, x, 3), expected, rtol=2e-12, atol=1e-15)


def test_log_has_the_derivative_the_guide_asks_for() -> None:
    assert slope(Log(), double(2.0)).item() == 0.5


def test_softplus_is_right_where_torch_gives_up() -> None:
    value, first, second = derivatives(Softplus(), 25.0, 2)
    tail = float(mp.exp(-25))
    assert value - 25.0 == pytest.approx(tail, rel=1e-3)
    assert second == pytest.approx(tail, rel=1e-9)
    assert derivatives_of_torch_softplus(25.0) == 0.0
    assert torch.isfinite(double(*derivatives(Softplus(), -800.0, 3), *derivatives(Softplus(), 800.0, 3))).all()
    assert first == pytest.approx(1.0)


def derivatives_of_torch_softplus(x: float) -> float:
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(functional.softplus(leaf), leaf, create_graph=True)
    return torch.autograd.grad(first, leaf)[0].item()


@pytest.mark.parametrize("x", [-700.0, -40.0, -1.0, -0.69314, -1e-5, -1e-12, -1e-300])
def test_log1mexp_at_both_ends(x: float) -> None:
    with mpmath.workdps(400):
        t = mpmath.mpf(x)
        expected = [mpmath.log(-mpmath.expm1(t)), mpmath.exp(t) / mpmath.expm1(t)]
    np.testing.assert_allclose(derivatives(Log1mExp(), x, 1), [float(value) for value in expected], rtol=4e-16)


def test_relus_at_zero() -> None:
    at_zero = double(0.0)
    assert slope(ReLU(), at_zero).item() == 0.0
    assert slope(GuideReLU(), at_zero).item() == 1.0
    for subgradient in (0.0, 0.5, 1.0):
        assert slope(SubgradientReLU(at_zero=subgradient), at_zero).item() == subgradient


@pytest.mark.parametrize("op", [ReLU(), GuideReLU(), SubgradientReLU(at_zero=0.3)])
def test_relus_elsewhere(op: Op) -> None:
    x = double(1.0, -2.0, 3.0)
    assert op(x).tolist() == [1.0, 0.0, 3.0]
    assert slope(op, x).tolist() == [1.0, 0.0, 1.0]


def test_identity_is_the_identity() -> None:
    x = double(-1.0, 2.0)
    assert torch.equal(Identity()(x), x)
    assert slope(Identity(), x).tolist() == [1.0, 1.0]


@given(st.floats(-50, 50), st.floats(0.01, 10))
def test_thresholds_are_torchs(x: float, threshold: float) -> None:
    point = double(x, -x, threshold, -threshold, 0.0)
    soft, hard = SoftThreshold(threshold), HardThreshold(threshold)
    torch.testing.assert_close(soft(point), functional.softshrink(point, threshold), rtol=0, atol=1e-15)
    assert torch.equal(hard(point), functional.hardshrink(point, threshold))
    assert torch.equal(slope(soft, point[:2]), (point[:2].abs() > threshold).double())
    assert torch.equal(slope(hard, point), (point.abs() > threshold).double())


def test_straight_through_estimators() -> None:
    x = double(-1.5, -0.5, 0.0, 0.5, 1.5, 2.5)
    assert StraightThroughRound()(x).tolist() == [-2.0, 0.0, 0.0, 0.0, 2.0, 2.0]
    assert slope(StraightThroughRound(), x).tolist() == [1.0] * 6
    assert StraightThroughSign()(x).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0, 1.0]
    assert slope(StraightThroughSign(), x).tolist() == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    assert slope(StraightThroughSign(window=2.0), x).tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]


def test_gradient_ops_keep_the_value() -> None:
    x = double(-3.0, 0.25)
    for op in (GradientReversal(2.0), GradientScale(0.1), GradientClip(0.5)):
        assert torch.equal(op(x), x)
        assert op(x) is not x


def test_gradient_ops_change_the_gradient() -> None:
    x = double(-3.0, 0.25, 5.0).requires_grad_()
    sent = double(-4.0, 0.25, 2.0)
    for op, expected in [
        (GradientReversal(2.0), [8.0, -0.5, -4.0]),
        (GradientScale(0.5), [-2.0, 0.125, 1.0]),
        (GradientClip(0.5), [-0.5, 0.25, 0.5]),
    ]:
        assert torch.autograd.grad(op(x), x, sent)[0].tolist() == expected


def test_a_clipped_gradient_has_no_taylor_series() -> None:
    x = {"x": double(0.3)}
    with pytest.raises(ConfigurationError, match="_ClipGradient has no Taylor series: its backward clips"):
        taylor(lambda params: GradientClip()(params["x"]).sum(), x, x, 3)
    reversal = taylor(lambda params: GradientReversal()(params["x"]).sum(), x, x, 3)
    torch.testing.assert_close(reversal, double(0.3, -0.3, 0.0, 0.0))


def test_gradient_reversal_makes_descent_climb() -> None:
    """Ganin & Lempitsky's point: x before the reversal goes uphill on the loss, w after it downhill."""
    x, w = double(1.0).requires_grad_(), double(2.0).requires_grad_()
    plain = torch.autograd.grad(((x * w) ** 2).sum(), (x, w))
    reversed_ = torch.autograd.grad(((GradientReversal()(x) * w) ** 2).sum(), (x, w))
    assert torch.equal(reversed_[0], -plain[0])
    assert torch.equal(reversed_[1], plain[1])


def test_spike_and_its_surrogate() -> None:
    x = double(-0.5, 0.0, 0.1)
    assert Spike(slope=10.0)(x).tolist() == [0.0, 0.0, 1.0]
    np.testing.assert_allclose(slope(Spike(slope=10.0), x).numpy(), [1 / 36, 1.0, 0.25], rtol=1e-15)


@given(st.floats(-30, 30), st.floats(-0.999, 0.999))
def test_fixed_point_solves_its_equation(x: float, weight: float) -> None:
    point = double(x)
    z = FixedPoint(weight)(point)
    # The residual of z is |z − tanh(wz + x)|; rounding z alone moves it by an ulp.
    assert (z - torch.tanh(weight * z + point)).abs().item() <= 1e-15


def test_fixed_point_without_weight_is_tanh() -> None:
    x = torch.linspace(-20, 20, 41, dtype=torch.float64)
    torch.testing.assert_close(FixedPoint(0.0)(x), torch.tanh(x), rtol=1e-15, atol=0)


def test_fixed_point_agrees_with_differentiating_the_iteration() -> None:
    class Unrolled(Op):
        def __call__(self, x: Tensor) -> Tensor:
            z = torch.zeros_like(x)
            for _ in range(80):
                z = torch.tanh(0.5 * z + x)
            return z

    for x in (-1.2, 0.0, 0.4):
        np.testing.assert_allclose(derivatives(FixedPoint(0.5), x, 3), derivatives(Unrolled(), x, 3), atol=1e-12)


@given(st.floats(-3, 15.99))
def test_loop_is_the_python_loop(x: float) -> None:
    total, first, second, i = 0.0, 0.0, 0.0, 0
    while i < x:
        total, first, second, i = total + (x - i) ** 2, first + 2 * (x - i), second + 2, i + 1
    np.testing.assert_allclose(derivatives(Loop(), x, 2), [total, first, second], rtol=1e-14, atol=1e-300)


def test_loop_has_the_guides_number_as_derivative() -> None:
    assert slope(Loop(), double(5.0)).item() == 30.0


def test_loop_stops_at_its_limit() -> None:
    assert Loop(limit=2)(double(5.0)).item() == 25.0 + 16.0


def test_branch_has_no_nan_on_the_side_not_taken() -> None:
    x = double(-2.0, 0.0, 1.0, 2.0)
    assert slope(Branch(), x).tolist() == [1.0, 1.0, 1.0, 0.5]


def test_sigmoid_and_gelu_against_scipy_far_out() -> None:
    x = torch.linspace(-30, 30, 61, dtype=torch.float64)
    np.testing.assert_allclose(Sigmoid()(x).numpy(), scipy.special.expit(x.numpy()), rtol=1e-14)
    np.testing.assert_allclose(GELU()(x).numpy(), x.numpy() * scipy.special.ndtr(x.numpy()), rtol=1e-12, atol=1e-15)


@given(st.floats(-1e300, 1e300))
def test_smooth_abs_is_above_the_absolute_value_by_at_most_its_width(x: float) -> None:
    value = SmoothAbs(width=0.1)(double(x)).item()
    assert abs(x) <= value <= abs(x) + 0.1 + 1e-15 * abs(x)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: SubgradientReLU(at_zero=1.5), "SubgradientReLU.at_zero"),
        (lambda: FixedPoint(weight=1.0), "FixedPoint.weight"),
        (lambda: GradientClip(limit=0.0), "GradientClip.limit"),
        (lambda: SmoothAbs(width=0.0), "SmoothAbs.width"),
        (lambda: SoftThreshold(threshold=-1.0), "SoftThreshold.threshold"),
        (lambda: HardThreshold(threshold=-1.0), "HardThreshold.threshold"),
        (lambda: Spike(slope=0.0), "Spike.slope"),
        (lambda: StraightThroughSign(window=0.0), "StraightThroughSign.window"),
        (lambda: Loop(limit=0), "Loop.limit"),
    ],
)
def test_fields_out_of_range_are_refused_by_name(make: Callable[[], Op], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()
