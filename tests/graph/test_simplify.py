"""A graph made smaller gives the same bits, and no longer has what need not be computed."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from descend.graph.code import python_function
from descend.graph.recorder import record
from descend.graph.simplify import simplified

GENERATOR = torch.Generator().manual_seed(5)
LABELS = torch.randint(0, 3, (50,), generator=GENERATOR)
IGNORED = torch.where(torch.arange(50) % 7 == 0, -100, LABELS)
INDEX = torch.randint(0, 50, (8,), generator=GENERATOR)
LOGITS = torch.randn(8, 3, generator=GENERATOR)


def operations(step: Callable[..., Sequence[Tensor]], *inputs: Tensor) -> list[str]:
    """Hold a simplified graph to its function, at other inputs too, and return its operations."""
    graph = simplified(record(step, inputs))
    others = [x.flip(0) for x in inputs]
    for given in (inputs, others):
        assert all(x.equal(y) for x, y in zip(python_function(graph)(*given), step(*given), strict=True))
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize(("labels", "asked"), [(LABELS, False), (IGNORED, True)])
def test_labels_are_compared_in_every_step_only_where_some_are_to_be_ignored(labels: Tensor, asked: bool) -> None:
    """The mean loss over the labels that are not -100, as torch defines cross-entropy."""

    def step(logits: Tensor, index: Tensor) -> list[Tensor]:
        rows = logits.log_softmax(1)
        wanted = labels[index] != -100
        picked = rows.gather(1, torch.where(wanted, labels[index], 0).unsqueeze(1)).squeeze(1)
        return [torch.where(wanted, -picked, 0.0).sum() / wanted.sum()]

    found = operations(step, LOGITS, INDEX)
    assert ("aten.ne.Scalar" in found) == ("aten.where.self" in found) == asked
    torch.testing.assert_close(step(LOGITS, INDEX)[0], F.cross_entropy(LOGITS, labels[INDEX]))


def test_labels_that_are_all_ignored_leave_nothing_to_choose() -> None:
    ignored = torch.full((50,), -100)

    def step(x: Tensor, index: Tensor) -> list[Tensor]:
        return [torch.where(ignored[index] != -100, x, -x)]

    assert set(operations(step, torch.arange(8.0), INDEX)) <= {"aten.neg.default"}


def test_a_choice_that_shapes_its_result_stays() -> None:
    def step(x: Tensor, index: Tensor) -> list[Tensor]:
        return [torch.where(LABELS[index] != -100, x, 0.0)]

    assert "aten.where.self" in operations(step, torch.tensor([1.5]), INDEX)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_a_stack_of_one_is_a_view(dim: int) -> None:
    assert operations(lambda x: [torch.stack([x], dim)], LOGITS) == ["aten.unsqueeze.default"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_constants_made_twice_are_one_where_their_bits_are_the_same(dtype: torch.dtype) -> None:
    def step(x: Tensor) -> list[Tensor]:
        made = [torch.arange(2, device="cpu").to(dtype) for _ in range(2)]
        one = [torch.zeros((), dtype=dtype, device="cpu").expand(1) for _ in range(2)]
        return [x * made[0] + x * made[1], x + one[0] - (x + one[1])]

    found = operations(step, torch.tensor([2.0, 3.0]))
    assert (found.count("aten.mul.Tensor"), found.count("aten.sub.Tensor")) == (1, 1)


def test_constants_that_differ_in_a_sign_in_dtype_or_in_shape_stay_apart() -> None:
    def step(x: Tensor) -> list[Tensor]:
        zeros = [torch.tensor([0.0]), torch.tensor([-0.0]), torch.tensor([0]), torch.tensor([[0.0]])]
        return [x / zero for zero in zeros]

    assert operations(step, torch.tensor([2.0])).count("aten.div.Tensor") == 4
