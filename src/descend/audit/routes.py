"""Every route by which torch, or descend, computes a derivative of some order."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, fx
from torch.func import jacfwd, jacrev, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from descend.audit.subspace import Function, Restricted
from descend.audit.transforms import (
    batched_points,
    forward,
    pullback,
    reverse,
    reverse_batched,
)
from descend.derivatives.directional import series_taylor
from descend.derivatives.flat import ravel
from descend.derivatives.gradient import gradient
from descend.derivatives.hessian import hessian
from descend.derivatives.tensors import derivative_tensor
from descend.graph.chance import draws
from descend.graph.compat import forget_compiled

Transform = Callable[[Function], Function]


COPIES = 3
"""Points in a batch under vmap."""


class NotTaken(Exception):
    """Descend does not take this route for this function; the message says why, and what it does instead."""


@dataclass(frozen=True)
class Route:
    """One way to the derivative tensor of a scalar function of s [d].

    Attributes:
        name: as users of torch would say it.
        build: (function, order) ↦ the function whose value at s is the tensor [d, …, d] with `order` axes.
        orders: the lowest and the highest order it is a route of its own for; None for no highest.
        ours: the orders, lowest and highest, at which descend itself takes it; None for never.
        otherwise: what descend does instead where the route raises.
        draws: whether it draws random numbers when what it built is called, not when the function is.
        mixes: whether its entries are differences of others, whose rounding they share.
        made_of: names of the routes that it builds on: where one of them is wrong, so is this.
    """

    name: str
    build: Callable[[Restricted, int], Function]
    orders: tuple[int, int | None] = (1, None)
    ours: tuple[int, int | None] | None = None
    otherwise: str = ""
    draws: bool = False
    mixes: bool = False
    made_of: tuple[str, ...] = ()

    def applies(self, order: int) -> bool:
        """Whether the route is one of its own at `order`."""
        return _within(order, self.orders)

    def is_ours(self, order: int) -> bool:
        """Whether descend takes it at `order`."""
        return self.ours is not None and _within(order, self.ours)


def _within(order: int, bounds: tuple[int, int | None]) -> bool:
    low, high = bounds
    return low <= order and (high is None or order <= high)


def _nested(inner: Transform, outer: Transform | None = None) -> Callable[[Function, int], Function]:
    """`inner` order times, or order − 1 times with `outer` last."""

    def build(function: Function, order: int) -> Function:
        for _ in range(order - 1):
            function = inner(function)
        return (outer or inner)(function)

    return build


def _graph(function: Restricted, order: int, s: Tensor) -> fx.GraphModule:
    """The derivative traced at s, so that autograd itself runs."""
    graph = make_fx(NESTED_REVERSE.build(function, order))(s.detach())
    for node in graph.graph.nodes:
        if draws(node.target, node.args, node.kwargs):
            raise RuntimeError(f"{node.target} draws random numbers, and its trace would draw others at every call")
    return graph


def _traced(function: Restricted, order: int) -> Function:
    return lambda s: _graph(function, order, s)(s.detach())


def _traced_and_vmapped(function: Restricted, order: int) -> Function:
    """Traced, then vmapped."""
    return lambda s: vmap(_graph(function, order, s))(s.detach().expand(COPIES, -1))[0]


def _compiled(backend: str) -> Callable[[Restricted, int], Function]:
    """Traced, then compiled."""

    def build(function: Restricted, order: int) -> Function:
        def compiled(s: Tensor) -> Tensor:
            forget_compiled()
            graph = _graph(function, order, s)
            with torch.no_grad():
                return torch.compile(graph, backend=backend, fullgraph=True)(s.detach())

        return compiled

    return build


def _compiled_untraced(backend: str) -> Callable[[Restricted, int], Function]:
    """As users write it, on the parameters themselves: on anything computed from s, dynamo may fall back to eager."""

    def build(function: Restricted, order: int) -> Function:
        def compiled(s: Tensor) -> Tensor:
            forget_compiled()
            gradients = torch.compile(torch.func.grad(function.loss), backend=backend)(function.at(s.detach()))
            return ravel(gradients) @ function.columns

        return compiled

    return build


def _descend_gradient(function: Function, order: int) -> Function:
    return lambda s: gradient(lambda params: function(params["s"]), {"s": s.detach()})["s"]


def _descend_hessian(function: Function, order: int) -> Function:
    return lambda s: hessian(lambda params: function(params["s"]), {"s": s.detach()})


def _descend_tensor(function: Function, order: int) -> Function:
    return lambda s: derivative_tensor(lambda params: function(params["s"]), {"s": s.detach()}, order)


def _taylor(function: Function, order: int) -> Function:
    """The tensor from its values along directions, by polarisation.

    k! D(v₁, …, v_k) = Σ over subsets S of (−1)^(k−|S|) D(v_S, …, v_S) with v_S the sum over S, and D(v, …, v) is
    k! times the k-th Taylor coefficient along v.
    """

    def derivative(s: Tensor) -> Tensor:
        found: dict[tuple[int, ...], Tensor] = {}

        def along(chosen: tuple[int, ...]) -> Tensor:
            if chosen not in found:
                direction = torch.bincount(torch.tensor(chosen, device=s.device), minlength=len(s)).to(s.dtype)
                loss, at = (lambda params: function(params["s"])), {"s": s.detach()}
                found[chosen] = series_taylor(loss, at, {"s": direction}, order)[order]
            return found[chosen]

        tensor = s.new_empty((len(s),) * order)
        for place in torch.cartesian_prod(*[torch.arange(len(s))] * order).reshape(-1, order).tolist():
            axes = sorted(place)
            subsets = ((size, each) for size in range(1, order + 1) for each in combinations(axes, size))
            tensor[tuple(place)] = sum((-1) ** (order - size) * along(each) for size, each in subsets)
        return tensor

    return derivative


UNCOMPILED = "remove compile=true"
UNDERIVED = "derivatives of this order are not to be had of it"

NESTED_REVERSE = Route("nested autograd.grad", _nested(reverse))
EAGER = (
    NESTED_REVERSE,
    Route("nested autograd.grad (is_grads_batched)", _nested(reverse, reverse_batched), orders=(2, None)),
    Route("nested func.vjp", _nested(pullback)),
    Route("nested func.jacrev", _nested(jacrev)),
    Route("func.jvp over func.vjp", _nested(pullback, forward), orders=(2, None)),
    Route("func.jacfwd over func.jacrev", _nested(jacrev, jacfwd), orders=(2, None)),
    Route("func.jacrev over func.jacfwd", _nested(jacfwd, jacrev), orders=(2, None)),
    Route("nested func.jvp", _nested(forward)),
    Route("nested func.jacfwd", _nested(jacfwd)),
    Route("Taylor series", _taylor, ours=(3, None), otherwise=UNDERIVED, mixes=True),
    Route("vmapped autograd.grad", lambda function, order: batched_points(function, order, COPIES)),
    Route("descend.derivatives.gradient", _descend_gradient, orders=(1, 1), ours=(1, 1)),
    Route("descend.derivatives.hessian", _descend_hessian, (2, 2), (2, 2), UNDERIVED),
    Route("descend.derivatives.derivative_tensor", _descend_tensor, (2, None), (2, None), UNDERIVED),
)


def traced_routes(backend: str | None) -> tuple[Route, ...]:
    """The routes of torch's users through make_fx and, with a backend, through `torch.compile`.

    They are slow, so they are tried at one point only; and to the second order, beyond which the graphs grow too large,
    or, without a backend, to the first.
    """
    orders = (1, 1 if backend is None else 2)
    traced = (
        Route("make_fx of autograd.grad", _traced, orders),
        Route("make_fx then vmap", _traced_and_vmapped, orders),
    )
    if backend is None:
        return traced
    compiled = Route("make_fx then compile", _compiled(backend), orders)
    return (*traced, compiled, Route("compile of func.grad", _compiled_untraced(backend), orders=(1, 1), draws=True))
