"""Derivatives that are known to be wrong in torch 2.13, each with an example that shows it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from descend.audit.judge import judge
from descend.audit.routes import EAGER, NESTED_REVERSE, traced_routes
from descend.audit.subspace import Function, Restricted
from descend.audit.uses import Uses
from descend.audit.verdict import Judged, Mark
from descend.graph.compat import fused_weight_norm
from descend.ops.log import Log
from descend.ops.straight_through_round import StraightThroughRound

NESTED_FORWARD = ("nested func.jvp", "nested func.jacfwd")
FORWARD_FIRST = (*NESTED_FORWARD, "func.jacrev over func.jacfwd")
VMAPPED_REVERSE = ("nested func.jacrev", "func.jacfwd over func.jacrev")
UNTRACED = ("compile of func.grad",)
BATCHED = ("vmapped autograd.grad",)
REVERSE = ("nested autograd.grad", "nested autograd.grad (is_grads_batched)", "nested func.vjp")
TRACED = ("make_fx of autograd.grad", "make_fx then vmap", "make_fx then compile")
FORWARD_LAST = ("func.jvp over func.vjp",)
FIRST_ORDER = (
    "nested autograd.grad",
    "nested func.vjp",
    "nested func.jacrev",
    *NESTED_FORWARD,
    *BATCHED,
    *TRACED,
    *UNTRACED,
)

CUSTOM = "autograd.Function"
_AT = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64, device="cpu")
"""Where the examples show their fault."""


@dataclass(frozen=True)
class KnownFault:
    """A fault of torch's own.

    Attributes:
        effect: what happens, to follow "torch: ".
        source: the issue in pytorch's tracker; empty where it was measured here.
        order: the lowest order at which it shows.
        routes: those whose results it makes wrong.
        examples: by the ATen operator it is a fault of, or CUSTOM, a function of a vector [3] that shows it at `order`.
        shows: the verdicts it leads to.
        by_design: whether the examples' derivative differs from that of their values on purpose.
    """

    effect: str
    source: str
    order: int
    routes: tuple[str, ...]
    examples: dict[str, Function]
    shows: tuple[Mark, ...] = (Mark.WRONG,)
    by_design: bool = False

    def may_affect(self, used: Uses) -> bool:
        """Whether it may affect a function made of `used`."""
        return bool(used.operators & self.examples.keys()) or (CUSTOM in self.examples and bool(used.functions))

    def explains(self, found: Judged) -> bool:
        """Whether it explains the verdict on a route."""
        return found.verdict in self.shows and found.order >= self.order and found.route in self.routes

    def reproduce(self, operator: str) -> list[Judged]:
        """The verdicts on its routes for the example: torch has fixed the fault when it explains none of them."""
        every = (*EAGER, *traced_routes("eager"))
        routes = [route for route in every if route is NESTED_REVERSE or route.name in self.routes]
        at = _AT.clone()
        coordinates = torch.eye(len(at), dtype=at.dtype, device=at.device)
        example = Restricted(lambda params: self.examples[operator](params["s"]), {"s": at}, coordinates)
        found = judge(example, self.order, routes, self.by_design)
        return [each for each in found if each.order == self.order and each.route in self.routes]

    def __str__(self) -> str:
        return f"torch: {self.effect}" + (f" ({self.source})." if self.source else ".")


def faults_in(used: Uses) -> tuple[KnownFault, ...]:
    """The known faults that may affect a function made of `used`."""
    return tuple(fault for fault in KNOWN_FAULTS if fault.may_affect(used))


def _matrix(s: Tensor) -> Tensor:
    """A well-conditioned matrix [3, 3] that depends on every s."""
    return torch.outer(s, s.flip(0)) + torch.diag(2 + torch.sin(s))


def _rows(s: Tensor) -> Tensor:
    """[4, 3], so that rows and columns have a variance."""
    return torch.sin(torch.outer(torch.arange(1, 5, dtype=s.dtype, device=s.device), s))


def _through(normalise: Callable[[Tensor, Tensor], Tensor]) -> Function:
    return lambda s: torch.tanh(normalise(_rows(s), 1 + s)).square().sum()


def _of_matrix(function: Function) -> Function:
    return lambda s: function(_matrix(s))


def _triangle(s: Tensor) -> Tensor:
    """A lower triangular matrix [3, 3] with a positive diagonal."""
    return torch.tril(_matrix(s))


def _weighted(x: Tensor) -> Tensor:
    """Σ i x_i: every entry counts, and each differently."""
    return x.flatten() @ torch.arange(1.0, x.numel() + 1, dtype=x.dtype, device=x.device)


def _reflections(s: Tensor) -> Tensor:
    return _weighted(torch.linalg.householder_product(_rows(s)[:3, :2] / 3, torch.sin(s[:2] + 1)))


def _two_triangles(s: Tensor) -> Tensor:
    zero, one = torch.zeros_like(s[0]), torch.ones_like(s[0])
    factors = torch.stack([2 * one, zero, s[0] - 7, 3 * one, 3 * one, zero, 2 * s[1] + 1, 2 * one]).reshape(2, 2, 2)
    right = torch.tensor([[1.0, 2.0], [-1.0, 3.0]], dtype=s.dtype, device=s.device)
    return _weighted(torch.cholesky_solve(right, factors)) + s[2] ** 2


def _unitriangular(s: Tensor) -> Tensor:
    return _weighted(torch.triangular_solve(s[:, None], _matrix(s), upper=True, unitriangular=True)[0])


def _with_a_zero(s: Tensor) -> Tensor:
    """Factors of which the third is zero at s₀ = 0.3."""
    return torch.stack([s[0], s[1], s[0] - 0.3, s[1] + s[2], s[2] * s[0]])


def _scattered_product(s: Tensor) -> Tensor:
    """Two factors go to the first entry: (s₀ + 2)(sin s₀ + 3)(sin s₁ + 3), and one to the third."""
    places = torch.tensor([0, 0, 2], device=s.device)
    return _weighted(torch.scatter_reduce(s + 2, 0, places, torch.sin(s) + 3, "prod"))


def _cumulated(s: Tensor) -> Tensor:
    return _weighted(torch.logcumsumexp(torch.cat([s - 400, s]), 0))


def _normed_weight(s: Tensor) -> Tensor:
    rows = _rows(s)
    return torch.exp(rows * fused_weight_norm(rows, 1 + rows[:, :1], 0)).sum()


class _Once(torch.autograd.Function):
    """x², whose backward is marked once_differentiable."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * ctx.saved_tensors[0] * gradient


