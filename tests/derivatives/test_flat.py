import pytest
import torch
from derivative_problems import normal
from hypothesis import given
from hypothesis import strategies as st

from descend.derivatives import ravel, unravel

SHAPES = st.lists(st.lists(st.integers(0, 3), max_size=3), min_size=1, max_size=4)


@given(SHAPES)
def test_unravel_undoes_ravel(shapes: list[list[int]]) -> None:
    params = {f"p{i}": normal(*shape, seed=i) for i, shape in enumerate(shapes)}
    back = unravel(ravel(params), params)
    assert list(back) == list(params)
    assert all(torch.equal(back[name], value) for name, value in params.items())


def test_the_order_is_that_of_the_dict() -> None:
    params = {"b": torch.tensor([1.0, 2.0]), "a": torch.tensor(3.0), "c": torch.tensor([[4.0], [5.0]])}
    assert ravel(params).tolist() == [1, 2, 3, 4, 5]


def test_leading_axes_stay_in_front() -> None:
    like = {"w": normal(2, 3), "s": normal()}
    rows = normal(5, 7)
    pieces = unravel(rows, like)
    assert pieces["w"].shape == (5, 2, 3)
    assert pieces["s"].shape == (5,)
    assert torch.equal(pieces["w"][4], unravel(rows[4], like)["w"])


def test_a_vector_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(RuntimeError, match="split"):
        unravel(normal(3), {"x": normal(4)})
