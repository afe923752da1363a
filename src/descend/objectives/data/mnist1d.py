"""Digits drawn as curves: MNIST-1D."""

import random
from dataclasses import dataclass, field

import numpy as np
import torch

from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled, of_parts


@dataclass(frozen=True)
class MNIST1D(Shuffled):
    """5,000 curves of 40 points, each a digit's template that was moved, scaled, sheared and made noisy; 10 classes.

    Greydanus & Kobak, "Scaling down deep learning with MNIST-1D" (2024), made by the authors' package with its own
    seed: the data set of the paper. Its 4,000 training and 1,000 test examples are kept, whatever `test_fraction`.

    Args:
        standardise: as for every data set, but off by default, because the package has scaled them already.
    """

    standardise: bool = field(default=False, kw_only=True)

    def load(self) -> Examples:
        from mnist1d.data import get_dataset_args, make_dataset

        before = random.getstate(), np.random.get_state()  # noqa: NPY002  # the package seeds both
        try:
            found = make_dataset(get_dataset_args())
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
        train, test = (
            (torch.from_numpy(found[f"x{part}"]), torch.from_numpy(found[f"y{part}"])) for part in ("", "_test")
        )
        return of_parts(self, train, None, test)
