"""How far a point is from one where no direction lowers every loss."""

from collections.abc import Sized

import torch
from torch import Tensor

from descend.aggregators.complementarity import MOST_LOSSES
from descend.aggregators.gramian import gramian
from descend.aggregators.min_norm import min_norm_weights


def comparable(losses: Sized) -> bool:
    """Tell whether so many losses have a shortest combination that is found exactly: two to ten."""
    return 1 < len(losses) <= MOST_LOSSES


def stationarity(jacobian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return min ‖Jᵀw‖₂ over the simplex, which never exceeds the smallest ‖gᵢ‖; that; and the largest; [] each.

    Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization", Comptes Rendus Mathématique
    350 (2012), Definition 1: 0 at Pareto stationary points and nowhere else.

    Args:
        jacobian: J, shape [m, n], of two to ten losses.
    """
    products = gramian(jacobian)
    # The norm of the combination itself: the root of wᵀGw would end at the root of rounding.
    shortest = torch.linalg.vector_norm(min_norm_weights(products).to(jacobian.dtype) @ jacobian)
    least, largest = (x.sqrt().to(shortest.dtype) for x in products.diagonal().aminmax())
    return shortest, least, largest


def is_stationary(jacobian: Tensor) -> Tensor:
    """Tell whether the shortest combination is 0 up to rounding, bool [].

    It is, where it is so against the smallest gradient: a short gradient is no conflict. And where that gradient itself
    is no longer than the rounding of the largest.
    """
    shortest, least, largest = stationarity(jacobian)
    eps = torch.finfo(jacobian.dtype).eps
    return shortest <= eps**0.5 * least + 8 * eps * largest
