"""The fuel consumption of cars."""

from dataclasses import dataclass

import numpy as np
import torch

from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled

CATEGORICAL = 6
"""The column that says where a car was made: America, Europe or Japan."""


@dataclass(frozen=True)
class AutoMPG(Shuffled):
    """392 cars by 9 columns; the target, miles per gallon, is standardised too.

    The columns: cylinders, displacement, horsepower, weight, acceleration, the model's year, and three columns of 0 and
    1 for the origin (America, Europe, Japan), which are never scaled. Quinlan, "Combining instance-based and
    model-based learning" (1993), as shipped by mlxtend, without the cars whose horsepower is missing.
    """

    def load(self) -> Examples:
        from mlxtend.data import autompg_data

        columns, miles = autompg_data()
        origins = np.eye(3)[columns[:, CATEGORICAL].astype(int) - 1]
        inputs = torch.from_numpy(np.concatenate([columns[:, :CATEGORICAL], origins], axis=1))
        numbers = torch.arange(inputs.shape[1], dtype=torch.int64, device="cpu") < CATEGORICAL
        return Examples(inputs, torch.from_numpy(miles.copy()), numbers=numbers)
