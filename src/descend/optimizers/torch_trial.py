"""What a class wants beside gradients, found out by a few steps on four numbers."""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.graph import generators
from descend.graph.compat import clones, pytree
from descend.types import Loss, Params, State

STEPS = 4
"""Some classes keep a thing from the second step to the third only."""


class Needs(NamedTuple):
    """What a class wants beside gradients.

    Attributes:
        value: the value of the loss, by the closure that a step may be given.
        closure: that closure for certain: it evaluates the loss where it likes.
        graph: gradients that can be differentiated again.
    """

    value: bool = False
    closure: bool = False
    graph: bool = False


class Trial:
    """Steps in a loop of the class's own, and by the adapter.

    Args:
        optimizer: the adapter, a TorchOptim whose needs are not known yet.
        make_step: its function that moves leaves by a step of an optimizer.
    """

    def __init__(self, optimizer: Any, make_step: Callable[[Any, Params, Params, Loss, Needs], None]) -> None:
        self._optimizer, self._make_step = optimizer, make_step

    def needs(self) -> Needs:
        """Return what makes the class work; where the value of the loss changes its steps, the closure too.

        Raises:
            ConfigurationError: the adapter makes other steps than the class by itself.
            Exception: whatever the class raises, when it works in no way.
        """
        needs, path = self._found()
        if not same_trees(self._adapted(needs), path):
            raise ConfigurationError(
                f"{self._optimizer.name} keeps something from step to step that can be neither saved nor copied, so "
                "that a run could not be resumed, and its steps here would be others than in a loop of its own; "
                "choose another class."
            )
        return needs

    def one_step(self) -> None:
        """Make one step by the adapter, whose needs are known: the class may refuse its learning rate."""
        params = trial_params()
        self._optimizer.step(params, gradients(changeable(params)), self._optimizer.init(params), bowl)

    def _found(self) -> tuple[Needs, Any]:
        try:
            without = self._alone(Needs())
        except Exception:
            for needs in (Needs(closure=True), Needs(graph=True)):
                with suppress(Exception):
                    return needs, self._alone(needs)[0]
            raise
        # A class may call the closure for nothing; only where that changes anything is it worth an evaluation.
        with suppress(Exception):
            using = self._alone(Needs(value=True))
            if not same_trees(using, without):
                return Needs(value=True), using[0]
        return Needs(), without[0]

    def _alone(self, needs: Needs) -> tuple[list[Params], State]:
        """Return the points after each step in a plain loop, and the state at the end."""
        points, path = changeable(trial_params()), []
        with self._optimizer.own_generators(points):
            if self._optimizer.draws:
                generators.seed(0)
            optimizer = self._optimizer.build(points)
            for _ in range(STEPS):
                self._make_step(optimizer, points, gradients(points), bowl, needs)
                path.append({name: leaf.detach().clone() for name, leaf in points.items()})
            return path, self._optimizer.saved(optimizer, points)

    def _adapted(self, needs: Needs) -> list[Params]:
        """Return the points after each step by the adapter."""
        optimizer = copy.copy(self._optimizer)
        object.__setattr__(optimizer, "needs", needs)
        params, path = trial_params(), []
        state = optimizer.begin(params, 0)
        for _ in range(STEPS):
            params, state = optimizer.step(params, gradients(changeable(params)), state, bowl)
            path.append(params)
        return path


def trial_params() -> Params:
    entries = [[0.5, -0.3], [0.2, 0.7]]
    return {"entry": torch.tensor(entries, dtype=torch.float32, device="cpu")}


def bowl(params: Params) -> Tensor:
    return ((params["entry"] - 1) ** 2).sum() + ((params["entry"] - 1) ** 4).sum()


def squares(params: Params) -> Tensor:
    return torch.stack([(x**2).sum() for x in params.values()]).sum()


def gradients(points: Params) -> Params:
    """Return the gradient of `bowl`."""
    with torch.enable_grad():
        return dict(zip(points, torch.autograd.grad(bowl(points), tuple(points.values())), strict=True))


def changeable(params: Params) -> Params:
    """Return copies of the parameters that an optimizer may change."""
    copies = clones([x.detach() for x in params.values()])
    return {name: x.requires_grad_() for name, x in zip(params, copies, strict=True)}


def same_trees(left: Any, right: Any) -> bool:
    """Tell whether two trees of tensors and numbers are equal, NaN to NaN."""
    if pytree.tree_structure(left) != pytree.tree_structure(right):
        return False
    pairs = zip(pytree.tree_leaves(left), pytree.tree_leaves(right), strict=True)
    return all(
        torch.equal(a.nan_to_num(), b.nan_to_num()) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b
        for a, b in pairs
    )
