"""What an optimizer keeps, saved in plain containers; what cannot be is refused."""

from typing import Any

import own_optimizers
import pytest
import torch

from descend.errors import ConfigurationError
from descend.optimizers.torch_optim import TorchOptim
from descend.optimizers.torch_state import OBJECT, NotPlain, decode


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("KeepsAnObject", "it keeps a builtins.object, which no checkpoint can hold"),
        ("KeepsAGenerator", "keeps something from step to step that can be neither saved nor copied"),
    ],
)
def test_what_cannot_be_saved_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{sentence}.*\.$"):
        TorchOptim(name=f"own_optimizers.{name}")


@pytest.mark.parametrize("name", ["KeepsACounter", "KeepsAnAttribute"])
def test_what_a_class_keeps_in_a_way_of_its_own_is_carried(name: str) -> None:
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer, params = TorchOptim(name=f"own_optimizers.{name}"), {"x": x.detach().clone()}
    twin, state = getattr(own_optimizers, name)([x]), optimizer.init(params)
    for _ in range(4):
        x.grad = x.detach().clone()
        twin.step()
        params, state = optimizer.step(params, params, state, lambda params: params["x"].sum())
        torch.testing.assert_close(params["x"], x.detach(), rtol=0, atol=0)
    assert x.tolist() == pytest.approx([0.9 * 0.95 * (1 - 0.1 / 3) * 0.975 * i for i in (1, 2)])


@pytest.mark.parametrize("value", [("subprocess", "Popen", {}), ("own_optimizers", "torch", {})])
def test_a_checkpoint_makes_no_objects_of_other_libraries(value: tuple[str, str, dict[str, Any]]) -> None:
    with pytest.raises(NotPlain, match="is no class of own_optimizers"):
        decode({OBJECT: value}, {}, "own_optimizers")
