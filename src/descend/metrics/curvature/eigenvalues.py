"""The extreme eigenvalues."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.curvature.part import CurvaturePart, Event


@dataclass(frozen=True)
class Eigenvalues(CurvaturePart):
    """`curvature/top/0` is the largest eigenvalue, `curvature/bottom/0` the smallest."""

    def __call__(self, seen: Event) -> dict[str, Tensor]:
        ends = {"top": seen.spectrum.top.values, "bottom": seen.spectrum.bottom.values}
        return {f"curvature/{end}/{i}": value for end, values in ends.items() for i, value in enumerate(values)}
