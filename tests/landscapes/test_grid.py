"""A loss at many points: against a plain loop, also where it cannot be recorded."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from descend.derivatives import ravel, unravel
from descend.landscapes import grid
from descend.landscapes.grid import heights
from descend.types import Loss, Params


def cloud(params: Params, count: int) -> Tensor:
    end = ravel(params)
    return end + 0.1 * torch.randn((count, len(end)), generator=torch.Generator().manual_seed(0)).to(end)


def found(loss: Loss, params: Params, points: Tensor) -> tuple[Tensor, list[int]]:
    told: list[int] = []
    return heights(loss, params, lambda start, stop: points[start:stop], len(points), told.append), told


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stack", [1, 2**16, 2**24])
def test_it_is_what_a_loop_over_the_points_gives(
    dtype: torch.dtype, stack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "STACK_BYTES", stack)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 2)).to(dtype)
    net.eval()
    params = {name: x.detach() for name, x in net.named_parameters()}
    inputs, targets = torch.randn(7, 1, 6, 6, dtype=dtype), torch.arange(7) % 2

    def loss(at: Params) -> Tensor:
        return nn.functional.cross_entropy(functional_call(net, at, (inputs,)), targets)

    points = cloud(params, 25)
    values, told = found(loss, params, points)
    expected = torch.stack([loss(unravel(point, params)) for point in points]).double()
    torch.testing.assert_close(values, expected, rtol=20 * torch.finfo(dtype).eps, atol=0)
    assert sum(told) == 25
    assert (len(told) == 1) == (stack == 2**24)


def test_small_functions_are_one_stack() -> None:
    params = {"x": torch.tensor([1.0, 2.0], dtype=torch.float64)}
    points = cloud(params, 1000)
    values, told = found(lambda p: (1 - p["x"][0]) ** 2 + 100 * (p["x"][1] - p["x"][0] ** 2) ** 2, params, points)
    x, y = points.T
    torch.testing.assert_close(values, (1 - x) ** 2 + 100 * (y - x**2) ** 2, rtol=1e-13, atol=1e-13)
    assert told == [1000]


def with_an_if(params: Params) -> Tensor:
    return params["x"].sum() if params["x"][0] > 0 else -params["x"].prod()


def through_numpy(params: Params) -> Tensor:
    return torch.from_numpy(np.sin(params["x"].numpy())).sum()


@pytest.mark.parametrize("loss", [with_an_if, through_numpy])
def test_what_cannot_be_recorded_is_called_at_every_point(loss: Loss) -> None:
    params = {"x": torch.tensor([0.05, 2.0, 1.0], dtype=torch.float64)}
    points = cloud(params, 40)
    assert (points[:, 0] < 0).any()
    values, told = found(loss, params, points)
    assert values.tolist() == [float(loss(unravel(point, params))) for point in points]
    assert told == [1] * 40


def test_values_that_are_not_finite_stay() -> None:
    params = {"x": torch.tensor([1.0, 1.0], dtype=torch.float64)}
    points = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    values, _ = found(lambda p: p["x"].log().sum(), params, points)
    assert values[0] == 0
    assert values[1].isnan()
    assert values[2] == -torch.inf
