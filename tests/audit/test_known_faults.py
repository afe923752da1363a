"""Torch's known faults are still there: when one of these fails, torch has mended it and its entry can go."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from descend.audit.audit import audit
from descend.audit.known_faults import KNOWN_FAULTS, KnownFault, faults_in
from descend.audit.uses import uses
from descend.audit.verdict import Mark
from descend.types import Params

pytestmark = pytest.mark.long

CASES = [(fault, operator) for fault in KNOWN_FAULTS for operator in fault.examples]


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated:UserWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # dynamo does it itself
@pytest.mark.parametrize(("fault", "operator"), CASES, ids=lambda case: case if isinstance(case, str) else case.order)
def test_fault_is_reproduced_on_every_route_it_names(fault: KnownFault, operator: str) -> None:
    found = fault.reproduce(operator)
    assert {each.route for each in found} == set(fault.routes)
    assert all(fault.explains(each) for each in found), [each for each in found if not fault.explains(each)]


@pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated:UserWarning")
@pytest.mark.parametrize(("fault", "operator"), CASES, ids=lambda case: case if isinstance(case, str) else case.order)
def test_fault_is_named_for_a_function_that_uses_the_operation(fault: KnownFault, operator: str) -> None:
    example = fault.examples[operator]
    x = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    assert fault in faults_in(uses(lambda params: example(params["x"]), {"x": x}))


def test_a_plain_function_has_no_known_fault() -> None:
    assert faults_in(uses(lambda params: params["x"].sin().sum(), {"x": torch.ones(3, dtype=torch.float64)})) == ()


def test_batch_norm_by_running_statistics_has_no_known_fault() -> None:
    def loss(params: Params) -> Tensor:
        return F.batch_norm(params["x"], torch.zeros(2).double(), torch.ones(2).double(), training=False).sum()

    assert faults_in(uses(loss, {"x": torch.ones(3, 2, dtype=torch.float64)})) == ()


def test_descends_own_third_derivative_through_layer_norm_is_right() -> None:
    def loss(params: Params) -> Tensor:
        return F.layer_norm(torch.sin(params["x"]), (3,), params["x"], params["x"]).square().sum()

    x = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    report = audit(loss, [{"x": x}], 3, generator=torch.Generator().manual_seed(0), backend=None)
    third = {row.route: row.verdict for row in report.rows if row.order == 3}
    assert third["nested autograd.grad"] == Mark.WRONG
    assert third["descend.derivatives.derivative_tensor"] == Mark.RIGHT
    assert third["Taylor series"] == Mark.RIGHT
    assert report.exit_code == 0
    assert "#175754" in report.table()