class _Keeps(torch.autograd.Function):
    """x³, whose backward 3x² takes a part from x² as the forward left it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.square = x * x
        ctx.save_for_backward(x)
        return x * ctx.square

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (ctx.square + 2 * x * x)


def _attention(s: Tensor) -> Tensor:
    tokens = _rows(s)[None, None]
    return F.scaled_dot_product_attention(tokens, tokens, tokens).sum()


def _rest_of_stirling(s: Tensor) -> Tensor:
    """digamma without the start of Stirling's series: the derivative, a small difference, shows errors tenfold."""
    x = 1.3 + s / 10
    return (torch.digamma(x) - torch.log(x) + 1 / (2 * x)).sum()


NORMALISATIONS = {
    "native_layer_norm": _through(lambda x, weight: F.layer_norm(x, weight.shape, weight, weight)),
    "native_batch_norm": _through(lambda x, weight: F.batch_norm(x, None, None, weight, weight, training=True)),
}
LINEAR_ALGEBRA = {
    "_linalg_det": _of_matrix(torch.linalg.det),
    "_linalg_slogdet": _of_matrix(torch.logdet),
    "_linalg_solve_ex": lambda s: torch.linalg.solve(_matrix(s), s).sum(),
}
FUSED_ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"

KNOWN_FAULTS = (
    KnownFault(
        "the second derivative of layer norm with weights, and of batch and instance norm in training, is wrong by "
        "func.hessian, and by jacrev of jacrev",
        "",
        order=2,
        routes=VMAPPED_REVERSE,
        examples=NORMALISATIONS,
    ),
    KnownFault(
        "the second derivative of layer, batch and instance norm is wrong by nested forward mode",
        "pytorch#198017, #196699, #196700",
        order=2,
        routes=FORWARD_FIRST,
        examples=NORMALISATIONS,
    ),
    KnownFault(
        "the third derivative of layer, batch and instance norm is wrong by every route of torch's; "
        "descend.derivatives computes it from sums and products",
        "pytorch#175754, #186256",
        order=3,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *BATCHED),
        examples=NORMALISATIONS,
    ),
    KnownFault(
        "the second derivative of det, slogdet, logdet and solve is wrong by nested forward mode",
        "pytorch#198017, #192540, #196695, #196696, #196697",
        order=2,
        routes=FORWARD_FIRST,
        examples=LINEAR_ALGEBRA,
    ),
    KnownFault(
        "the second derivative through a custom autograd.Function is wrong by nested forward mode",
        "pytorch#197867",
        order=2,
        routes=NESTED_FORWARD,
        examples={CUSTOM: lambda s: Log()(2 + s).sum()},
    ),
    KnownFault(
        "the third derivative through a custom autograd.Function is wrong by reverse over nested forward mode",
        "pytorch#197867",
        order=3,
        routes=("func.jacrev over func.jacfwd",),
        examples={CUSTOM: lambda s: Log()(2 + s).sum()},
    ),
    KnownFault(
        "compiling func.grad, jacrev, jvp or hessian drops the backward, or jvp, of a custom autograd.Function, or "
        "raises; trace with make_fx first",
        "pytorch#193279, #192985",
        order=1,
        routes=UNTRACED,
        examples={CUSTOM: lambda s: StraightThroughRound()(s).square().sum()},
        shows=(Mark.WRONG, Mark.RAISES),
        by_design=True,
    ),
    KnownFault(
        "fused attention has no second derivative; use torch.nn.attention.sdpa_kernel(SDPBackend.MATH)",
        "",
        order=2,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *TRACED),
        examples={FUSED_ATTENTION: _attention},
        shows=(Mark.RAISES,),
    ),
    KnownFault(
        "cdist has no second derivative; write the distance with sums and a square root",
        "",
        order=2,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *TRACED, *BATCHED),
        examples={"_cdist_forward": lambda s: torch.cdist(_rows(s), _matrix(s)).sum()},
        shows=(Mark.RAISES,),
    ),
    KnownFault(
        "celu with an alpha whose inverse float32 cannot hold has a first derivative off by 1e-8 in float64, by every "
        "route of torch's",
        "",
        order=1,
        routes=FIRST_ORDER,
        examples={"celu": lambda s: F.celu(s - 2, 0.7).sum()},
    ),
    KnownFault(
        "the derivative of digamma, polygamma(1, x), is good to 5e-10 only in float64",
        "",
        order=1,
        routes=FIRST_ORDER,
        examples={"digamma": _rest_of_stirling},
    ),
    KnownFault(
        "group norm's second derivative raises with is_grads_batched; descend takes a vector at a time there",
        "",
        order=2,
        routes=("nested autograd.grad (is_grads_batched)",),
        examples={"native_group_norm": _through(lambda x, weight: F.group_norm(x, 1, weight, weight))},
        shows=(Mark.RAISES,),
    ),
    KnownFault(
        "the second derivative through weight_norm is wrong by reverse over reverse, which holds the norms constant; "
        "descend.derivatives computes it from products and square roots",
        "",
        order=2,
        routes=(*REVERSE, "nested func.jacrev", *BATCHED),
        examples={"_weight_norm_interface": _normed_weight},
    ),
    KnownFault(
        "the first derivative of cholesky_inverse is wrong by forward mode",
        "pytorch#196682",
        order=1,
        routes=NESTED_FORWARD,
        examples={"cholesky_inverse": lambda s: _weighted(torch.cholesky_inverse(_triangle(s)))},
    ),
    KnownFault(
        "the second derivative of cholesky_inverse is wrong wherever forward mode takes part",
        "pytorch#196682",
        order=2,
        routes=(*FORWARD_LAST, "func.jacfwd over func.jacrev", "func.jacrev over func.jacfwd"),
        examples={"cholesky_inverse": lambda s: _weighted(torch.cholesky_inverse(_triangle(s)))},
    ),
    KnownFault(
        "the first derivative of cholesky_solve by its factor is wrong by forward mode",
        "pytorch#196694",
        order=1,
        routes=NESTED_FORWARD,
        examples={"cholesky_solve": _two_triangles},
    ),
    KnownFault(
        "the second derivative of ‖x‖², written by the norm, is 0 or NaN where x is 0; write x.square().sum()",
        "pytorch#92075",
        order=2,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *BATCHED),
        examples={"linalg_vector_norm": lambda s: torch.exp(-(torch.linalg.vector_norm(s - _AT) ** 2))},
    ),
    KnownFault(
        "the first derivative of triangular_solve with unitriangular=True is wrong by forward mode: it differentiates "
        "the diagonal, which is ignored",
        "pytorch#196707",
        order=1,
        routes=NESTED_FORWARD,
        examples={"triangular_solve": _unitriangular},
    ),
    KnownFault(
        "the second derivative of householder_product is wrong by nested forward mode",
        "pytorch#196698",
        order=2,
        routes=FORWARD_FIRST,
        examples={"linalg_householder_product": _reflections},
    ),
    KnownFault(
        "the second derivative of cumprod is wrong by nested forward mode where a factor is zero",
        "pytorch#196701",
        order=2,
        routes=FORWARD_FIRST,
        examples={"cumprod": lambda s: _weighted(torch.cumprod(_with_a_zero(s), 0))},
    ),
    KnownFault(
        "the derivative of scatter_reduce by prod is 0 by forward mode, as if nothing depended on the parameters",
        "pytorch#196702",
        order=1,
        routes=NESTED_FORWARD,
        examples={"scatter_reduce": _scattered_product},
    ),
    KnownFault(
        "the second derivative of scatter_reduce by prod is wrong wherever forward mode takes part",
        "pytorch#196702",
        order=2,
        routes=(*FORWARD_LAST, "func.jacfwd over func.jacrev", *FORWARD_FIRST),
        examples={"scatter_reduce": _scattered_product},
    ),
    KnownFault(
        "the first derivative of logcumsumexp is wrong by forward mode where entries are far apart",
        "pytorch#196705",
        order=1,
        routes=NESTED_FORWARD,
        examples={"logcumsumexp": _cumulated},
    ),
    KnownFault(
        "the second derivative of det is NaN by func, and in a trace, where singular values are equal",
        "pytorch#192521",
        order=2,
        routes=("nested func.vjp", *VMAPPED_REVERSE, *FORWARD_LAST, *TRACED),
        examples={"_linalg_det": lambda s: torch.linalg.det(torch.diag(s - _AT + 1))},
    ),
    KnownFault(
        "the second derivative of logaddexp is NaN, by every route of torch's, where one argument is 710 above the "
        "other (89 in float32); descend.derivatives computes it otherwise",
        "",
        order=2,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *BATCHED),
        examples={"logaddexp": lambda s: torch.logaddexp(s, 800 - s).sum()},
    ),
    KnownFault(
        "the second derivative of sinc is NaN at 0 by every route of torch's; descend.derivatives has its power series",
        "pytorch#196703",
        order=2,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *BATCHED),
        examples={"sinc": lambda s: torch.sinc(s - 0.3).sum()},
    ),
    KnownFault(
        "the third derivative of i1, and the fourth of i0, is 0 at 0 by every route of torch's, and should be 3/8",
        "",
        order=3,
        routes=(*REVERSE, *VMAPPED_REVERSE, *FORWARD_LAST, *FORWARD_FIRST, *BATCHED),
        examples={"special_i1": lambda s: torch.special.i1(s - 0.3).sum()},
    ),
    KnownFault(
        "the second derivative through a backward marked once_differentiable is 0 by reverse mode at given inputs, "
        "without a word; descend.derivatives refuses it",
        "",
        order=2,
        routes=(*REVERSE, "nested func.jacrev", *BATCHED),
        examples={CUSTOM: lambda s: _Once.apply(s).sum()},
    ),
    KnownFault(
        "the second derivative through a backward that uses what forward computed on its way is wrong: what was kept "
        "counts as a constant; compute it anew in backward, or return it as an output",
        "pytorch#76185, #104040",
        order=2,
        routes=("nested autograd.grad", "nested autograd.grad (is_grads_batched)", *TRACED),
        examples={CUSTOM: lambda s: _Keeps.apply(s).sum()},
    ),
)
