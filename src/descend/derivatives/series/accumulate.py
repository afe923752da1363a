"""Weighted sums of products Σ_j c_j a_j b_j, the inner loop of every recurrence."""

from collections.abc import Iterable

from torch import Tensor

from descend.graph.compat import dispatch_modes, in_transform

Term = tuple[float, Tensor, Tensor]
"""c, a, b for the product c a b."""


def may_write() -> bool:
    """Whether a sum can be built in place, which saves a third of the time in eager mode.

    Under vmap `addcmul_` falls back to a loop over the batch, and a compiler fuses a traced sum better when it is pure.
    """
    return not (dispatch_modes() or in_transform())


def sum_of_products(terms: Iterable[Term]) -> Tensor:
    """Σ c a b, of one term or more, in a new tensor. A first weight of 1 saves a pass."""
    (c, a, b), *rest = terms
    total, writes = a * b if c == 1 else (a * b).mul_(c), may_write()
    for c, a, b in rest:
        if writes:
            total.addcmul_(a, b, value=c)
        else:
            total = total + (a * b if c == 1 else c * (a * b))
    return total
