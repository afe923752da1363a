"""When numbers are shown by their logarithms."""

import numpy as np

MANY_DECADES = 20
"""Numbers that span a larger factor than this stand on a logarithmic axis."""


def spans_decades(values: np.ndarray) -> bool:
    """Tell whether numbers are positive and span a large factor; those that are not finite are not looked at."""
    finite = values[np.isfinite(values)]
    return finite.size > 0 and bool(finite.min() > 0 and finite.max() / finite.min() > MANY_DECADES)


def decades_above_zero(values: np.ndarray) -> bool:
    """Tell whether numbers span a large factor, those that are exactly 0 left out; none is negative."""
    return not (values < 0).any() and spans_decades(values[values > 0])
