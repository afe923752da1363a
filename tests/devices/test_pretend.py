"""The pretend device refuses what CUDA refuses, and counts what costs time there."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pretend
import pytest
import torch
from pretend import NAME, WrongDevice, counted

pytestmark = pytest.mark.usefixtures("gpus")


def there(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, device=NAME)


HERE = torch.arange(3, dtype=torch.float64)
NUMBER = torch.tensor(2.0)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: x + HERE,
        lambda x: HERE.add_(x),
        lambda x: x @ HERE,
        lambda x: torch.stack([x, HERE]),
        lambda x: torch.cat([x[:1], NUMBER[None]]),
        lambda x: torch.stack([x[0], NUMBER]),
        lambda x: x + torch.ones(3, device=f"{NAME}:1"),
        lambda x: HERE[torch.arange(2, device=NAME)],
        lambda x: x.index_select(0, torch.arange(2)),
        lambda x: NUMBER.clone().add_(x[0]),
        lambda x: torch.where(HERE > 0, x, x),
        lambda x: torch.randn(3, generator=torch.Generator(), device=NAME),
        lambda x: torch.randperm(3, generator=torch.Generator(), device=NAME),
        lambda x: x.normal_(generator=torch.Generator()),
    ],
)
def test_devices_do_not_mix(mixed: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises(WrongDevice):
        mixed(there(1, 2, 3))


def test_what_mixes_on_cuda_mixes_here() -> None:
    x = there(1, 2, 3)
    assert (x + NUMBER).tolist() == [3, 4, 5]
    assert (NUMBER * x).device == x.device
    assert x[torch.tensor([0, 2])].tolist() == [1, 3]
    assert x.masked_fill(x > 1, NUMBER).tolist() == [1, 2, 2]
    assert torch.zeros(3, dtype=torch.float64).copy_(x).tolist() == [1, 2, 3]
    assert x.to(f"{NAME}:1").device.index == 1


def test_what_lies_there_is_no_array_and_is_not_pickled() -> None:
    x = there(1, 2)
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        x.numpy()
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        np.asarray(x)
    with pytest.raises(TypeError, match="whoever loads it"):
        pickle.dumps(x)
    assert copy.deepcopy(x).tolist() == [1, 2]


def test_derivatives_are_those_of_the_cpu() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        return (torch.nn.functional.silu(x) * x.sin()).sum()

    for derivative in (torch.func.grad(f), torch.func.hessian(f), torch.func.jacrev(torch.func.jacfwd(f))):
        found = derivative(there(0.0, 1.0, 2.0))
        assert found.device.type == NAME
        assert torch.equal(found.cpu(), derivative(HERE))


def test_counts() -> None:
    x = there(1, 2, 3)
    with counted() as found:
        y = (x * 2).add_(1)
        y[1:].view(1, 2).t()
        x.to(NAME)
    assert sum(found.launches.values()) == 2
    assert not found.copies
    assert not found.waits
    with counted() as found:
        HERE.to(NAME)
        y[torch.arange(2)]
    assert (sum(found.copies.values()), sum(found.waits.values()), sum(found.launches.values())) == (2, 0, 1)
    with counted() as found:
        y.cpu()
        y.tolist()
        y[0].item()
        bool(y[0] > 0)
        y.nonzero()
        torch.linalg.eigh(torch.eye(2, device=NAME))
    assert sum(found.waits.values()) == 6
    assert sum(found.copies.values()) == 4


def test_lines_are_those_of_descend() -> None:
    from descend.vectors import norm

    with counted() as found:
        norm({"x": there(3, 4)})
    assert {line.partition(":")[0] for _, line in found.launches} == {"vectors.py"}
    assert found.at("launches", "vectors.py") == sum(found.launches.values()) > 0


def test_memory_is_shared_by_views() -> None:
    x = there(1, 2, 3)
    assert pretend.memory(x[1:]) == pretend.memory(x) != pretend.memory(x.clone())
