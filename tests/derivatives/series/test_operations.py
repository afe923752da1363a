"""Ordinary torch code on series, operation by operation, against nested differentiation in the one variable t."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series import expand

Code = Callable[[Tensor], Tensor]
ORDER = 4
A = torch.tensor([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]], dtype=torch.float64)
B = torch.tensor([[0.9, 0.2], [-0.5, 0.8], [0.1, -1.3]], dtype=torch.float64)
IMAGE = torch.linspace(-1, 1, 2 * 2 * 5 * 5, dtype=torch.float64).reshape(2, 2, 5, 5)
KERNEL = torch.linspace(-0.5, 0.7, 3 * 2 * 2 * 2, dtype=torch.float64).reshape(3, 2, 2, 2)
CLASSES = torch.tensor([2, 0])
LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
MASK = torch.tensor([[True, False, True], [False, True, True]])

# x is [2, 3] and curved (all orders present) where the code says `x`.


def with_numpys_names(x: Any) -> Tensor:
    return x.sum(axis=0, keepdims=True) * x.mean(axis=1, keepdim=True) + torch.reshape(x, shape=(2, 3))


CODE: dict[str, Code] = {
    "add": lambda x: x + x.sum() + A + 2 + torch.add(A, x, alpha=3),
    "subtract": lambda x: (x - A) - (1 - x) - (A - x * x) - torch.sub(x, x.T.reshape(2, 3), alpha=2),
    "multiply": lambda x: 3 * x * A * (x + 1) * x[0] * A[:, :1] * x[:, 1:2],
    "divide": lambda x: A / (x + 9) + x / 3 + x / A + (x / (2 + x * x)) / x.sum(),
    "promotion": lambda x: x.float() * A.double() + 2 * x.sum() * torch.ones(2, 3),
    "powers": lambda x: x**0 + x**1 + x**5 + (x + 9) ** -2 + x.pow(2) + torch.square(x) + (x + 9) ** torch.tensor(1.5),
    "addcmul, lerp": lambda x: torch.addcmul(x, x, A, value=2) + torch.addcdiv(x, A, x + 9) + torch.lerp(x, A, x),
    "hypot, logaddexp": lambda x: torch.hypot(x + 3, A) + torch.logaddexp(x, A),
    "reshape": lambda x: x.reshape(3, 2).view(-1).unflatten(0, (3, 2)).flatten().view((2, 3)) * x,
    "transpose": lambda x: x.T @ x + x.t() @ A + x.mT @ A + x.transpose(0, -1) @ A + x.permute(1, 0) @ A,
    "squeeze": lambda x: x.unsqueeze(0).squeeze() + x.unsqueeze(-1).squeeze(-1) + x[None].squeeze(0).squeeze(0),
    "index": lambda x: x[0] + x[-1, 1:].sum() + x[..., 0].sum() + x[:, None, 2].sum() + x[1, 1],
    "advanced index": lambda x: x[:, [2, 0]].sum() + x[MASK] + x[torch.tensor([1, 0]), torch.tensor([2, 2])].sum(),
    "separated index": lambda x: x.expand(4, 2, 3)[torch.tensor([1, 0]), :, torch.tensor([2, 1])],
    "sum": lambda x: x.sum(0) + x.sum(-1, keepdim=True).sum() + x.sum((0, 1)) + torch.sum(x) + x[0, 0].sum(),
    "mean": lambda x: x.mean(0) + x.mean(dim=1).sum() + x.mean() + x[0, 0].mean(),
    "cat": lambda x: torch.cat([x, A, x * x], 1) + torch.stack([A, x * x, x]).sum() + torch.hstack([x[0], A[0]]).sum(),
    "pieces": lambda x: x.split(1)[1] + x.unbind(0)[0] * x.chunk(3, 1)[2].sum() + x.narrow(1, 0, 3)[:1],
    "gather": lambda x: (
        x.gather(1, torch.tensor([[2], [0]])) + x.index_select(1, torch.tensor([1])) + x.diagonal().sum()
    ),
    "scatter": lambda x: torch.zeros(2, 3).double().scatter_add(1, torch.tensor([[0, 0, 1], [1, 2, 2]]), x) * x,
    "masked": lambda x: x.masked_fill(MASK, 0.5) * x + torch.where(MASK, x, 0.0) + torch.where(MASK, A, x * x),
    "cumsum, pad": lambda x: F.pad(x.cumsum(1), (1, 1)).roll(1, 0).flip(1) + x.tril().sum() + x.diff(dim=1).sum(),
    "pad with a value": lambda x: F.pad(x * x, (1, 0), value=2.0) * F.pad(x, (1, 0), "constant", 0.5),
    "diff of an extended tensor": lambda x: x.diff(prepend=A[:, :1]) * x + torch.diff(A, append=x[:, :1] ** 2),
    "numpy's names": with_numpys_names,
    "matmul": lambda x: x @ B @ x + (A @ x.T) @ x + x[0] @ B @ x + x @ B[:, 0] @ x + x[1] @ x[0] + A[0] @ x.T @ x,
    "batched matmul": lambda x: (x.expand(2, 2, 3) @ B).bmm(x.expand(2, 2, 3)) + (x @ B.expand(2, 3, 2)).sum(),
    "stretched matmul": lambda x: (
        A[0] @ (x.T @ x) + torch.matmul(A, x.T.expand(4, 3, 2)).sum() + torch.mv(x, A[0]).sum()
    ),
    "linear": lambda x: F.linear(x, A, A[:, 0]) + F.linear(A, x, x[:, 0]) + F.linear(x, x) + F.linear(A[0], x).sum(),
    "addmm": lambda x: torch.addmm(x[:, :2], x, B, beta=2, alpha=3) + torch.addmm(B[:2], A, x.T),
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x) + torch.einsum("ij,jk,ik->ik", x, B, (x * x)[:, :2]),
    "outer": lambda x: torch.outer(x[0], x[1]) + torch.tensordot(x, x, dims=([0], [0])) + torch.inner(x.T, A.T),
    "conv": lambda x: F.conv2d(IMAGE * x[0, 0], KERNEL, x[0]) + F.conv2d(IMAGE, KERNEL * x.sum(), A[0]),
    "conv of two series": lambda x: F.conv2d(IMAGE * x[0, 0], KERNEL * x.sum() ** 2, stride=2).sum((0, 2, 3)),
    "conv_transpose1d": lambda x: F.conv_transpose1d(x[None], B[None, :2].expand(2, 2, 2).contiguous(), padding=1),
    "embedding": lambda x: F.embedding(torch.tensor([1, 0, 1]), x * x),
    "avg_pool2d": lambda x: F.avg_pool2d(IMAGE * x[0, 0] ** 2, 2) + F.adaptive_avg_pool2d(IMAGE * x[0, 1], 1),
    "fft": lambda x: torch.fft.irfft(torch.fft.rfft(x * x), 3),
    "relu": lambda x: F.relu(x) ** 2 + F.leaky_relu(x) * x + torch.abs(x) * x + F.relu6(9 * x) + F.hardtanh(x * x),
    "prelu": lambda x: F.prelu(x, x[0]) + F.threshold(x, 0.1, 3.0) * x,
    "clamp": lambda x: x.clamp(-0.5, 0.6) * x + torch.clamp(x, max=A) + x.clamp_min(0.2) * x.clamp_max(0.9),
    "maximum": lambda x: (
        torch.maximum(x * x, A) + torch.minimum(x, A) * x + x.amax(1, keepdim=True) + x.min() * x.max()
    ),
    "max along": lambda x: x.max(1).values * x.min(1, keepdim=True)[0].sum() + torch.max(x * x, A).sum(),
    "sort": lambda x: x.sort(1).values * x + x.topk(2, 1)[0].sum() * x,
    "prod": lambda x: x.prod() + x.prod(1) + x.prod(0, keepdim=True).sum(),
    "var": lambda x: x.var() + x.var(1) + x.std(0).sum() + torch.var(x, dim=1, correction=0, keepdim=True).sum(),
    "norm": lambda x: x.norm() + x.norm(dim=1) + torch.linalg.vector_norm(x, 3) + x.norm(p=1) + x.norm(p=math.inf),
    "normalize": lambda x: F.normalize(x * x + 1, dim=1),
    "softmax": lambda x: (
        torch.softmax(x, 1) * F.log_softmax(x * x, 0) + x.logsumexp(1, keepdim=True) + F.softmax(x, -1)
    ),
    "elu": lambda x: F.elu(x) * F.celu(x, 0.5) + F.selu(x) * F.softsign(x) + F.tanhshrink(x),
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh") + F.glu(torch.cat([x, x * x], 1), 1) + torch.special.ndtr(x),
    "softplus": lambda x: F.softplus(x * x, beta=2.0, threshold=1.5) + F.softplus(40 * x.detach() + x),
    "mse_loss": lambda x: F.mse_loss(x, A) + F.mse_loss(x, x * x, reduction="none") + F.l1_loss(x, A, reduction="sum"),
    "huber": lambda x: F.huber_loss(x, A) + F.smooth_l1_loss(x * x, A, beta=0.5),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, LABELS) + F.binary_cross_entropy(torch.sigmoid(x), LABELS),
    "bce weights": lambda x: F.binary_cross_entropy_with_logits(x, LABELS, weight=A + 2, pos_weight=A[0] + 2),
    "cross_entropy": lambda x: (
        F.cross_entropy(x, CLASSES) + F.cross_entropy(x, CLASSES, weight=A[0] + 2, reduction="none")
    ),
    "cross_entropy, smoothed": lambda x: F.cross_entropy(x, CLASSES, label_smoothing=0.1) + F.cross_entropy(x, LABELS),
    "group_norm": lambda x: F.group_norm(
        x.T.reshape(1, 6) * IMAGE[0, 0, 0, :3].repeat(2) + 1, 2, A.flatten(), A.flatten()
    ),
    "rms_norm": lambda x: F.rms_norm(x, (3,), x[0]),
    "inverse": lambda x: torch.linalg.inv(x @ x.T + torch.eye(2, dtype=torch.float64)),
    "logdet": lambda x: torch.logdet(x @ x.T + torch.eye(2, dtype=torch.float64)) * x,
    "python": lambda x: (
        (x * x if x.sum() > 0 else x) * float(x.detach()[0, 0]) * len(x) * x.shape[1] * x.size(0) * x.numel()
    ),
    "constants": lambda x: x * torch.sign(x) * (x > 0) + x.detach() * x + x.data + torch.zeros_like(x) + x.new_ones(3),
    "keywords": lambda x: (
        torch.mul(input=x, other=x) + F.linear(input=x, weight=A, bias=None).sum() + torch.sum(input=x, dim=0)
    ),
}


def curved(code: Code) -> Code:
    """`code` of a point that itself bends, so that no row of its series is zero."""
    return lambda x: code(x + x * x * A / 3)


def nested(function: Code, x: Tensor, d: Tensor, order: int) -> Tensor:
    """Coefficients [order + 1, *shape], one reverse pass for each entry and order."""
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    value = function(x + t * d)
    columns = []
    for entry in value.reshape(-1):
        column = [entry]
        for k in range(1, order + 1):
            known = column[-1].requires_grad
            slope = torch.autograd.grad(column[-1], t, create_graph=True, allow_unused=True)[0] if known else None
            column.append(torch.zeros_like(t) if slope is None else slope / k)
        columns.append(torch.stack(column))
    return torch.stack(columns, 1).reshape(order + 1, *value.shape).detach()


POINT = torch.tensor([[0.4, -0.7, 1.3], [-0.2, 0.9, 0.5]], dtype=torch.float64)
DIRECTION = torch.tensor([[0.8, 0.3, -0.5], [1.1, -0.9, 0.6]], dtype=torch.float64)


@pytest.mark.parametrize("bend", [curved, lambda code: code], ids=["curved", "straight"])
@pytest.mark.parametrize("name", CODE)
def test_operation_agrees_with_nested_differentiation(name: str, bend: Callable[[Code], Code]) -> None:
    function = bend(CODE[name])
    exact = nested(function, POINT, DIRECTION, ORDER)
    value = expand(function, POINT, DIRECTION, ORDER)
    assert value.dtype == exact.dtype
    assert value.shape == exact.shape
    # "promotion" passes through float32.
    torch.testing.assert_close(value, exact, rtol=1e-5 if name == "promotion" else 1e-11, atol=1e-11)


@pytest.mark.parametrize(
    "name", ["matmul", "multiply", "cat", "conv of two series", "sort", "inverse", "softmax", "index"]
)
def test_operation_can_be_differentiated_in_point_and_direction(name: str) -> None:
    function = curved(CODE[name])
    inputs = POINT.clone().requires_grad_(), DIRECTION.clone().requires_grad_()
    torch.autograd.gradcheck(lambda x, d: expand(function, x, d, 3), inputs)
