"""However a class of one's own keeps a number, two values of it in a sweep give what each gives alone, to the bit."""

import functools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch

import descend
from descend.engine.numbers import with_leaves
from descend.engine.sameness import same
from descend.objectives.objective import Objective
from descend.optimizers.optimizer import Optimizer
from descend.types import Losses, Params

ELSEWHERE: dict[str, float] = {}


@dataclass(frozen=True)
class Bowl(Objective):
    depth: float = 1.0

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.randn(3, generator=generator, dtype=torch.float64)}

    def losses(self, params: Params, batch: None) -> Losses:
        return {"bowl": self.factor() * params["x"].square().sum()}

    def factor(self) -> Any:
        return self.depth


@dataclass(frozen=True)
class Cached(Bowl):
    @functools.cached_property
    def twice(self) -> Any:
        return 2 * self.depth

    def factor(self) -> Any:
        return self.twice


@dataclass(frozen=True)
class CachedBefore(Cached):
    """The property is asked for before anything is recorded."""

    def init(self, generator: torch.Generator) -> Params:
        return {"x": self.twice / self.twice * super().init(generator)["x"]}


@dataclass(frozen=True)
class KeptWhenAsked(Bowl):
    _kept: ClassVar[float]

    def factor(self) -> Any:
        if not hasattr(self, "_kept"):
            object.__setattr__(self, "_kept", 2 * self.depth)
        return self._kept


@dataclass(frozen=True)
class Closes(Bowl):
    call: ClassVar[Any]

    def __post_init__(self) -> None:
        depth = self.depth
        object.__setattr__(self, "call", lambda: depth)

    def factor(self) -> Any:
        return self.call()


@dataclass(frozen=True)
class KeepsInAGlobal(Bowl):
    def __post_init__(self) -> None:
        ELSEWHERE["depth"] = self.depth

    def factor(self) -> Any:
        return ELSEWHERE["depth"]


@dataclass(frozen=True)
class KeepsInTheClass(Bowl):
    last: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        KeepsInTheClass.last = self.depth

    def factor(self) -> Any:
        return KeepsInTheClass.last


@dataclass(frozen=True, slots=True)
class Slotted(Bowl):
    twice: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", torch.tensor(2 * self.depth, dtype=torch.float64))

    def factor(self) -> Any:
        return self.twice


class Private:
    """A helper that looks equal to every other."""

    __slots__ = ("__depth",)

    def __init__(self, depth: float) -> None:
        self.__depth = depth

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Private)

    __hash__ = object.__hash__

    def __call__(self) -> float:
        return self.__depth


@dataclass(frozen=True)
class HoldsAHelper(Bowl):
    helper: ClassVar[Private]

    def __post_init__(self) -> None:
        object.__setattr__(self, "helper", Private(self.depth))

    def factor(self) -> Any:
        return self.helper()


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Heavy ball whose decay, the second step's business, lies in a global."""

    decay: float = 0.5

    def __post_init__(self) -> None:
        ELSEWHERE["decay"] = self.decay

    def init(self, params: Params) -> Any:
        return {name: torch.zeros_like(x) for name, x in params.items()}

    def step(self, params: Params, gradients: Params, state: Any, loss: Any) -> Any:
        after = {name: ELSEWHERE["decay"] * state[name] + x for name, x in gradients.items()}
        return {name: x - self.lr * after[name] for name, x in params.items()}, after


@dataclass(frozen=True)
class Anchored(Bowl):
    """Pulled back to where it was evaluated first."""

    def losses(self, params: Params, batch: None) -> Losses:
        anchor = vars(self).setdefault("anchor", params["x"].detach().clone())
        return {"bowl": params["x"].square().sum() + (params["x"] - anchor).square().sum()}


KINDS = [Cached, CachedBefore, KeptWhenAsked, Closes, KeepsInAGlobal, KeepsInTheClass, Slotted, HoldsAHelper]
QUIET = ["metrics=none", "derivatives=none", "steps=5"]


def values(overrides: list[str], key: str, texts: tuple[str, ...]) -> tuple[list[float], list[float]]:
    """Return the values in a sweep, and those alone."""
    table = descend.sweep([*overrides, f"{key}={','.join(texts)}"])
    alone = [descend.run([*overrides, f"{key}={text}"]).value for text in texts]
    return table["value"].to_list(), alone


@pytest.mark.parametrize("kind", KINDS)
def test_an_objectives_number(kind: type, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = [f"objective._target_={__name__}.{kind.__name__}", "optimizer=sgd", "optimizer.lr=0.01", *QUIET]
    found, alone = values(overrides, "+objective.depth", ("1.0", "2.0", "3.5"))
    assert found == alone
    assert len(set(alone)) == 3
    said = "a number reaches its step by another way than its field" in capsys.readouterr().err
    assert said == (kind in (KeptWhenAsked, KeepsInAGlobal, KeepsInTheClass))


def test_what_is_kept_from_the_first_run(capsys: pytest.CaptureFixture[str]) -> None:
    """All runs of a stack had the first one's anchor."""
    overrides = [f"objective._target_={__name__}.Anchored", "optimizer=sgd", "optimizer.lr=0.01", *QUIET]
    found, alone = values(overrides, "seed", ("0", "1", "2"))
    assert found == alone
    assert len(set(alone)) == 3
    assert "3 runs go one after the other" in capsys.readouterr().err


def test_an_optimizers_number_that_counts_from_the_second_step_on(capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["objective=rosenbrock", f"optimizer._target_={__name__}.Momentum", "optimizer.lr=1e-4", *QUIET]
    found, alone = values(overrides, "+optimizer.decay", ("0.3", "0.9"))
    assert found == alone
    assert alone[0] != alone[1]
    assert "a number reaches its step by another way than its field" in capsys.readouterr().err


def test_what_a_cached_property_was_asked_for_is_no_part_of_a_copy() -> None:
    experiment = descend.Experiment(Cached(1.0), Momentum())
    assert isinstance(experiment.objective, Cached)
    assert experiment.objective.factor() == 2.0
    moved = with_leaves(experiment, {("objective", "depth"): 3.0})
    assert isinstance(moved.objective, Cached)
    assert moved.objective.factor() == 6.0
    assert same(moved.objective, Cached(3.0))


def test_slots_are_compared() -> None:
    assert same(Slotted(1.0), Slotted(1.0))
    assert not same(Slotted(1.0), Slotted(2.0))
    assert same(Private(1.0), Private(1.0))
    assert not same(Private(1.0), Private(2.0))
