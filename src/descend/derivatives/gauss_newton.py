"""Positive semi-definite substitutes for the Hessian: the Gauss-Newton matrix and the Fisher matrices."""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives.gradient import gradient_graph, graph_roots
from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.products import Product
from descend.derivatives.vjp import batched_vjp, vjp
from descend.types import Params


class GaussNewtonProduct(Product):
    """The generalised Gauss-Newton matrix Jᵀ H J as a product: vector [n] -> [n], in dict order.

    J is the Jacobian of `outputs` (params -> tensor z of any shape) and H the Hessian of `loss` (z -> scalar) at z:
    the Hessian of loss(outputs(params)) without the part that the curvature of `outputs` adds (Schraudolph 2002, "Fast
    curvature matrix-vector products"; Martens 2020, "New insights and perspectives on the natural gradient", §8).
    Reverse mode throughout, on kept graphs: J v is the derivative of Jᵀu by u, which is right where forward mode is
    wrong. Where `loss` is convex the matrix is positive semi-definite.

    Raises ConfigurationError where a backward of `outputs`, or a gradient of `loss`, cannot be differentiated.
    """

    def __init__(self, outputs: Callable[[Params], Tensor], loss: Callable[[Tensor], Tensor], params: Params) -> None:
        roots = graph_roots(params)
        self._inputs = list(roots.values())
        with torch.enable_grad():
            self._outputs = outputs(roots)
        require_twice_differentiable(self._outputs)
        self._seed = torch.zeros_like(self._outputs).requires_grad_()
        pulled = vjp([self._outputs], self._inputs, [self._seed], create_graph=True)
        with torch.enable_grad():  # metrics are called with grad mode off
            self._pulled = torch.cat([piece.reshape(-1) for piece in pulled])
        at = {"outputs": self._outputs.detach()}
        self._loss_inputs, self._loss_gradients = gradient_graph(lambda point: loss(point["outputs"]), at)
        self.size, self.dtype, self.device = len(self._pulled), self._pulled.dtype, self._pulled.device

    def __call__(self, vector: Tensor) -> Tensor:
        pushed = vjp([self._pulled], [self._seed], [vector])
        curved = vjp(self._loss_gradients, self._loss_inputs, pushed)
        pieces = vjp([self._outputs], self._inputs, curved)
        return torch.cat([piece.reshape(-1) for piece in pieces])

    def _at_once(self, vectors: Tensor) -> Tensor:
        pushed = batched_vjp([self._pulled], [self._seed], [vectors])
        curved = batched_vjp(self._loss_gradients, self._loss_inputs, pushed)
        pieces = batched_vjp([self._outputs], self._inputs, curved)
        return torch.cat([piece.reshape(len(vectors), -1) for piece in pieces], dim=1)


def fisher_product(logits: Callable[[Params], Tensor], params: Params) -> GaussNewtonProduct:
    """The Fisher matrix of a categorical model: `logits` maps params to [samples, classes]; mean over samples.

    (1/B) Σ_b J_bᵀ (diag p_b − p_b p_bᵀ) J_b. The expectation over labels of the model is exact, no label is drawn: for
    the softmax the matrix is the Gauss-Newton matrix of the mean log-partition function (Martens 2020, §9.2).
    """
    return GaussNewtonProduct(logits, lambda z: z.logsumexp(dim=-1).mean(), params)


def empirical_fisher_product(losses: Callable[[Params], Tensor], params: Params) -> GaussNewtonProduct:
    """The empirical Fisher matrix (1/B) Σ_b g_b g_bᵀ of per-sample `losses`: params -> [B], g_b the gradient of each.

    It uses the labels in the data, and is not the Fisher matrix (Kunstner et al. 2019, "Limitations of the empirical
    Fisher approximation"). As JᵀJ/B it is the Gauss-Newton matrix of half the mean square of the losses.
    """
    return GaussNewtonProduct(losses, lambda values: values.square().mean() / 2, params)
