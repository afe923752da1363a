"""The step of a spiking neuron, with a smooth stand-in for its derivative."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.checks import check_number
from descend.ops.elementwise import Elementwise
from descend.ops.op import Op, scalar_like


class _Spike(Elementwise):
    @staticmethod
    def forward(x: Tensor, slope: Tensor) -> Tensor:
        return (x > 0).to(x.dtype)

    @staticmethod
    def derivative(x: Tensor, y: Tensor, slope: Tensor) -> Tensor:
        return (slope * x.abs() + 1) ** -2


@dataclass(frozen=True)
class Spike(Op):
    """y = 1 where x > 0, else 0; its derivative is taken to be 1 / (`slope`·|x| + 1)².

    The surrogate gradient of Neftci, Mostafa & Zenke 2019, "Surrogate Gradient Learning in Spiking Neural Networks",
    the fast sigmoid's derivative (Zenke & Ganguli 2018, SuperSpike). Their code has slope 100 for membrane potentials
    near the threshold; 10 lets gradients through activations of order 1.
    """

    slope: float = 10.0

    declines_gradcheck: ClassVar[str | None] = (
        "The derivative of a step is 0 almost everywhere; a surrogate gradient puts a bump in its place by design."
    )

    def __post_init__(self) -> None:
        check_number(self, "slope", above=0)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def __call__(self, x: Tensor) -> Tensor:
        return _Spike.apply(x, scalar_like(self.slope, x))
