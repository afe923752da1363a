"""The types of the top-level settings."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class Stop:
    """The rules of `descend.engine.stopping.Stopping`."""

    gradient_norm: float | None = None
    value: float | None = None
    xtol: float | None = None
    ftol: float | None = None
    seconds: float | None = None
    plateau: int | None = None
    plateau_tolerance: float = 1e-4
    metric: str | None = None
    mode: str = "auto"
    patience: int | None = None


@dataclass
class Evaluating:
    """Every how many steps the objective's test metrics are computed; the metric `test_metrics` takes it."""

    every: int = 100


@dataclass
class Checkpoint:
    """How often a run writes a checkpoint while it goes on, and the most snapshots of its parameters that it keeps.

    See `descend.engine.checkpoint.Every` and `descend.engine.snapshots.count_of`.
    """

    every: Any = "60s"
    snapshots: Any = "auto"


@dataclass
class Claim:
    """The value that a text gives for a number that a run records, and why the run's value differs, if it does."""

    printed: float | None = None
    why: str = ""


@dataclass
class Menu:
    """The top level of a configuration. Each group's node is checked against the class it names.

    `claims` are by the name of a recorded number, as `derivative/x`; its last value is put beside them after the run.
    """

    objective: Any = MISSING
    op: Any = MISSING
    derivatives: Any = None
    optimizer: Any = MISSING
    wrap: Any = None
    schedule: Any = MISSING
    clip: Any = MISSING
    aggregator: Any = MISSING
    metrics: Any = MISSING
    tracker: Any = MISSING
    sweep: Any = MISSING
    stop: Stop = field(default_factory=Stop)
    evaluate: Evaluating = field(default_factory=Evaluating)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    claims: dict[str, Claim] = field(default_factory=dict)
    steps: int | str = 1000
    seed: int = 0
    dtype: str = "auto"
    device: str = "auto"
    threads: str | int = "auto"
    accumulate: int = 1
    precision: str = "full"
    compile: str | bool = "auto"


def register() -> None:
    """Make the types known to Hydra; config.yaml names them first in its defaults."""
    ConfigStore.instance().store(name="schema", node=Menu)
