"""Activations of neural networks, rewritten in functions that have a series."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series.elementwise import logaddexp
from descend.derivatives.series.rules import decomposition, functions_named


@decomposition(*functions_named("silu"))
def silu(x: Tensor, inplace: bool = False) -> Tensor:
    """x σ(x)."""
    return x * torch.sigmoid(x)


@decomposition(*functions_named("ndtr"))
def ndtr(x: Tensor) -> Tensor:
    """Φ(x) = (1 + erf(x / √2)) / 2."""
    return 0.5 * torch.erf(x * math.sqrt(0.5)) + 0.5


@decomposition(*functions_named("gelu"))
def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), or the approximation by tanh of Hendrycks & Gimpel (2016), § 2."""
    if approximate == "none":
        return x * torch.special.ndtr(x)
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@decomposition(*functions_named("logsigmoid"))
def logsigmoid(x: Tensor) -> Tensor:
    """−log(1 + e^(−x))."""
    return -logaddexp(-x, 0.0)


@decomposition(*functions_named("mish"))
def mish(x: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x))."""
    return x * torch.tanh(F.softplus(x))


@decomposition(*functions_named("softsign"))
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return x / (1 + torch.abs(x))


@decomposition(*functions_named("tanhshrink"))
def tanhshrink(x: Tensor) -> Tensor:
    """x − tanh x."""
    return x - torch.tanh(x)


@decomposition(*functions_named("elu"))
def elu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha (eˣ − 1) below."""
    return torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0)))


@decomposition(*functions_named("celu"))
def celu(x: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x above 0, alpha (e^(x/alpha) − 1) below."""
    return torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0) / alpha))


@decomposition(*functions_named("selu"))
def selu(x: Tensor, inplace: bool = False) -> Tensor:
    """scale · elu(x), with the two constants of Klambauer et al. (2017), eq. 14."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


@decomposition(*functions_named("glu"))
def glu(x: Tensor, dim: int = -1) -> Tensor:
    """a σ(b) for the two halves of x."""
    a, b = torch.chunk(x, 2, dim)
    return a * torch.sigmoid(b)


@decomposition(*functions_named("dropout"))
def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """One mask for all coefficients, drawn as torch draws it."""
    return x * F.dropout(torch.ones_like(x), p, training) if training else x


@decomposition(*functions_named("logsumexp"))
def logsumexp(x: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """m + log Σ e^(x − m), m the greatest entry."""
    greatest = torch.amax(x.detach(), dim, keepdim=True).nan_to_num(0.0, 0.0, 0.0)
    value = torch.log(torch.exp(x - greatest).sum(dim, keepdim=True)) + greatest
    return value if keepdim else value.squeeze(dim)


@decomposition(*functions_named("softmax"))
def softmax(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """eˣ / Σ eˣ along an axis; dim=None is left to torch."""
    if dim is None:
        return NotImplemented
    x = x if dtype is None else x.to(dtype)
    weights = torch.exp(x - torch.amax(x.detach(), dim, keepdim=True))
    return weights / weights.sum(dim, keepdim=True)


@decomposition(*functions_named("log_softmax"))
def log_softmax(x: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """x − logsumexp(x) along an axis; dim=None is left to torch."""
    if dim is None:
        return NotImplemented
    x = x if dtype is None else x.to(dtype)
    return x - torch.logsumexp(x, dim, keepdim=True)


@decomposition(*functions_named("scaled_dot_product_attention"))
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q kᵀ scale + mask) v, Vaswani et al. (2017), eq. 1."""
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return F.dropout(torch.softmax(scores, -1), dropout_p, dropout_p > 0) @ value
