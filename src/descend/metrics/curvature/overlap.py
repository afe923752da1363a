"""How much of the gradient lies where the curvature is large."""

from dataclasses import dataclass

from torch import Tensor

from descend.derivatives.flat import ravel
from descend.metrics.curvature.part import CurvaturePart, Event
from descend.vectors import quotient


@dataclass(frozen=True)
class Overlap(CurvaturePart):
    """`curvature/gradient_overlap`: ‖P g‖² / ‖g‖², P the projector on the top eigenvectors, g the step's gradient.

    Near 1 gradient descent moves in few directions (Gur-Ari, Roberts, Dyer, "Gradient descent happens in a tiny
    subspace", 2018); by chance it would be about top / n. 0 where the gradient is.
    """

    def __call__(self, seen: Event) -> dict[str, Tensor]:
        flat = ravel(seen.observation.gradients)
        square = flat @ flat
        inside = (seen.spectrum.top.vectors @ flat).square().sum()
        return {"curvature/gradient_overlap": quotient(inside, square)}
