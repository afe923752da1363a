"""Torch's own list of its functions, with the arguments it tests them on: each on series, against nested reverse mode.

Every function is called once as its samples call it, with all its floating-point tensors moving along t. It may be
refused by name, but not be wrong: a function that torch adds, or whose rule lacks an argument, shows here.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from descend.derivatives.series import decomposed, expand
from descend.errors import ConfigurationError

invocations = pytest.importorskip("torch.testing._internal.common_methods_invocations")
# Torch's own, of the functions among its samples that are deprecated, in beta, or called without what they recommend.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

ORDER = 3
UNINITIALISED = {"empty_like", "new_empty", "new_empty_strided", "empty", "empty_strided", "empty_permuted"}
SLOW = {"nn.functional.multi_head_attention_forward", "linalg.pinv", "ormqr", "linalg.lu_factor_ex"}


def moving(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.float64


def first_sample(op: Any) -> Any:
    for sample in op.sample_inputs("cpu", torch.float64, requires_grad=False):
        if moving(sample.input) and 1 < sample.input.numel() <= 200:
            return sample
    return None


def coefficients(function: Callable[[list[Tensor]], Any], point: list[Tensor], direction: list[Tensor]) -> list[Tensor]:
    """Of every floating-point tensor `function` returns, [ORDER + 1, *shape], by nested reverse mode."""
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    with decomposed():
        values = [
            y for y in tree_leaves(function([x + t * d for x, d in zip(point, direction, strict=True)])) if moving(y)
        ]
    found = []
    for y in values:
        rows, weights = [y] + [torch.zeros_like(y)] * ORDER, torch.ones_like(y, requires_grad=True)
        phi = (weights * y).sum()
        for k in range(1, ORDER + 1):
            phi = torch.autograd.grad(phi, t, create_graph=True, allow_unused=True)[0] if y.requires_grad else None
            if phi is None or not phi.requires_grad:
                break
            (row,) = torch.autograd.grad(phi, weights, create_graph=True, materialize_grads=True)
            rows[k] = row / math.factorial(k)
        found.append(torch.stack(rows).detach())
    return found


OPS = {f"{op.name} {op.variant_test_name}".strip(): op for op in invocations.op_db}


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.name not in UNINITIALISED | SLOW))
def test_function_agrees_with_nested_reverse_mode_or_is_refused(name: str) -> None:
    op = OPS[name]
    try:
        sample = first_sample(op)
    except (RuntimeError, TypeError, ValueError):
        sample = None
    if sample is None or not op.supports_autograd:
        pytest.skip("no sample of float64 tensors, or no derivative")
    arguments = (sample.input, sample.args, sample.kwargs)
    point = [x for x in tree_leaves(arguments) if moving(x)]
    generator = torch.Generator().manual_seed(0)
    direction = [0.3 * torch.randn(x.shape, dtype=x.dtype, generator=generator) for x in point]

    def function(along: list[Tensor]) -> Any:
        torch.manual_seed(0)
        each = iter(along)
        x, args, kwargs = tree_map(lambda value: next(each) if moving(value) else value, arguments)
        return op.op(x, *args, **kwargs)

    try:
        exact = coefficients(function, point, direction)
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"torch has no derivative of order {ORDER}: {error}")
    refusal, rows = None, []
    try:
        rows = expand(function, point, direction, ORDER)
    except ConfigurationError as error:
        refusal, exact = str(error), []
    assert refusal is None or "writes into" in refusal or "complex" in refusal.lower()
    for value, expected in zip((y for y in tree_leaves(rows) if moving(y)), exact, strict=True):
        scale = 1 + expected.nan_to_num(0, 0, 0).abs().max().item() if expected.numel() else 1
        torch.testing.assert_close(value, expected, rtol=1e-7, atol=1e-9 * scale, equal_nan=True)
