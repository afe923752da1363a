"""The shortest vector in the convex hull of the gradients (MGDA)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.complementarity import check_few, solve_complementarity
from descend.aggregators.gramian import gramian
from descend.types import State


def min_norm_weights(products: Tensor) -> Tensor:
    """Return the λ of the simplex that minimises λᵀG λ = ‖Jᵀλ‖², shape [m], for a Gramian G of shape [m, m].

    On the simplex λᵀ(G + c 1 1ᵀ)λ is greater by the constant c. Its minimiser over the simplex is that of
    ½ zᵀ(G + c 1 1ᵀ)z − 1ᵀz over z ≥ 0, brought to the sum 1: along a ray z = tλ the least value is −1/(2 h(λ)), where
    h(λ) is the quadratic form.
    """
    squares = products.diagonal()
    # The least square norm keeps the rounding of G + c below that of every entry of G.
    least = torch.where(squares > 0, squares, torch.full_like(squares, torch.inf)).amin()
    shift = torch.where(torch.isinf(least), torch.ones_like(least), least)
    matrix = products / shift + 1
    z = solve_complementarity(matrix, -torch.ones_like(squares)[:, None])[:, 0]
    return z / z.sum()


@dataclass(frozen=True)
class MinNorm(Aggregator):
    """λ = argmin ‖Jᵀλ‖ over the simplex: a common descent direction, or 0 at a Pareto stationary point.

    Désidéri, "Multiple-gradient descent algorithm (MGDA) for multiobjective optimization", Comptes Rendus Mathématique
    350 (2012); Sener & Koltun, "Multi-Task Learning as Multi-Objective Optimization" (NeurIPS 2018), equation 3. Solved
    exactly, where the usual Frank–Wolfe iterations stop about 1e-3 short.
    """

    uses_jacobian: ClassVar[bool] = True

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        check_few(names, "min_norm")
        return {}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        return min_norm_weights(gramian(jacobian())).to(losses.dtype), state
