"""What is looked at before the first step, and how it is told."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.sum import Sum
from descend.aggregators.upgrad import UPGrad
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.metrics.conflict import Conflict
from descend.metrics.metric import Metric
from descend.objectives.objective import Objective
from descend.optimizers.sgd import SGD
from descend.types import Params


class Own(Objective):
    """An objective of whatever its loss is."""

    def __init__(self, loss: Callable[[Tensor], Any], start: Tensor | None = None) -> None:
        self.loss = loss
        self.start = torch.tensor([1.0, 2.0], dtype=torch.float64) if start is None else start

    def init(self, generator: torch.Generator) -> Params:
        return {"x": self.start.clone()}

    def losses(self, params: Params, batch: object) -> Any:
        found = self.loss(params["x"])
        return found if isinstance(found, dict | list | Tensor) and not isinstance(found, Tensor) else {"own": found}


WRONG = {
    "not a scalar": (lambda x: x**2, r"'own' of Own is a tensor of shape \[2\].*sum or mean"),
    "not a tensor": (lambda x: 3.0, r"'own' of Own is float"),
    "not named": (lambda x: [x.sum()], r"Own.losses returned list.*dict of named scalar"),
    "none at all": (lambda x: {}, r"Own.losses returned dict"),
    "not a number": (lambda x: (x - 5).log().sum(), r"'own' of Own is nan at the start"),
    "infinite": (lambda x: (x - 1).log().sum(), r"'own' of Own is -inf at the start"),
    "steep without end": (lambda x: (x - 1).sqrt().sum(), r"gradient of Own in 'x' is not finite at the start"),
    "detached": (lambda x: x.detach().sum(), r"No loss of Own depends on its parameters"),
    "raises": (lambda x: x @ torch.ones(3, dtype=x.dtype), r"Own.losses raised RuntimeError.*test_check.py, line \d+"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_start_that_cannot_be(case: str) -> None:
    loss, sentence = WRONG[case]
    with pytest.raises(ConfigurationError, match=sentence):
        Run(Experiment(Own(loss)))


@pytest.mark.parametrize("start", [torch.tensor([1, 2]), torch.tensor([True])])
def test_whole_numbers_have_no_derivatives(start: Tensor) -> None:
    with pytest.raises(ConfigurationError, match=r"'x' has dtype torch\.\w+, but only floating.*3\.0 instead of 3"):
        Run(Experiment(Own(lambda x: x.sum(), start)))


@pytest.mark.parametrize("aggregator", [Sum(), UPGrad()])
def test_a_loss_that_no_parameter_moves_is_warned_of_once_and_has_a_row_of_zeros(aggregator: Aggregator) -> None:
    objective = Own(lambda x: {"moves": x.sum(), "still": torch.zeros((), dtype=x.dtype)})
    metrics: dict[str, Metric] = {"conflict": Conflict()}
    with pytest.warns(UserWarning, match="'still' of Own depends on no parameter.*leave it out") as found:
        run = Run(Experiment(objective, aggregator=aggregator, metrics=metrics, steps=2))
    assert len(found) == 1
    blocks = list(run)  # a second warning would be an error here
    assert run.names == ("moves", "still")
    assert blocks[0].scalars["loss_gradient/norm/still"].values[0] == 0
    assert run.result().status == "finished"


@pytest.mark.parametrize(("field", "value"), [("steps", -1), ("seed", -1)])
def test_settings_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"Experiment\.{field} is -1.*at least 0"):
        Experiment(Own(lambda x: x.sum()), **{field: value})


def test_a_loss_that_becomes_nan_is_named() -> None:
    objective = Own(lambda x: {"well": (x**2).sum(), "ill": (x[0] - 0.5).log() ** 2 + x[0] ** 2})
    run = Run(Experiment(objective, SGD(lr=0.3), steps=9, compile=False))
    list(run)
    result = run.result()
    assert result.status == "diverged"
    assert re.fullmatch(r"the loss 'ill' became nan at step \d", result.reason)


class Statistics(Own):
    """Keeps the statistics of a batch norm where no checkpoint looks."""

    def __init__(self) -> None:
        super().__init__(lambda x: self.norm(x[:, None]).square().sum() + x.sum())
        self.norm = torch.nn.BatchNorm1d(1, dtype=torch.float64)


class Counting(Own):
    """Counts its calls in a tensor."""

    def __init__(self) -> None:
        super().__init__(lambda x: (x * self.calls.add_(1)).sum())
        self.calls = torch.zeros((), dtype=torch.float64)


@pytest.mark.parametrize(("objective", "name"), [(Statistics, r"norm\.num_batches_tracked"), (Counting, "calls")])
def test_a_loss_that_writes_into_its_objective(objective: Callable[[], Own], name: str) -> None:
    """A resumed run would go on from other numbers, and what is loaded would not be what was trained."""
    with pytest.raises(ConfigurationError, match=rf"writes into {name} .*no checkpoint.*objective=module"):
        Run(Experiment(objective()))
