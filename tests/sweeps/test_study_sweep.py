"""Settings that Optuna asks for: they are its own, what it is told is in the table, and a kill changes nothing."""

import statistics
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import Command
from killed import Dying, Killed

import descend
from descend.errors import ConfigurationError
from descend.sweeps.halving import Halving
from descend.sweeps.settings import Settings
from descend.sweeps.space import axes_of
from descend.sweeps.store import Store
from descend.sweeps.study import Study
from descend.sweeps.study_sweep import StudySweep

pytestmark = pytest.mark.long

optuna = pytest.importorskip("optuna", reason="asking Optuna needs it: pip install 'descend[optuna]'")
from optuna.storages import JournalStorage  # noqa: E402
from optuna.storages.journal import JournalFileBackend  # noqa: E402

QUIET = ["metrics=none", "derivatives=none"]
BASE = ["objective=rosenbrock", *QUIET, "steps=20"]
RATE = "optimizer.lr=tag(log,interval(1e-4,1e-1))"
SWEPT = [*BASE, "optimizer=adam,rmsprop", RATE]
LEARN_SOON = ["TPESampler", "CmaEsSampler", "GPSampler"]
SAMPLERS = [*LEARN_SOON[:2], pytest.param("GPSampler", marks=pytest.mark.slow), "QMCSampler", "NSGAIISampler"]


def searched(
    folder: Path, study: Study, overrides: list[str], left: int | None = None, halving: Halving | None = None
) -> pl.DataFrame:
    """Carry out a sweep; where `left` is given, up to the kill that comes with one chunk more than these."""
    search = StudySweep.of(overrides, Settings(study=study, halving=halving, keep="none"), study)
    if left is not None:
        with Dying(folder, [], [overrides]) as dying:
            dying.left = left
            with pytest.raises(Killed):
                search.carried_out(dying)
            return dying.table()
    with Store(folder, [], [overrides]) as store:
        search.carried_out(store)
        return store.table().drop("seconds")


def trials(folder: Path) -> list:
    storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    return optuna.load_study(study_name="descend", storage=storage).trials


def test_the_first_batch_is_what_optuna_draws_itself(tmp_path: Path) -> None:
    table = searched(tmp_path, Study(points=6, batch=6, sampler="TPESampler", seed=3), SWEPT)
    [seed] = np.random.SeedSequence([3, 0]).generate_state(1).tolist()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    for row in table.iter_rows(named=True):
        trial = study.ask()
        assert trial.suggest_float("optimizer.lr", 1e-4, 1e-1, log=True) == row["optimizer.lr"]
        assert trial.suggest_categorical("optimizer", ["adam", "rmsprop"]) == row["optimizer"]


def test_it_is_told_the_median_over_the_seeds(tmp_path: Path) -> None:
    overrides = ["objective=digits_mlp_small", *QUIET, "optimizer=adam", RATE, "seed=0,1,2", "steps=3"]
    table = searched(tmp_path, Study(points=4, batch=2), overrides)
    assert table["seed"].to_list() == [0, 1, 2] * 4
    assert table["optimizer.lr"].n_unique() == 4
    told = [trial.value for trial in trials(tmp_path)]
    parts = [table["value"].to_list()[at : at + 3] for at in range(0, 12, 3)]
    assert told == [statistics.median(part) for part in parts]


