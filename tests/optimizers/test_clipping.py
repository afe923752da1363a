import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from descend.errors import ConfigurationError
from descend.optimizers.clipping import ClipNorm, ClipValue, NoClipping
from descend.types import Params


def gradients(seed: int, dtype: torch.dtype = torch.float64) -> Params:
    kind: dict[str, Any] = {"generator": torch.Generator("cpu").manual_seed(seed), "dtype": dtype, "device": "cpu"}
    return {"weight": torch.randn(4, 3, **kind), "bias": torch.randn(3, **kind), "scale": torch.randn((), **kind)}


def by_torch(clip: Callable[..., Any], given: Params, bound: float) -> Params:
    leaves = {name: torch.zeros_like(g, requires_grad=True) for name, g in given.items()}
    for name, leaf in leaves.items():
        leaf.grad = given[name].clone()
    clip(list(leaves.values()), bound)
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


@pytest.mark.parametrize(
    ("kind", "twin"),
    [(ClipNorm, torch.nn.utils.clip_grad_norm_), (ClipValue, torch.nn.utils.clip_grad_value_)],
)
@given(seed=st.integers(0, 1000), bound=st.floats(1e-3, 20), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_equals_torch(
    kind: type[ClipNorm | ClipValue], twin: Callable[..., Any], seed: int, bound: float, dtype: Any
) -> None:
    before = gradients(seed, dtype)
    found = kind(bound)(before)
    tolerance = 1e-14 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(found, by_torch(twin, before, bound), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(before, gradients(seed, dtype), rtol=0, atol=0)


def test_a_small_gradient_passes_unchanged() -> None:
    for clip in (NoClipping(), ClipNorm(100.0), ClipValue(100.0)):
        torch.testing.assert_close(clip(gradients(0)), gradients(0), rtol=0, atol=0)


def test_a_zero_gradient_stays_zero() -> None:
    zero = {name: torch.zeros_like(g) for name, g in gradients(0).items()}
    torch.testing.assert_close(ClipNorm(1.0)(zero), zero, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "field"), [(ClipNorm, "max_norm"), (ClipValue, "limit")])
def test_bounds_may_be_tensors_of_a_stack(kind: type[ClipNorm | ClipValue], field: str, dtype: torch.dtype) -> None:
    def clipped(bound: torch.Tensor, given: Params) -> Params:
        clip = copy.copy(kind(1.0))
        object.__setattr__(clip, field, bound)
        return clip(given)

    bounds = [0.3, 1.0, 50.0]
    stacked = torch.tensor(bounds, dtype=torch.float64, device="cpu")
    found = torch.vmap(clipped, in_dims=(0, None))(stacked, gradients(1, dtype))
    for i, bound in enumerate(bounds):
        alone = kind(bound)(gradients(1, dtype))
        torch.testing.assert_close({name: g[i] for name, g in found.items()}, alone, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("kind", "field"), [(ClipNorm, "max_norm"), (ClipValue, "limit")])
@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), "1"])
def test_refuses_a_wrong_bound_and_names_its_field(kind: type[ClipNorm | ClipValue], field: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__}\.{field} is .*\.$"):
        kind(wrong)
