"""The Jacobian of many outputs in few parameters."""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives.gradient import graph_roots
from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.vjp import batched_vjp, vjp
from descend.types import Params


def jacobian_by_columns(f: Callable[[Params], Tensor], params: Params) -> tuple[Tensor, Tensor]:
    """Return f(params) [m] and its Jacobian [m, n], both detached, columns in dict order.

    Each column is one backward pass: J v is the derivative of Jᵀu by u, as in `GaussNewtonProduct`. Meant for m ≫ n.

    Raises ConfigurationError where a backward of `f` cannot be differentiated.
    """
    roots = graph_roots(params)
    with torch.enable_grad():
        outputs = f(roots)
        require_twice_differentiable(outputs.sum())
        seed = torch.zeros_like(outputs).requires_grad_()
        pulled = vjp([outputs], list(roots.values()), [seed], create_graph=True)
        whole = torch.cat([piece.reshape(-1) for piece in pulled])
    units = torch.eye(len(whole), dtype=whole.dtype, device=whole.device)
    [rows] = batched_vjp([whole], [seed], [units])
    return outputs.detach(), rows.T.contiguous()
