"""An experiment: what is minimised, how, for how long, and where."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import torch

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.sum import Sum
from descend.checks import check_number
from descend.engine.placement import choose_device, choose_dtype, choose_threads
from descend.engine.stopping import Stopping
from descend.errors import ConfigurationError
from descend.graph.chance import Chance
from descend.metrics.metric import Metric
from descend.objectives.least_squares import LeastSquares
from descend.objectives.objective import Objective
from descend.optimizers.adam import Adam
from descend.optimizers.clipping import Clipping, NoClipping
from descend.optimizers.optimizer import Optimizer
from descend.schedules.constant import Constant
from descend.schedules.schedule import Schedule
from descend.types import Composed, Params
from descend.vectors import numel


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a run's result, and nothing else.

    Args:
        objective: what is minimised.
        optimizer: one update.
        aggregator: several losses into one.
        metrics: what is looked at while it runs, by any name.
        schedule: a factor on the learning rate, by step.
        clip: what is done to a gradient before the optimizer sees it.
        stop: rules that end the run before `steps`.
        values: names of recorded numbers whose last ones the result carries as its `values`.
        steps: updates to make, ≥ 0; with 0 the start is evaluated and recorded once. Or a text as "10epochs", where the
            objective learns from examples; it becomes their number.
        seed: seeds the one generator that the start and the batches are drawn from.
        dtype: `auto` (float64 for functions, float32 for nets), or the name of a floating torch dtype.
        device: `auto` (an accelerator where one is present and the problem large), or a torch device.
        threads: `auto` (by the size of the problem), or a number of CPU threads.
        accumulate: into how many equal parts a batch is dealt, ≥ 1: their gradients are computed one after the other,
            in the memory of one part, and averaged. A batch norm takes the statistics of each part.
        precision: `full`, or `bf16`: the matrix products and convolutions of a training step are computed in bfloat16
            (`torch.autocast`), the parameters, the optimizer and whatever is looked at in `dtype`, then float32.
        compile: `auto` (where it wins over the whole run), True or False.

    Raises:
        ConfigurationError: a value is none of these, or two parts do not go together.
    """

    objective: Objective
    optimizer: Optimizer = field(default_factory=Adam)
    aggregator: Aggregator = field(default_factory=Sum)
    metrics: dict[str, Metric] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Constant)
    clip: Clipping = field(default_factory=NoClipping)
    stop: Stopping = field(default_factory=Stopping)
    values: Sequence[str] = ()
    steps: int = 1000
    seed: int = 0
    dtype: str = "auto"
    device: str = "auto"
    threads: str | int = "auto"
    accumulate: int = 1
    precision: str = "full"
    compile: str | bool = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", steps_of(self.steps, self.objective))
        check_number(self, "steps", at_least=0)
        check_number(self, "seed", at_least=0)
        check_number(self, "accumulate", at_least=1)
        self.objective.parts(None, self.accumulate)
        if self.precision not in ("full", "bf16"):
            raise ConfigurationError(f"precision is {self.precision!r}, but it must be full or bf16.")
        if self.optimizer.line_search and self.aggregator.uses_jacobian:
            raise ConfigurationError(
                f"{type(self.optimizer).__name__} searches along a line, but the direction of "
                f"{type(self.aggregator).__name__} is not the gradient of one function, so there is no line to search: "
                "use an optimizer without a line search (adam), or an aggregator of fixed weights (sum, weighted)."
            )
        if self.optimizer.needs_squares and not (
            isinstance(self.objective, LeastSquares) and isinstance(self.aggregator, Sum)
        ):
            raise ConfigurationError(
                f"{type(self.optimizer).__name__} needs a sum of squares, but {type(self.objective).__name__} with the "
                f"aggregator {type(self.aggregator).__name__} is none: choose an objective with residuals (curve_fit), "
                "or of one's own a LeastSquares, and aggregator=sum; or another optimizer (trust_region)."
            )
        self._check_stop()
        if self.compile != "auto" and not isinstance(self.compile, bool):
            raise ConfigurationError(f"compile is {self.compile!r}, but it must be auto, true or false.")

    def _check_stop(self) -> None:
        given = {"xtol", "ftol"} & self.stop.bounds.keys()
        if given and not self.optimizer.tries_points:
            raise ConfigurationError(
                f"stop.{max(given)} is given, but {type(self.optimizer).__name__} tries no points: the learning rate "
                "decides the length of its steps, so a short step does not mean that the minimum is near; use "
                "stop.gradient_norm or stop.plateau, or an optimizer that searches (levenberg_marquardt, trust_region, "
                "lbfgs)."
            )
        if self.stop.metric is not None and not any(metric.tests for metric in self.metrics.values()):
            raise ConfigurationError(
                f"stop.metric is {self.stop.metric!r}, but no metric of the experiment computes test metrics; add "
                "TestMetrics, which metrics=default has."
            )
        if self.stop.metric is not None and all(m.budget is not None for m in self.metrics.values() if m.tests):
            raise ConfigurationError(
                f"stop.metric is {self.stop.metric!r}, but the test metrics have a budget: they would be computed at "
                "other steps each time, and decide differently; set their budget to null."
            )

    def generator(self) -> torch.Generator:
        """Return the run's one source of randomness, on the CPU so that every device draws the same numbers."""
        return torch.Generator(device="cpu").manual_seed(self.seed)

    def device_of(self, params: Params) -> torch.device:
        """Return the device on which such parameters will lie.

        Raises:
            ConfigurationError: the device named is not to be had.
        """
        return choose_device(self.device, self.objective.batch_size * numel(params))

    def placed(self, params: Params) -> tuple[Self, Params, int]:
        """Return the experiment with its objective's tensors in their place, the parameters likewise, and threads.

        The optimizer is told of the parameters' kinds. Metrics that do not apply to such parameters are left out.

        Raises:
            ConfigurationError: the device or dtype named is not to be had, or the optimizer refuses the parameters.
        """
        device = self.device_of(params)
        dtype = choose_dtype(self.dtype, self.objective.dtype, device)
        if self.precision == "bf16" and dtype != torch.float32:
            raise ConfigurationError(
                f"precision is 'bf16', which lowers float32, but dtype is {str(dtype).removeprefix('torch.')}; set "
                "dtype=float32."
            )
        moved = {name: x.to(device=device, dtype=dtype) for name, x in params.items()}
        metrics = {name: metric for name, metric in self.metrics.items() if metric.applies(params)}
        optimizer = self.optimizer.suited(moved, self.objective.kinds(moved))
        ready = replace(self, objective=self.objective.to(dtype, device), optimizer=optimizer, metrics=metrics)
        if optimizer.needs_outputs:
            with Chance(0, 0):  # so that a dropout does not change the generators
                ready = replace(ready, optimizer=optimizer.attached(ready.composed(moved), moved))
        return ready, moved, choose_threads(self.threads, self.objective.batch_size * numel(params))

    def composed(self, params: Params) -> Composed:
        """Return the losses on two examples as functions of a network's outputs, in training mode.

        Raises:
            ConfigurationError: the objective has no network, or the aggregator does not simply sum the losses.
        """
        method, objective = type(self.optimizer).__name__, self.objective
        examples = objective.sample(2)
        weights = torch.ones_like(torch.stack(tuple(objective.losses(params, examples).values())))
        found = objective.composed(weights, examples, training=True)
        if found is None:
            raise ConfigurationError(
                f"{method} takes the curvature from a network's outputs, but {type(objective).__name__} has none: "
                "choose an objective that learns from examples (digits_mlp, module), or another optimizer (newton)."
            )
        if not isinstance(self.aggregator, Sum):
            raise ConfigurationError(
                f"{method} takes the curvature of a sum of losses, but {type(self.aggregator).__name__} weighs them "
                "anew: set aggregator=sum, or choose another optimizer (adam)."
            )
        return found

    def optimizer_at(self, step: "int | torch.Tensor") -> Optimizer:
        """Return the optimizer with the learning rate that the schedule gives it at `step`."""
        factor = self.schedule.factor(step, self.steps)
        if isinstance(factor, float) and factor == 1.0:
            return self.optimizer
        return self.optimizer.scaled(factor)


def steps_of(steps: int | str, objective: Objective) -> int:
    """Return how many steps are meant by a number, or by a number of epochs as "10epochs".

    Raises:
        ConfigurationError: it is neither, or the objective has no epochs.
    """
    if not isinstance(steps, str):
        return steps
    epochs = re.fullmatch(r"(\d+(?:\.\d+)?)\s*epochs?", steps.strip())
    if epochs is None:
        raise ConfigurationError(
            f"steps is {steps!r}, but it must be a whole number of steps (1000) or a number of epochs (10epochs)."
        )
    if objective.steps_in_epoch is None:
        raise ConfigurationError(
            f"steps is {steps!r}, but {type(objective).__name__} has no examples, so it has no epochs; give a "
            "number of steps."
        )
    return round(float(epochs[1]) * objective.steps_in_epoch)
