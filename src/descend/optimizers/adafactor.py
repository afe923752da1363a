"""Adafactor: second moments by rows and columns."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number, check_value
from descend.errors import ConfigurationError
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.scalars import cast, power, ratio, real, root, smaller
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """R ← lerp(R, mean of g² by row, t^c), C the same by column, V = R C / mean R, u = g / √V,

    x ← (1 − lr · λ)x − max(ε₂, RMS(x)) min(lr, 1/√t) · u / max(1, RMS(u)/d), with RMS(x) = ‖x‖ / √n. Of a parameter
    of more than two dimensions, rows and columns are the last two; of a vector or number, V ← lerp(V, g², t^c).

    Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost" (ICML 2018), Algorithms 4 and 5.
    The form, names and defaults are those of torch.optim.Adafactor: no V is less than ε₁².

    Args:
        lr: largest relative learning rate, > 0.
        beta2_decay: c ≤ 0.
        eps: ε₁ ≥ 0, or None for the rounding error of the precision; and ε₂ ≥ 0, the least RMS of a parameter.
        d: largest RMS of an update, ≥ 1.
        weight_decay: λ ≥ 0, decoupled.
    """

    lr: float = 1e-2
    beta2_decay: float = -0.8
    eps: tuple[float | None, float] = (None, 1e-3)
    d: float = 1.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "beta2_decay", at_most=0)
        check_number(self, "d", at_least=1)
        check_number(self, "weight_decay", at_least=0)
        if isinstance(self.eps, str) or not hasattr(self.eps, "__len__") or len(self.eps) != 2:
            raise ConfigurationError(
                f"Adafactor.eps is {self.eps!r}, but it must be a pair of numbers; write [null, b]."
            )
        for i, value in enumerate(self.eps):
            if i or value is not None:
                check_value(f"Adafactor.eps[{i}]", value, at_least=0)
        object.__setattr__(self, "eps", tuple(self.eps))

    def init(self, params: Params) -> State:
        def zeros(x: Tensor, axis: int) -> Tensor:
            return torch.zeros_like(x.select(axis, 0)).unsqueeze(axis)

        return {
            "rows": {name: zeros(x, -1) for name, x in params.items() if x.dim() > 1},
            "columns": {name: zeros(x, -2) for name, x in params.items() if x.dim() > 1},
            "second": {name: torch.zeros_like(x) for name, x in params.items() if x.dim() <= 1},
            "step": 0.0,
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        step = real(state["step"] + 1)
        weight = power(step, self.beta2_decay)
        rate = smaller(self.lr, ratio(1, root(step)))
        new: Params = {}
        after: State = {"rows": {}, "columns": {}, "second": {}, "step": state["step"] + 1}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            g = gradients[name]
            square, first = g * g, torch.finfo(x.dtype).eps if self.eps[0] is None else self.eps[0]
            if x.dim() > 1:
                rows = after["rows"][name] = interpolated(state["rows"][name], square.mean(-1, keepdim=True), weight)
                columns = after["columns"][name] = interpolated(
                    state["columns"][name], square.mean(-2, keepdim=True), weight
                )
                square = rows * columns / torch.maximum(rows.mean(-2, keepdim=True), cast(first, x))
            else:
                square = after["second"][name] = interpolated(state["second"][name], square, weight)
            update = g * torch.maximum(square, cast(first * first, x)).rsqrt()
            scale = torch.maximum(rms(params[name]), cast(self.eps[1], x))
            shortened = (rms(update) / cast(self.d, x)).clamp(min=1)
            new[name] = add_scaled(x, update, -rate * real(scale / shortened))
        return new, after


def interpolated(average: Tensor, new: Tensor, weight: Tensor) -> Tensor:
    """(1 − weight) · average + weight · new."""
    return torch.lerp(average, new, cast(weight, new))


def rms(x: Tensor) -> Tensor:
    """Return the root mean square of the entries, []."""
    return torch.linalg.vector_norm(x) / x.numel() ** 0.5
