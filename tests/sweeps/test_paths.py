"""The picture of a sweep's paths on a function of two numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from descend.output.pictures.paths import paths_picture
from descend.sweeps import paths
from descend.sweeps.conduct import conduct
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings

SWEEP = ["objective=fonseca_fleming", "derivatives=none", "optimizer=gradient_descent", "optimizer.lr=0.1", "steps=6"]
STARTS = "objective.start=[0.5,-0.25],[-1.0,1.0]"


def sweep(folder: Path, *overrides: str) -> None:
    settings = Settings(keep="none")
    assert conduct(plan([*SWEEP, *overrides], settings), settings, folder) == 0


def test_a_panel_for_each_aggregator_and_a_path_for_each_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[Any] = []

    def picture(*arguments: Any) -> bytes:
        drawn.append(arguments)
        return paths_picture(*arguments)

    monkeypatch.setattr(paths, "paths_picture", picture)
    sweep(tmp_path, "aggregator=mean,pcgrad", STARTS)
    _, params, panels, best = drawn[0]
    assert {title: [path[0].tolist() for path in found] for title, found in panels.items()} == {
        "mean": [[0.5, -0.25], [-1.0, 1.0]],
        "pcgrad": [[0.5, -0.25], [-1.0, 1.0]],
    }
    assert [path.shape for found in panels.values() for path in found] == [(7, 2)] * 4
    assert list(params) == ["x"]
    np.testing.assert_allclose(np.abs(best).max(), 2**-0.5)  # the set's ends are at ±1/√n in every coordinate
    file = (tmp_path / "paths.png").read_bytes()
    assert file.startswith(b"\x89PNG")
    assert len(file) < 150_000


@pytest.mark.parametrize(
    "overrides",
    [("metrics=none", STARTS), ("objective.dim=3", "seed=0,1"), ("objective=cagrad_toy", "objective.scale=0.1,0.2")],
    ids=["no parameters recorded", "three numbers", "two functions"],
)
def test_where_there_is_no_one_plane_there_is_no_picture(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    sweep(tmp_path, *overrides)
    assert not (tmp_path / "paths.png").exists()
