"""How the parameters do on data they were not trained on."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class TestMetrics(Metric):
    """The objective's test metrics: `test/accuracy`, `validation/accuracy`…; none for a function."""

    __test__ = False  # pytest collects classes by this prefix

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return {recorded_name(name): value for name, value in observation.evaluate().items()}


def recorded_name(name: str) -> str:
    """Return the name under which a test metric of an objective is recorded: `accuracy` as `test/accuracy`."""
    kind = "validation" if name.startswith("validation_") else "test"
    return f"{kind}/{name.removeprefix(f'{kind}_')}"
