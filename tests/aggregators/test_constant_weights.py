"""Sum, mean and named factors."""

import pytest
import torch

from descend.aggregators.mean import Mean
from descend.aggregators.sum import Sum
from descend.aggregators.weighted import Weighted
from descend.errors import ConfigurationError

LOSSES = torch.tensor([3.0, -1.0, 5.0], dtype=torch.float64)
NAMES = ("res", "bc", "ic")


def weights(aggregator: Sum | Mean | Weighted) -> list[float]:
    return aggregator.weights(LOSSES, lambda: LOSSES[:, None], aggregator.init(LOSSES, NAMES))[0].tolist()


def test_the_plain_ones() -> None:
    assert weights(Sum()) == [1, 1, 1]
    assert weights(Mean()) == [1 / 3] * 3
    assert weights(Weighted()) == [1, 1, 1]


def test_factors_go_by_name_and_the_rest_keep_one() -> None:
    assert weights(Weighted({"ic": 10.0, "bc": 0.0})) == [1, 0, 10]


def test_a_factor_may_be_a_tensor_of_a_sweep() -> None:
    def first(factor: torch.Tensor) -> torch.Tensor:
        aggregator = object.__new__(Weighted)
        object.__setattr__(aggregator, "factors", {"res": factor})
        return aggregator.weights(LOSSES, lambda: LOSSES[:, None], aggregator.init(LOSSES, NAMES))[0]

    stacked = torch.vmap(first)(torch.tensor([2.0, 4.0], dtype=torch.float64))
    assert stacked.tolist() == [[2, 1, 1], [4, 1, 1]]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"name 'bd', but the losses of this objective are 'res', 'bc', 'ic'"):
        Weighted({"bd": 1.0}).init(LOSSES, NAMES)


@pytest.mark.parametrize("factor", [-1.0, float("nan"), "two"])
def test_a_factor_that_is_no_weight_is_refused(factor: float) -> None:
    with pytest.raises(ConfigurationError, match=r"Weighted\.factors\['bc'\] is .* at least 0"):
        Weighted({"bc": factor})
