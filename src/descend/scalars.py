"""Arithmetic on numbers, with one formula for Python floats and for 0-d float64 tensors: both give the same bits.

A method's numbers are Python floats or 0-d tensors, and a trajectory amplifies the last bit in which they differ. Sums,
differences, products and comparisons are the same on both sides, so they are written plainly. For everything else a
number becomes a tensor first, and one torch operation follows, square roots too: MKL does not round them as IEEE 754
asks and `math.sqrt` does (1 in 80 differs, seen with AVX-512). `pow` is not among them: torch rounds it differently in
a full vector and in its tail, so that a run would depend on its place in a stack.
"""

import torch
from torch import Tensor

Scalar = float | Tensor


def is_zero(x: Scalar) -> bool:
    """Tell whether a term is switched off for good; a tensor never is, its value being unknown while tracing."""
    return not isinstance(x, Tensor) and x == 0


def real(x: Scalar) -> Tensor:
    """x as a float64 tensor, on the CPU if it was a Python number."""
    return x.to(torch.float64) if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64, device="cpu")


def cast(number: Scalar, x: Tensor) -> Tensor:
    """The number as a tensor of the precision and device of x: a float64 one would widen an x of shape []."""
    return torch.as_tensor(number, dtype=x.dtype, device=x.device)


def ratio(x: Scalar, y: Scalar) -> Tensor:
    """x / y; of a Python number over a tensor torch itself makes x · (1 / y)."""
    return real(x) / real(y)


def at_least(x: Scalar, bound: float) -> Tensor:
    """max(x, bound)."""
    return real(x).clamp(min=bound)


def larger(x: Scalar, y: Scalar) -> Tensor:
    """max(x, y)."""
    return torch.maximum(real(x), real(y))


def smaller(x: Scalar, y: Scalar) -> Tensor:
    """min(x, y)."""
    return torch.minimum(real(x), real(y))


def cosine(x: Scalar) -> Tensor:
    """cos x, x in radians."""
    return real(x).cos()


def root(x: Scalar) -> Tensor:
    """√x, NaN below 0."""
    return real(x).sqrt()


def power(base: Scalar, exponent: Scalar) -> Tensor:
    """base^exponent for a base above 0, as exp(exponent · log base): exactly 1 for the exponent 0."""
    return (exponent * real(base).log()).exp()
