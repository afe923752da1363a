"""Optimizers such as a user may have, written as torch.optim's are."""

from typing import Any

import torch


class Descent(torch.optim.Optimizer):
    """x ← x − lr · g."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # one without a closure
        for x in self.param_groups[0]["params"]:
            x.sub_(self.factor() * self.param_groups[0]["lr"] * x.grad)

    def factor(self) -> float:
        return 1.0


class KeepsAnObject(Descent):
    """Keeps what no checkpoint can hold where checkpoints look."""

    def factor(self) -> float:
        self.state["handle"] = object()  # type: ignore[index]  # torch's stub knows tensors alone
        return 1.0


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0


class KeepsAGenerator(Descent):
    """Takes its factors from a generator, which cannot be copied."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr)
        self.factors = iter([1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125])

    def factor(self) -> float:
        return next(self.factors)


class KeepsACounter(Descent):
    """Keeps an object of its own library, which holds numbers alone."""

    def factor(self) -> float:
        counter = self.state.setdefault("counter", Counter())  # type: ignore[call-overload]  # likewise
        counter.count += 1
        return 1 / counter.count


class KeepsAnAttribute(Descent):
    """Counts in an attribute, which its state_dict does not tell of."""

    count = 0

    def factor(self) -> float:
        self.count += 1
        return 1 / self.count
