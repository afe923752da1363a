"""Points around the minimum of a quadratic, for stochastic quadratics."""

from dataclasses import dataclass, field

import numpy as np
import torch

from descend.checks import check_number
from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled, of_parts

DIMENSIONS = 100
TRAIN, TEST = 1000, 896  # of 1,000 test points DeepOBS uses only those that fill batches of 128


@dataclass(frozen=True)
class QuadraticPoints(Shuffled):
    """Normally distributed points of 100 dimensions with mean 0; the targets are 0. The test part is fixed.

    Schneider, Balles & Hennig, "DeepOBS: a deep learning optimizer benchmark suite" (2019), with the same draws: 1,000
    training points, in single precision, from NumPy's RandomState(42), and test points from RandomState(43).

    Args:
        noise: standard deviation of each coordinate.
        test_at_mean: test only at the mean, 0, which gives the quadratic without noise.
        standardise: as for every data set, but off by default.
    """

    noise: float = 0.6
    test_at_mean: bool = False
    standardise: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "noise", at_least=0)

    def load(self) -> Examples:
        train = self._drawn(42)
        test = torch.zeros_like(train[:1]) if self.test_at_mean else self._drawn(43)[:TEST]
        return of_parts(self, (train, torch.zeros_like(train)), None, (test, torch.zeros_like(test)))

    def _drawn(self, seed: int) -> torch.Tensor:
        drawn = np.random.RandomState(seed).normal(0.0, self.noise, (TRAIN, DIMENSIONS))
        return torch.from_numpy(drawn.astype(np.float32).astype(np.float64))
