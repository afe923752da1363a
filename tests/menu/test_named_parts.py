"""Parts that stand under any name: each must be a class of its kind, or null."""

import pytest

from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.metrics.curvature.curvature import Curvature
from descend.metrics.curvature.spread import Spread
from descend.metrics.histogram import MOST_BINS, ParameterHistogram

CURVATURE = ["objective=rosenbrock", "metrics=curvature", "derivatives=second"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("metrics.curvature.parts.overlap._target_=builtins.dict", "only a subclass of .*Part can stand there"),
        ("metrics.curvature.parts.eigenvalues._target_=os.getcwd", "only a subclass of .*Part can stand there"),
        ("+metrics.curvature.parts.sprea.probes=1", "parts.sprea is {'probes': 1}, but it must name a class"),
        ("metrics.curvature.parts.spread=3", "parts.spread"),
        (f"metrics.curvature.parts.spread.bins={2**63 - 1}", "bins is .*at most 100000"),
    ],
)
def test_a_part_of_another_kind_is_refused(override: str, said: str) -> None:
    overrides = [*CURVATURE, override]
    with pytest.raises(ConfigurationError, match=said):
        build(compose(overrides), overrides)


def test_a_part_may_be_left_out() -> None:
    overrides = [*CURVATURE, "metrics.curvature.parts.spread=null"]
    curvature = build(compose(overrides), overrides).metrics["metrics.curvature"]
    assert isinstance(curvature, Curvature)
    assert curvature.parts["spread"] is None


@pytest.mark.parametrize("kind", [Spread, ParameterHistogram])
def test_bins_are_bounded(kind: type) -> None:
    assert kind(bins=MOST_BINS).bins == MOST_BINS
    with pytest.raises(ConfigurationError, match="bins is 100001, but it must be at least 1 and at most 100000"):
        kind(bins=MOST_BINS + 1)
