"""When a run ends before its last step."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.metrics.metric import highest_is_best

QUANTITIES = {
    "gradient_norm": "the gradient norm",
    "xtol": "the relative change of the parameters",
    "ftol": "the relative change of the total",
}
"""The sizes that stopping rules bound, by the rule's name, as the reason for an end calls them."""


@dataclass(frozen=True)
class Verdict:
    """How a run ended: `status` and `reason` as in result.json, and the step it ended at."""

    status: str
    reason: str
    step: int


@dataclass
class Watch:
    """The lowest total so far (`best`), and the value and step at which it last fell by enough to count."""

    best: float = math.inf
    mark: float = math.inf
    step: int = 0


@dataclass(frozen=True)
class Stopping:
    """Rules that end a run early; None switches a rule off.

    Args:
        gradient_norm: converged once ‖∇f‖₂ is at most this.
        value: converged once the total is at most this.
        xtol: converged once a trial changes every entry of the parameters by at most this fraction of its size.
        ftol: converged once a trial changes the total by at most this fraction of it, and the method expected no more.
            xtol and ftol are for methods that try points, see `optimizers.parts.trying`.
        seconds: finished once the loop has run this long (looked at between blocks of steps).
        plateau: finished once the lowest total has not fallen for this many steps.
        plateau_tolerance: a fall counts when it is larger than this fraction of the lowest total's size.
        metric: a test metric by its recorded name, as `validation/accuracy`; the parameters that had its best value are
            kept beside the last ones.
        mode: which values of it are better: `max`, `min`, or `auto`, the highest of an accuracy or of R² and the
            lowest of all others.
        patience: finished once `metric` has not got better for this many steps.

    Raises:
        ConfigurationError: a value is none of these.
    """

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

    def __post_init__(self) -> None:
        for name, bounds in {
            "gradient_norm": {"at_least": 0},
            "value": {},
            "xtol": {"at_least": 0},
            "ftol": {"at_least": 0},
            "seconds": {"above": 0},
            "plateau": {"at_least": 1},
            "patience": {"at_least": 1},
        }.items():
            if getattr(self, name) is not None:
                check_number(self, name, **bounds)
        check_number(self, "plateau_tolerance", at_least=0)
        if self.mode not in ("auto", "max", "min"):
            raise ConfigurationError(f"stop.mode is {self.mode!r}, but it must be auto, max or min.")
        if self.metric is None and (self.patience is not None or self.mode != "auto"):
            given = "stop.mode" if self.patience is None else "stop.patience"
            raise ConfigurationError(
                f"{given} is given, but no metric that it is for; name one, as stop.metric=test/accuracy."
            )

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds of the rules on sizes, which each step computes beside its total, by the rule's name."""
        named = {name: getattr(self, name) for name in QUANTITIES}
        return {name: bound for name, bound in named.items() if bound is not None}

    @property
    def highest(self) -> bool:
        """Whether the highest value of `metric` is the best."""
        return self.mode == "max" or (self.mode == "auto" and highest_is_best(self.metric or ""))

    def first(
        self, steps: np.ndarray, values: np.ndarray, sizes: Mapping[str, np.ndarray], watch: Watch
    ) -> Verdict | None:
        """Return the verdict at the first step where a rule holds, or None.

        Args:
            steps: int64 [k], consecutive.
            values: the total at each, float64 [k].
            sizes: the sizes of `bounds` at each, [k], by the rule's name; a rule whose size is missing does not hold.
            watch: the lowest total so far; brought up to date.
        """
        found = [v for v in (self._diverged(steps, values), self._reached(steps, values, sizes)) if v is not None]
        if self.plateau is not None:
            found += [v for v in [self._stalled(steps, values, watch)] if v is not None]
        verdict = min(found, key=lambda v: v.step, default=None)
        seen = values if verdict is None else values[steps <= verdict.step]
        watch.best = min(watch.best, float(seen[np.isfinite(seen)].min(initial=math.inf)))
        return verdict

    def out_of_patience(self, step: int) -> Verdict:
        """Return the verdict of a run whose metric has not got better for too long at `step`."""
        return Verdict("finished", f"{self.metric} has not got better for {self.patience} steps", step)

    def any_reached(self, value: float, norm: float) -> bool:
        """Tell whether a single value or gradient norm ends a run."""
        return (
            not math.isfinite(value)
            or (self.value is not None and value <= self.value)
            or (self.gradient_norm is not None and norm <= self.gradient_norm)
        )

    def _diverged(self, steps: np.ndarray, values: np.ndarray) -> Verdict | None:
        bad = np.flatnonzero(~np.isfinite(values))
        if not bad.size:
            return None
        step = int(steps[bad[0]])
        return Verdict("diverged", f"the total became {values[bad[0]]} at step {step}", step)

    def _reached(self, steps: np.ndarray, values: np.ndarray, sizes: Mapping[str, np.ndarray]) -> Verdict | None:
        rules = [] if self.value is None else [("the total", values, self.value)]
        rules += [(QUANTITIES[name], sizes[name], bound) for name, bound in self.bounds.items() if name in sizes]
        found = []
        for quantity, numbers, bound in rules:
            hits = np.flatnonzero(numbers <= bound)
            if hits.size:
                sentence = f"{quantity} fell to {numbers[hits[0]]:.6g}, at most {bound:g}, at step {steps[hits[0]]}"
                found.append(Verdict("converged", sentence, int(steps[hits[0]])))
        return min(found, key=lambda v: v.step, default=None)

    def _stalled(self, steps: np.ndarray, values: np.ndarray, watch: Watch) -> Verdict | None:
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            if math.isinf(watch.mark) or value < watch.mark - self.plateau_tolerance * abs(watch.mark):
                watch.mark, watch.step = value, step
            elif step - watch.step >= self.plateau:
                return Verdict("finished", f"the lowest total has not fallen for {self.plateau} steps", step)
        return None


def with_loss_named(verdict: Verdict, losses: dict[str, float]) -> Verdict:
    """Return a verdict of divergence that names the first loss which was not finite; any other verdict as it is."""
    bad = [f"the loss {name!r} became {x}" for name, x in losses.items() if not math.isfinite(x)]
    if verdict.status != "diverged" or not bad:
        return verdict
    return replace(verdict, reason=f"{bad[0]} at step {verdict.step}")
