"""The Euler–Bernoulli beam."""

from dataclasses import dataclass

from torch import Tensor

from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution


@dataclass(frozen=True)
class Beam(Equation):
    """u⁗ = −1 on [0, 1], clamped at 0 (u = u′ = 0) and free at 1 (u″ = u‴ = 0): u = −x⁴/24 + x³/6 − x²/4."""

    variables = "x"
    domain = ((0.0, 1.0),)

    points: int = 64

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        return u(points, "u_xxxx") + 1

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        deflection, slope = u(self.face(x=0.0), "u", "u_x")
        moment, shear = u(self.face(x=1.0), "u_xx", "u_xxx")
        return {"deflection": deflection, "slope": slope, "moment": moment, "shear": shear}

    def exact(self, points: Tensor) -> Tensor:
        x = points[:, 0]
        return -(x**4) / 24 + x**3 / 6 - x**2 / 4
