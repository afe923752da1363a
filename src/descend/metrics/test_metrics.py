"""How the parameters do on data they were not trained on."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.metrics.metric import Metric, name_of_test
from descend.types import Observation


@dataclass(frozen=True)
class TestMetrics(Metric):
    """The objective's test metrics: `test/accuracy`, `validation/accuracy`…; none for a function."""

    __test__ = False  # pytest collects classes by this prefix
    tests: ClassVar[bool] = True

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return {name_of_test(name): value for name, value in observation.evaluate().items()}
