"""The heat map of a run with three losses or more: the angle between each two gradients, as it goes."""

from collections.abc import Iterable

import numpy as np

from descend.output.pictures.figure import blank, png
from descend.output.pictures.path import curve
from descend.records import Records

GROUP = "cosine/"
MOST_COLUMNS = 500


def cosines_picture(blocks: Iterable[Records], title: str = "") -> bytes | None:
    """Draw a row for each pair of losses and a column for each step: blue where they conflict, red where they agree.

    Returns:
        A PNG file; None where fewer than two pairs were recorded.
    """
    blocks = list(blocks)
    names = list(dict.fromkeys(name for block in blocks for name in block.scalars if name.startswith(GROUP)))
    if len(names) < 2:
        return None
    rows = np.stack([curve(blocks, name) for name in names])
    steps = np.concatenate([block.scalars[names[0]].steps for block in blocks if names[0] in block.scalars])
    shown = np.unique(np.linspace(0, len(steps) - 1, MOST_COLUMNS).astype(int))
    figure = blank(7, 1.4 + 0.3 * len(names), dpi=90)
    axes = figure.add_subplot()
    mesh = axes.pcolormesh(
        steps[shown], np.arange(len(names)), rows[:, shown], vmin=-1, vmax=1, cmap="RdBu_r", shading="nearest"
    )
    axes.set_yticks(np.arange(len(names)), [name.removeprefix(GROUP) for name in names])
    axes.invert_yaxis()
    axes.set(title=title, xlabel="step")
    figure.colorbar(mesh, ax=axes, label="cosine of the gradients")
    return png(figure)
