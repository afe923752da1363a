"""The curvature of each layer by itself."""

from dataclasses import dataclass, replace

from torch import Tensor

from descend.checks import check_number
from descend.derivatives.spectrum import spectrum
from descend.metrics.curvature.part import CurvaturePart, Event
from descend.types import Params, Total


@dataclass(frozen=True)
class Layers(CurvaturePart):
    """`curvature/layer/<name>`: the largest eigenvalue of a layer's diagonal block, all other parameters held fixed.

    A layer is what shares a name up to its last dot: `linear0` of `linear0.weight` and `linear0.bias`.

    Args:
        tolerance: relative error allowed, > 0.
    """

    tolerance: float = 1e-2

    def __post_init__(self) -> None:
        check_number(self, "tolerance", above=0)

    def __call__(self, seen: Event) -> dict[str, Tensor]:
        params = seen.observation.params
        layers: dict[str, Params] = {}
        for name, x in params.items():
            layers.setdefault(name.rpartition(".")[0] or name, {})[name] = x
        values = {}
        for layer, part in layers.items():
            product = seen.matrix.product(restricted(seen.total, params), part)
            found = spectrum(product, seen.generator, top=1, tolerance=self.tolerance)
            values[f"curvature/layer/{layer}"] = found.top.values[0]
        return values


def restricted(total: Total, params: Params) -> Total:
    """Return the total as a function of some of the parameters, the others held at `params`."""
    whole = total.composed
    composed = None if whole is None else replace(whole, outputs=lambda part: whole.outputs(params | part))
    return Total(lambda part: total.loss(params | part), composed)
