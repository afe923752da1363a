"""A loop whose length and body depend on data, which chapter 5.1 of the guide means to show."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.op import Op


@dataclass(frozen=True)
class Loop(Op):
    """y = Σ (x − i)² over the integers 0 ≤ i < x, of which at most `limit`; y′ = Σ 2(x − i), y″ jumps at integers.

    The guide sums i² over i < x for an integer x: x only bounds that loop, so there is no gradient. Here
    x is in the body too. At x = 5 the derivative is 30, the number that the guide prints.

    Written for one x the loop would be `while i < x`. As each element (and each run of a batch) has a length of its
    own, all go through `limit` rounds, and those that have finished add 0.
    """

    limit: int = 16

    def __post_init__(self) -> None:
        check_number(self, "limit", at_least=1)

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(float(i) for i in range(self.limit))

    def __call__(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(x)
        for i in range(self.limit):
            total = total + torch.where(x > i, (x - i) ** 2, 0.0)
        return total
