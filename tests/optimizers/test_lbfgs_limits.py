"""What LBFGS of torch is not let do: stand still by its own options, or make a step that never ends."""

from typing import Any

import pytest
import torch

import descend
from descend.errors import ConfigurationError
from descend.optimizers.adam_then_lbfgs import AdamThenLBFGS
from descend.optimizers.torch_optim import TorchOptim

SEARCH = "strong_wolfe"
STILL = [
    {"max_iter": 1, "line_search_fn": SEARCH},
    {"max_iter": 20, "max_eval": 1, "line_search_fn": SEARCH},
]
MOVES = [
    {"max_iter": 1},
    {"max_iter": 2, "line_search_fn": SEARCH},
    {"max_iter": 1, "max_eval": 3, "line_search_fn": SEARCH},
]


def moved(options: dict[str, Any]) -> bool:
    """Whether torch's own loop leaves the start within five steps."""
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], **options)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    return x.tolist() != [-1.2, 1.0]


@pytest.mark.parametrize("options", STILL)
def test_options_by_which_torch_never_moves_are_refused(options: dict[str, Any]) -> None:
    assert not moved(options)
    with pytest.raises(ConfigurationError, match="never leaves the start; set max_iter to 2 or more"):
        TorchOptim(name="LBFGS", options=options)


@pytest.mark.parametrize("options", MOVES)
def test_options_by_which_torch_moves_are_taken(options: dict[str, Any]) -> None:
    assert moved(options)
    TorchOptim(name="LBFGS", options=options)


@pytest.mark.parametrize("value", [0, 10_001, 9_223_372_036_854_775_807, "many", True])
def test_the_iterations_of_a_step_are_bounded(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"max_iter is .*at least 1 and at most 10000"):
        TorchOptim(name="LBFGS", options={"max_iter": value})
    with pytest.raises(ConfigurationError, match=r"max_iter is .*at least 2 and at most 10000"):
        AdamThenLBFGS(max_iter=value)


def test_lbfgs_that_stalls_in_float32_says_since_when() -> None:
    overrides = ["objective=rosenbrock", "optimizer=torch", "optimizer.name=LBFGS", "dtype=float32", "steps=50"]
    found = descend.run([*overrides, "metrics=none", "derivatives=none"])
    assert found.gradient_norm > 0
    assert "; the total has not changed since step " in found.reason
