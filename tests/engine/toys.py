"""Small objectives whose every number can be worked out beside them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.objectives.objective import Objective
from descend.types import Batch, Losses, Params

START = (1.0, -2.0, 0.5)


@dataclass(frozen=True)
class Three(Objective):
    """Two losses that pull apart, one that no parameter moves, and a parameter that no loss knows."""

    def init(self, generator: torch.Generator) -> Params:
        kind: dict[str, Any] = {"dtype": torch.float64, "device": generator.device}
        return {"x": torch.tensor(START, **kind), "y": torch.tensor(0.7, **kind), "idle": torch.ones(2, **kind)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        x, y = params["x"], params["y"]
        return {
            "bowl": (x**2).sum() + y**2,
            "wave": torch.sin(3 * x).sum() * torch.cos(y),
            "constant": torch.full((), 2.0, dtype=x.dtype, device=x.device),
        }


@dataclass(frozen=True)
class Line(Objective):
    """Least squares on forty examples, five at a time, shuffled anew in every epoch."""

    inputs: ClassVar[Tensor]
    targets: ClassVar[Tensor]

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        inputs = torch.randn(40, 3, dtype=torch.float64, generator=generator)
        noise = torch.randn(40, dtype=torch.float64, generator=generator)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", inputs @ torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64) + 0.3 * noise)

    def init(self, generator: torch.Generator) -> Params:
        return {
            "w": torch.randn(3, dtype=torch.float64, generator=generator),
            "b": torch.zeros((), dtype=torch.float64),
        }

    def losses(self, params: Params, batch: Batch) -> Losses:
        inputs, targets = (self.inputs, self.targets) if batch is None else (self.inputs[batch], self.targets[batch])
        return {"squares": ((inputs @ params["w"] + params["b"] - targets) ** 2).mean()}

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        while True:
            yield from torch.randperm(40, generator=generator).split(5)

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        return {"largest_error": (self.inputs @ params["w"] + params["b"] - self.targets).abs().max()}


@dataclass(frozen=True)
class Scripted(Objective):
    """f(x) = Σ x² from (1, −2, 0.5), with something that happens at each evaluation, told its number from 1 on.

    What happens is not arithmetic, so that its steps are called, never recorded.
    """

    batchable: ClassVar[bool] = False

    happening: Callable[[int], None] = lambda call: None
    scale: float = 1.0
    calls: list[int] = field(default_factory=list, compare=False)

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.tensor(START, dtype=torch.float64)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        self.calls.append(1)
        self.happening(len(self.calls))
        return {"value": self.scale * (params["x"] ** 2).sum()}


@dataclass(frozen=True)
class Quartic(Objective):
    """f(x) = Σ x⁴, on which gradient descent with too long a step runs away within a few steps."""

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.tensor(START, dtype=torch.float64)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"fine": (params["x"] * 0).sum(), "quartic": (params["x"] ** 4).sum()}


# What setting up a run by Adam evaluates before its first step: the start twice, then once more with two steps from
# there, which have to find the same.
CALLS_AT_START = 5