def test_a_run_is_as_alone(tmp_path: Path) -> None:
    table = searched(tmp_path, Study(points=5, batch=3), SWEPT)
    for row in table.iter_rows(named=True):
        alone = descend.run([*BASE, f"optimizer={row['optimizer']}", f"optimizer.lr={row['optimizer.lr']}"])
        assert alone.value == row["value"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_draw_inside_the_interval_and_learn(sampler: str, tmp_path: Path) -> None:
    overrides = ["objective=sphere", *QUIET, "optimizer=gradient_descent", "steps=1"]
    overrides += ["optimizer.lr=interval(0.001,1.0)"]
    table = searched(tmp_path, Study(points=30, batch=10, sampler=sampler), overrides)
    assert table["optimizer.lr"].is_between(0.001, 1.0).all()
    assert table["optimizer.lr"].n_unique() == 30
    values = table["value"].to_list()
    if sampler in LEARN_SOON:
        assert statistics.median(values[-10:]) < 0.5 * statistics.median(values[:10])


def test_a_kill_changes_nothing(tmp_path: Path) -> None:
    study = Study(points=8, batch=4, sampler="TPESampler", options={"n_startup_trials": 4})
    expected = searched(tmp_path / "whole", study, SWEPT)
    for left in (0, 3):
        folder = tmp_path / str(left)
        assert len(searched(folder, study, SWEPT, left)) < 8
        assert searched(folder, study, SWEPT).equals(expected)
        assert [x.value for x in trials(folder)] == [x.value for x in trials(tmp_path / "whole")]


HALVED = Study(points=16, batch=8, options={"n_startup_trials": 4}), Halving(rungs=2, brackets=1)


def test_each_batch_is_halved_and_told_where_its_runs_stopped(tmp_path: Path) -> None:
    study, halving = HALVED
    table = searched(tmp_path, study, SWEPT, halving=halving)
    for batch in (table.head(8), table.tail(8)):
        assert sorted(batch["steps"].to_list()) == [5] * 4 + [10] * 2 + [20] * 2
    assert [trial.value for trial in trials(tmp_path)] == table["value"].to_list()
    for row in table.filter(status="finished").iter_rows(named=True):
        alone = descend.run([*BASE, f"optimizer={row['optimizer']}", f"optimizer.lr={row['optimizer.lr']}"])
        assert alone.value == row["value"]


def test_a_kill_at_a_rung_changes_nothing(tmp_path: Path) -> None:
    study, halving = HALVED
    expected = searched(tmp_path / "whole", study, SWEPT, halving=halving)
    for left in (1, 9):  # at a rung of the first batch, and of the second
        folder = tmp_path / str(left)
        searched(folder, study, SWEPT, left, halving)
        assert searched(folder, study, SWEPT, halving=halving).equals(expected)
        assert not list(folder.glob("checkpoints/*"))


def test_a_journal_that_a_kill_cut_short_goes_on(tmp_path: Path) -> None:
    study = Study(points=8, batch=4)
    expected = searched(tmp_path / "whole", study, SWEPT)
    searched(tmp_path / "cut", study, SWEPT, left=3)
    with (tmp_path / "cut" / "study.log").open("ab") as file:
        file.write(b'{"op_code":4,"work')
    assert searched(tmp_path / "cut", study, SWEPT).equals(expected)
    assert [x.value for x in trials(tmp_path / "cut")] == expected["value"].to_list()


def test_runs_that_diverge_are_told_as_infinite(tmp_path: Path) -> None:
    overrides = [*BASE, "optimizer=gradient_descent", "optimizer.lr=0.0001,100.0"]
    table = searched(tmp_path, Study(points=8, batch=4), overrides)
    assert set(table["status"]) == {"finished", "diverged"}
    told = [trial.value == float("inf") for trial in trials(tmp_path)]
    assert told == [status == "diverged" for status in table["status"]]


def test_two_folders_share_a_study(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    first = searched(tmp_path / "a", Study(points=3, batch=3, storage=storage, sampler="RandomSampler"), SWEPT)
    second = searched(tmp_path / "b", Study(points=2, batch=2, storage=storage, sampler="RandomSampler", seed=1), SWEPT)
    found = optuna.load_study(study_name="descend", storage=storage).trials
    assert [trial.value for trial in found] == first["value"].to_list() + second["value"].to_list()


def test_the_command_and_its_resume(descend: Command, here: Path) -> None:
    command = ["-m", *SWEPT, "sweep=optuna", "sweep.batch=4", "seed=0,1"]
    done = descend(*command, "sweep.points=6", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert "12 runs: 12 finished" in done.out
    assert (here / "sweep" / "report.html").exists()
    done = descend(*command, "sweep.points=8", "sweep.resume=sweep")
    assert done.code == 0, done.err
    assert "16 runs: 16 finished" in done.out
    done = descend(*command, "sweep.points=8", "sweep.seed=1", "sweep.resume=sweep")
    assert done.code == 2
    assert "only there: sweep.seed=0; only here: sweep.seed=1" in done.err


def test_the_command_that_halves(descend: Command, here: Path) -> None:
    command = ["-m", *SWEPT, "sweep=bohb", "sweep.batch=4", "sweep.rungs=1", "sweep.brackets=1", "sweep.points=8"]
    done = descend(*command, "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert "8 runs: 4 finished, 4 stopped" in done.out or "8 runs: 4 stopped, 4 finished" in done.out
    assert "120 of 160 steps were made: 25% were saved" in done.out
    done = descend(*command, "sweep.eta=4", "sweep.resume=sweep")
    assert done.code == 2
    assert "only there: sweep.eta=2; only here: sweep.eta=4" in done.err


def test_from_python() -> None:
    table = descend.sweep([*SWEPT, "sweep=optuna", "sweep.points=5", "sweep.batch=5", "sweep.sampler=RandomSampler"])
    assert len(table) == 5


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sweep.sampler=TPE", RATE], "it must be one of"),
        (["sweep.sampler=GridSampler", RATE], "it must be one of"),
        (["+sweep.options.multivarate=true", RATE], "refused sweep.options"),
        (["sweep.batch=0", RATE], "batch is 0, but"),
        (["sweep.points=0", RATE], "points is 0, but"),
        (["sweep.storage=nowhere", RATE], "it cannot be opened"),
        (["seed=0,1"], "has nothing to choose"),
        (["objective=sphere,beale", RATE], "the objective is swept"),
        (["objective=fonseca_fleming", RATE], "say by which: sweep.rank=loss/f1"),
        (["optimizer.lr=interval(-2,-1)"], "lr is -2.0"),
        (["sweep.dry_run=true", RATE], "leave it away"),
        (["sweep.halving=true", "sweep.batch=1", RATE], "make it 16, say"),
        (["hydra/launcher=joblib", RATE], "leave hydra/launcher away"),
    ],
)
def test_a_wrong_one_is_refused(overrides: list[str], said: str, descend: Command, here: Path) -> None:
    base = [text for text in BASE if not overrides[0].startswith("objective") or not text.startswith("objective")]
    done = descend("-m", *base, "sweep=optuna", *overrides, "hydra.sweep.dir=a")
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert not list(here.iterdir())


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError, match=r"descend\[optuna\]"):
        Study()


def test_what_is_varied() -> None:
    found = axes_of(["a=interval(1,2)", "b=x,y", "seed=range(0,3)", "c=7"])
    assert found.intervals == {"a": (1.0, 2.0, False)}
    assert (found.choices, found.seeds, found.fixed) == ({"b": ("x", "y")}, ("0", "1", "2"), {"c": "7"})
    jobs = found.jobs([{"a": "1.5", "b": "y"}])
    assert [job.overrides for job in jobs] == [("a=1.5", "b=y", f"seed={seed}", "c=7") for seed in range(3)]
