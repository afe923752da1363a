"""Sweeps on other launchers: their jobs are parts of the plan, and leave what the same sweep leaves by itself."""

from pathlib import Path

import polars as pl
import pytest
from conftest import Command

from descend.sweeps.batch import all_failed
from descend.sweeps.conduct import conduct
from descend.sweeps.parts import part
from descend.sweeps.plan import Plan, plan
from descend.sweeps.settings import Settings
from descend.sweeps.store import ChunkFiles, Store

BASE = ["objective=rosenbrock", "metrics=none", "derivatives=none", "steps=20", "threads=1"]
SWEPT = ["optimizer=adam,torch,sgd", "optimizer.lr=0.0001,0.0002,0.0003", "seed=0,1"]


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan([*BASE, *SWEPT], Settings())


@pytest.mark.parametrize("count", [1, 2, 3, 5, 18])
def test_parts_hold_every_run_once_and_are_of_one_size(planned: Plan, count: int) -> None:
    parts = [[job.index for group in part(planned, i, count).groups for job in group.jobs] for i in range(count)]
    assert sorted(index for indices in parts for index in indices) == list(range(18))
    lengths = [len(indices) for indices in parts]
    assert max(lengths) - min(lengths) <= 2  # one for the stacked runs, one for the serial ones


def test_serial_runs_are_shared_among_the_parts(planned: Plan) -> None:
    for i in range(2):
        serial = [group for group in part(planned, i, 2).groups if group.serial is not None]
        assert sum(len(group.jobs) for group in serial) == 3


def test_what_another_process_left_is_taken_in(planned: Plan, tmp_path: Path) -> None:
    """Also after the process that holds the index was killed: opening the folder again is enough."""
    few = planned.groups[0].part(range(2)).jobs
    Store(tmp_path, planned.jobs).close()
    ChunkFiles(tmp_path, set()).add(all_failed(few, ArithmeticError("on purpose")))
    with Store(tmp_path, planned.jobs) as store:
        assert store.table()["run"].to_list() == [job.index for job in few]
        assert set(store.table()["reason"]) == {"ArithmeticError: on purpose"}
    assert not list((tmp_path / "parts").iterdir())


def test_curves_without_rows_are_dropped(planned: Plan, tmp_path: Path) -> None:
    Store(tmp_path, planned.jobs).close()
    orphan = tmp_path / "curves" / "0000001.parquet"
    orphan.write_bytes(b"killed before the rows were committed")
    with Store(tmp_path, planned.jobs) as store:
        assert not len(store.curves().collect())
    assert not orphan.exists()


FEW = ["optimizer=adam,torch", "optimizer.lr=0.0001,0.0002,0.0003", "seed=0,1"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    folder = tmp_path_factory.mktemp("alone")
    assert conduct(plan([*BASE, *FEW], Settings()), Settings(), folder) == 0
    return pl.read_parquet(folder / "sweep.parquet")


LAUNCHERS = ["joblib", *(pytest.param(name, marks=pytest.mark.long) for name in ("submitit_local", "ray"))]
"""Each starts two processes, which import torch: one stands for the others in the usual run."""


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_other_launchers_leave_the_same_table(launcher: str, alone: pl.DataFrame, descend: Command, here: Path) -> None:
    """By a stacked program and by runs one after the other, some of each in every part."""
    if launcher == "ray":
        pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="needs the extra: pip install -e '.[ray]'")
    done = descend("-m", *BASE, *FEW, f"hydra/launcher={launcher}", "sweep.parts=2", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert "12 finished" in done.out
    found = pl.read_parquet(here / "sweep" / "sweep.parquet")
    assert sorted(path.name for path in (here / "sweep" / "parts").iterdir()) == ["0", "1"]
    same = ["run", "optimizer", "optimizer.lr", "seed", "status", "steps"]
    assert found.select(same).equals(alone.select(same))
    assert found["value"].to_list() == pytest.approx(alone["value"].to_list(), rel=1e-12)
