"""Products of a curvature matrix with vectors, without the matrix."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.derivatives.gradient import gradient_graph
from descend.derivatives.vjp import batched_vjp, vjp
from descend.types import Loss, Params

# Up to this many parameters the calls of a backward pass cost more than its arithmetic, and several vectors share the
# calls. Beyond, one pass for several vectors takes as long as one pass for each, and more memory.
TINY = 4096


class Product(ABC):
    """A symmetric matrix [n, n] known only by its products with vectors."""

    size: int
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def __call__(self, vector: Tensor) -> Tensor:
        """The matrix times `vector` [n]."""

    @abstractmethod
    def _at_once(self, vectors: Tensor) -> Tensor:
        """`each` by one batched pass."""

    def each(self, vectors: Tensor) -> Tensor:
        """The matrix times each row of `vectors` [k, n]; [k, n]. Batched where that is faster."""
        if self.size <= TINY and len(vectors) > 1:
            return self._at_once(vectors)
        return torch.stack([self(vector) for vector in vectors])


class HessianProduct(Product):
    """The Hessian of `f` at `params`, as a product: vector [n] -> [n], in dict order.

    Reverse over reverse (Pearlmutter 1994, "Fast exact multiplication by the Hessian") with the gradient's graph built
    once and kept, so that each product is one backward through it: 1.1 to 1.4 times a gradient, where a fresh graph
    each time takes 2.1 to 2.5 and forward over reverse 2.4 to 9. The graph is that of detached copies, which share the
    parameters' memory: writing to the parameters in place invalidates it, so build a new product after each step. The
    Hessian of some parameters with the rest held fixed (a layer's block) is that of `lambda part: f({**params,
    **part})`.

    Raises ConfigurationError where an operation has no second derivative.
    """

    def __init__(self, f: Loss, params: Params) -> None:
        self._inputs, gradients = gradient_graph(f, params)
        # One vector as the root: autograd checks every root in Python at every call.
        with torch.enable_grad():  # metrics are called with grad mode off
            self._gradient = torch.cat([piece.reshape(-1) for piece in gradients])
        self.size, self.dtype, self.device = len(self._gradient), self._gradient.dtype, self._gradient.device

    def __call__(self, vector: Tensor) -> Tensor:
        pieces = vjp([self._gradient], self._inputs, [vector])
        return torch.cat([piece.reshape(-1) for piece in pieces])

    def _at_once(self, vectors: Tensor) -> Tensor:
        pieces = batched_vjp([self._gradient], self._inputs, [vectors])
        return torch.cat([piece.reshape(len(vectors), -1) for piece in pieces], dim=1)


def hvp(f: Loss, params: Params, direction: Params) -> Params:
    """Hessian of `f` times `direction`, once; for more than one product at a point, keep a `HessianProduct`."""
    return unravel(HessianProduct(f, params)(ravel(direction)), params)
