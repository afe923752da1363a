"""An operation carried out run by run gives results in memory of their own, and copies no more than that asks."""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from descend.graph.calls import call_by_call, run_by_run
from descend.graph.compat import memory
from descend.graph.many import Many


class Counted(TorchDispatchMode):
    """Counts calls by operation."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.calls.append(func.overloadpacket._qualified_op_name)
        return func(*args, **(kwargs or {}))


def stack_of(runs: int) -> Tensor:
    return torch.randn(runs, 3, 4, generator=torch.Generator().manual_seed(runs))


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_the_results_are_those_of_each_run(runs: int) -> None:
    x = stack_of(runs)
    found = run_by_run(torch.cumsum, (Many(x), 1), {})
    assert found.x.is_contiguous()
    assert torch.equal(found.x, torch.stack([torch.cumsum(each, 1) for each in x]))


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_a_result_that_is_a_view_of_what_was_given_has_memory_of_its_own(runs: int) -> None:
    x = stack_of(runs)
    found = run_by_run(lambda each: [each.mT, each[1:]], (Many(x),), {})
    before = x.clone()
    for result in found:
        assert memory(result.x) != memory(x)
        result.x.add_(1)
    assert torch.equal(x, before)
    assert torch.equal(found[0].x, before.mT + 1)


@pytest.mark.parametrize("runs", [1, 3])
def test_arguments_may_stand_in_lists_and_by_name(runs: int) -> None:
    x, common = stack_of(runs), torch.ones(3, 4)
    found = run_by_run(torch.cat, ([Many(x), common, Many(2 * x)],), {"dim": 1})
    assert torch.equal(found.x, torch.stack([torch.cat([each, common, 2 * each], dim=1) for each in x]))


def test_the_result_of_a_single_run_is_not_copied() -> None:
    with Counted() as counted:
        call_by_call(torch.cumsum, [0], False, stack_of(1), 1)
    assert "aten::cumsum" in counted.calls
    assert not {"aten::stack", "aten::cat", "aten::clone", "aten::copy_"} & set(counted.calls)
