"""Successive halving: who goes on, that these are as alone, that a kill changes nothing, and what is refused."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from conftest import Command
from killed import Dying, Killed, killed_after

import descend
from descend.engine.checkpoint import Every
from descend.errors import ConfigurationError
from descend.sweeps.batch import run_group
from descend.sweeps.checkpoints import Checkpoints
from descend.sweeps.conduct import carry_out
from descend.sweeps.halving import Halving, Rung
from descend.sweeps.job import Job
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings
from descend.sweeps.store import Store

QUIET = ["metrics=none", "derivatives=none"]
PLAIN = ["sweep=halving", "sweep.eta=3", "sweep.brackets=1"]
RATES = "optimizer.lr=0.0001,0.001,0.003,0.01,0.03,0.1,0.3,0.6,1.0"
EARLY = ["objective=rosenbrock", *QUIET, "schedule=cosine"]
STACKED = {
    "graph, two optimizers": [*EARLY, "optimizer=adam,sgd", RATES, "steps=54", "compile=false"],
    "kernel": [*EARLY, "optimizer=adam", RATES, "steps=1080", "compile=true"],
    "network, two seeds": ["objective=digits_mlp_small", "optimizer=adam", RATES, "seed=0,1", "steps=18"],
    "a rule that ends runs": [*EARLY, "optimizer=sgd", RATES, "steps=54", "stop.value=1.0", "compile=false"],
    "one after the other": ["objective=sphere", *QUIET, "optimizer=torch", "optimizer.name=SGD", RATES, "steps=27"],
}
SWEEP = [*EARLY, "optimizer=adam,gradient_descent", RATES, "seed=0,1", "steps=54", "compile=false"]


def jobs(settings: int, seeds: int = 1, objectives: int = 1) -> list[Job]:
    swept = [
        {"objective": f"o{o}", "optimizer.lr": f"0.{n:03}", "seed": str(s)}
        for o in range(objectives)
        for n in range(settings)
        for s in range(seeds)
    ]
    return [Job(i, (), each) for i, each in enumerate(swept)]


def conducted(folder: Path, brackets: int, chunks: int | None = None) -> pl.DataFrame:
    """Carry out `SWEEP`; where `chunks` is given, after it was killed with so many of them kept."""
    settings = Settings(halving=Halving(eta=3, rungs=2, brackets=brackets), keep="none")
    planned = plan(SWEEP, settings)
    if chunks is not None:
        with Dying(folder, planned.jobs) as dying:
            dying.left = chunks
            with pytest.raises(Killed):
                carry_out(planned, settings, dying)
    with Store(folder, planned.jobs) as store:
        carry_out(planned, settings, store)
        return store.table().drop("seconds")


@pytest.mark.parametrize("case", STACKED)
def test_who_goes_on_ends_as_alone(case: str) -> None:
    overrides = STACKED[case]
    table = descend.sweep([*overrides, *PLAIN, "sweep.rungs=2"])
    ends = Counter(table["status"])
    assert ends["stopped"] >= 3
    swept = [key for key in table.columns[1 : table.columns.index("status")]]
    own = table.filter(pl.col("status") != "stopped", pl.col("status") != "diverged").iter_rows(named=True)
    for row in own:
        fixed = [text for text in overrides if text.split("=")[0] not in swept]
        alone = descend.run([*fixed, *(f"{key}={row[key]}" for key in swept)])
        found = {key: row[key] for key in ("value", "best_value", "gradient_norm", "steps", "status", "reason")}
        assert found == {key: getattr(alone, key) for key in found}


def test_a_third_of_the_settings_goes_on_with_all_their_seeds() -> None:
    table = descend.sweep([*SWEEP, *PLAIN, "sweep.rungs=2"])
    made = Counter(table["steps"].to_list())
    assert made[54] == 2 * 2  # of 18 settings 6 and then 2, each with two seeds
    assert sum(made.values()) == 36
    seeds = table.group_by("optimizer", "optimizer.lr").agg(pl.col("steps").n_unique(), pl.col("status").n_unique())
    assert seeds["steps"].max() == seeds["status"].max() == 1
    told = table.filter(status="stopped", steps=6)["reason"]
    assert told.str.contains(r"^stopped after step 6: at rung 1 of 2 it was \d+ of 18 by value, and the best 6").all()


def test_the_best_go_on_by_the_median_of_their_seeds_across_groups() -> None:
    """Beside runs of as many steps as the first rung has, ranked here."""
    short = [text for text in SWEEP if not text.startswith(("steps", "schedule"))]
    whole = descend.sweep([*short, "steps=6"])
    order = whole.group_by("optimizer", "optimizer.lr").agg(pl.col("value").fill_null(float("inf")).median())
    best = order.sort("value").head(6).select("optimizer", "optimizer.lr").rows()
    table = descend.sweep([*short, "steps=54", *PLAIN, "sweep.rungs=2"])
    assert set(table.filter(pl.col("steps") > 6).select("optimizer", "optimizer.lr").rows()) == set(best)


@pytest.mark.parametrize(("brackets", "kills"), [(1, [0, 3, 5]), (3, [2])])
def test_a_kill_anywhere_changes_nothing(brackets: int, kills: list[int], tmp_path: Path) -> None:
    expected = conducted(tmp_path / "whole", brackets)
    assert set(expected["steps"]) >= {6, 18, 54}
    for chunks in kills:  # two for each of the two rungs, and two at the end
        folder = tmp_path / str(chunks)
        assert conducted(folder, brackets, chunks).equals(expected)
        assert conducted(folder, brackets).equals(expected)
        assert not list(folder.glob("checkpoints/*"))


def test_runs_whose_checkpoint_is_lost_leave_at_the_same_steps(tmp_path: Path) -> None:
    """They are made again from their start, past rungs that are ranked already."""
    settings = Settings(halving=Halving(rungs=2, brackets=1))
    [group] = plan([*EARLY, RATES, "steps=54"], settings).groups
    stopped = {0: "too slow", 5: "worse"}
    rungs = (Rung(9, stopped), Rung(3))
    [waiting] = run_group(group, 1 << 30, checkpoints=Checkpoints(tmp_path, settings.every, rungs=rungs))
    assert waiting.waits
    assert [found.steps for found in waiting.results] == [6, 18, 18, 18, 18, 6, 18, 18, 18]
    [chunk] = run_group(group, 1 << 30, checkpoints=Checkpoints(tmp_path / "other", settings.every, rungs=rungs[:1]))
    assert [found.steps for found in chunk.results] == [6, 54, 54, 54, 54, 6, 54, 54, 54]
    assert chunk.results[0].reason == "stopped after step 6: too slow"


def test_a_kill_between_rungs_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.engine.loop.BLOCK_SECONDS", 0.0)
    [group] = plan([*EARLY, RATES, "steps=54"], Settings()).groups
    rungs = (Rung(9, {0: "too slow", 5: "worse"}), Rung(3, {1: "later"}))
    [expected] = run_group(group, 1 << 30, checkpoints=Checkpoints(tmp_path / "whole", Every(), rungs=rungs))
    checkpoints = Checkpoints(tmp_path / "killed", Every(steps=4), rungs=rungs)
    for _ in range(2):
        with pytest.raises(Killed):
            list(run_group(group, 1 << 30, 1, killed_after(60), checkpoints))
    [found] = run_group(group, 1 << 30, checkpoints=checkpoints)
    assert [replace(x, seconds=0.0) for x in found.results] == [replace(x, seconds=0.0) for x in expected.results]
    order = ["run", "name", "step"]
    assert found.curves.sort(order).equals(expected.curves.sort(order))
    assert expected.curves.filter(run=1, name="value")["step"].max() == 18


def test_a_stopped_run_goes_on_alone(descend: Command, here: Path) -> None:
    command = [*EARLY, "optimizer=adam", "optimizer.lr=0.001,0.01,0.1", "steps=54", "compile=false"]
    done = descend("-m", *command, *PLAIN, "sweep.rungs=1", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert "90 of 162 steps were made: 44% were saved" in done.out
    [worst] = (here / "sweep").glob("00000-*")
    assert json.loads((worst / "result.json").read_text())["steps"] == 18
    done = descend(f"resume={worst}")
    assert done.code == 0, done.err
    alone = descend(*command[:-3], "optimizer.lr=0.001", "steps=54", "compile=false")
    found, expected = (json.loads((folder / "result.json").read_text()) for folder in (worst, alone.folder))
    assert (found["value"], found["reason"]) == (expected["value"], expected["reason"])


def test_brackets_share_the_settings_as_hyperband_does() -> None:
    """Li et al. 2018, table 1: R = 81 and η = 3 begin with 81, 34, 15, 8 and 5 settings."""
    wanted = [81, 34, 15, 8, 5]
    dealt = Halving(eta=3, rungs=4, brackets=5).by_objective(jobs(sum(wanted), seeds=2, objectives=2))
    assert [bracket.first for bracket in dealt] == [0, 1, 2, 3, 4] * 2
    sizes = [len(bracket.settings) for bracket in dealt]
    assert all(abs(size - n) <= 1 for size, n in zip(sizes, wanted * 2, strict=True))
    every = sorted(run for bracket in dealt for runs in bracket.settings for run in runs)
    assert every == list(range(4 * sum(wanted)))


def test_the_steps_made_are_those_of_the_paper() -> None:
    """Bracket s of Hyperband with n settings spends n·R·(1 + s(1 − 1/η))/η^s, where each makes its steps but once."""
    made = Halving(eta=3, rungs=3, brackets=1).share(jobs(27))
    assert made == pytest.approx((27 * 1 + 9 * 2 + 3 * 6 + 1 * 18) / (27 * 27))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sweep.eta=1.5", "optimizer.lr=0.1,0.2"], "eta is 1.5, but"),
        (["sweep.rungs=0", "optimizer.lr=0.1,0.2"], "rungs is 0, but"),
        (["sweep.brackets=6", "optimizer.lr=0.1,0.2"], "brackets is 6, but"),
        (["sweep.etta=3", "optimizer.lr=0.1,0.2"], "etta"),
        (["optimizer.lr=0.1,0.2", "sweep.rungs=5"], "a run of 30 steps has no whole step there"),
        (["seed=0,1"], "only one is swept"),
        (["optimizer.lr=0.1,0.2", "objective=fonseca_fleming"], "say by which: sweep.rank=loss/f1"),
        (["optimizer.lr=0.1,0.2", "sweep.rank=test/acuracy"], "rank is test/acuracy, but no run has that"),
        (["optimizer.lr=0.1,0.2", "hydra/launcher=joblib"], "leave hydra/launcher away"),
    ],
)
def test_a_wrong_one_is_refused(overrides: list[str], said: str, descend: Command, here: Path) -> None:
    done = descend("-m", "objective=rosenbrock", *QUIET, "steps=30", "sweep=halving", *overrides, "hydra.sweep.dir=a")
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(here.iterdir())


def test_without_m_it_is_refused(descend: Command) -> None:
    assert "sweep=halving is for a sweep" in descend("objective=rosenbrock", "sweep=halving").err


def test_several_losses_are_ranked_by_the_one_that_is_named() -> None:
    overrides = ["objective=fonseca_fleming", *QUIET, "optimizer.lr=0.001,0.01,0.1", "steps=27", *PLAIN]
    table = descend.sweep([*overrides, "sweep.rungs=1", "sweep.rank=loss/f1"])
    assert table["status"].to_list().count("finished") == 1
    short = descend.sweep([*overrides[:-4], "steps=9"]).sort("losses.f1")
    assert table.filter(status="finished")["optimizer.lr"].to_list() == [short["optimizer.lr"][0]]


def test_from_python_a_wrong_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no whole step"):
        descend.sweep(["objective=rosenbrock", "steps=2", RATES, "sweep=halving"])
