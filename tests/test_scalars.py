"""A number has the same bits whether it stands alone or in a stack, wherever in it, and as a float or a tensor."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from descend.scalars import Scalar, cosine, power, ratio, root

FORMULAS: dict[str, Callable[[Scalar, Scalar], Scalar]] = {
    "ratio": ratio,
    "root": lambda x, y: root(x),
    "cosine": lambda x, y: cosine(x),
    "power": lambda x, y: power(x, y),
}


def bits(numbers: torch.Tensor) -> list[str]:
    return [x.hex() for x in numbers.tolist()]


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@given(st.lists(st.tuples(st.floats(0, 1e300), st.floats(-1e9, 1e9)), min_size=1, max_size=40))
def test_each_number_of_a_stack_has_the_bits_of_that_number_alone(
    formula: Callable[[Scalar, Scalar], Scalar], pairs: list[tuple[float, float]]
) -> None:
    x, y = torch.tensor(pairs, dtype=torch.float64, device="cpu").unbind(1)
    stacked = formula(x.contiguous(), y.contiguous())
    alone = [formula(*pair) for pair in pairs]
    assert isinstance(stacked, torch.Tensor)
    assert bits(stacked) == [float(each).hex() for each in alone]
