"""How the parameters do on data they were not trained on."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class TestMetrics(Metric):
    """The objective's test metrics: `test/accuracy`, `test/error`…; none for a function."""

    __test__ = False  # pytest collects classes by this prefix

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return {f"test/{name.removeprefix('test_')}": value for name, value in observation.evaluate().items()}
