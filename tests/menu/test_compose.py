"""What is composed fast is what Hydra composes, the node `hydra` included."""

from collections.abc import Sequence
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.by_hydra import composed, config_loader
from descend.menu.compose import compose
from descend.menu.mistakes import sentence
from descend.menu.patch import pickled, standing_alone

QUIET = ["metrics=none", "derivatives=none"]

RUNS = [
    [],
    ["steps=10", "seed=3", "optimizer.lr=1e-3"],
    ["optimizer=sgd", "optimizer.lr=0.1", "optimizer.nesterov=true", "optimizer.momentum=0.9"],
    ["optimizer.betas=[0.5,0.6]", "optimizer.betas.0=0.8"],
    ["objective=rosenbrock", "objective.dim=3", "objective.start=[0.5,1,2]"],
    ["objective=expression", "objective.formula='x**2 + y'", "objective.start={x: 2.0, y: 1}"],
    ["+objective.extra=1", "steps=5"],
    ["objective=rosenbrock", "+objective.extra={a: 1}", "objective.extra.a=2"],
    ["++optimizer.lr=0.5", "optimizer.lr=0.25"],
    ["optimizer.lr=0.25", "++optimizer.lr=0.5"],
    ["~optimizer.eps", "optimizer.lr=0.2"],
    ["~metrics", "steps=7"],
    ["objective=pinn/heat", "optimizer=lion", "metrics=none", "derivatives=none", "op=gelu", "optimizer.lr=1e-3"],
    ["optimizer='sgd'", "aggregator=upgrad", "tracker=none"],
    ["optimizer=sgd", "metrics=curvature"],
    ["optimizer=sgd", "op=gelu", "optimizer=lion"],
    ["derivatives=first", "derivatives.order=3"],
    ["optimizer.lr=${stop.plateau_tolerance}", "stop.plateau_tolerance=0.01"],
    ["experiment=first_order", "optimizer.lr=0.5", "seed=2"],
    ["experiment=pinn/burgers", "steps=21", "optimizer.lr=${seed}"],
    ["schedule=warmup", "schedule.length=7", "schedule@schedule.then=exponential", "schedule.then.gamma=0.5"],
    ["objective=expression", "objective.start={x: 2.0}", "objective.op=${op}", "op=tanh"],
    ["metrics=curvature", "metrics.curvature.budget=0.5"],
    ["hydra.run.dir=somewhere", "hydra.job.name=x", "seed=1"],
    ["hydra/sweeper=basic", "seed=1"],
    ["objective.data=mnist"],
    ["objective=digits_mlp", "objective.data=arrays", "objective.data.path=a.npz"],
    ["objective.data=text", "objective.data.context=8", "objective=module", "optimizer=sgd"],
    ["objective=mnist_mlp", "objective.data.split_seed=3", "+objective.data.extra=1"],
    ["objective=himmelblau"],
    ["stop.value=null", "stop.gradient_norm=1e-8", "dtype=float32", "compile=true", "threads=2"],
    ["dtype='float32'", 'device="cpu"', "stop.seconds=1.5"],
]

GROUPS = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir() and folder.name != "experiment")
BUILT_ON_OTHERS = {
    *(("derivatives", "third"), ("metrics", "curvature"), ("schedule", "warmup"), ("tracker", "all")),
    *(("sweep", "random"), ("sweep", "sobol"), ("sweep", "halving"), ("sweep", "optuna"), ("optimizer", "groups")),
    ("sweep", "bohb"),
    *(("optimizer", "muon"), ("optimizer", "normuon"), ("objective", "char_gpt"), ("objective", "noisy_quadratic")),
}


def plain(config: DictConfig) -> object:
    return OmegaConf.to_container(config, resolve=False)


@pytest.mark.parametrize("overrides", RUNS, ids=" ".join)
def test_it_is_hydras(overrides: Sequence[str]) -> None:
    compose([*overrides, "seed=7"], with_hydra=True)  # what another run set must not stay
    found, expected = compose(overrides, with_hydra=True), composed(overrides, with_hydra=True)
    assert plain(found) == plain(expected)
    for node in ("optimizer", "stop"):
        assert OmegaConf.is_struct(found[node]) == OmegaConf.is_struct(expected[node])


def test_every_choice_that_stands_alone_is_hydras() -> None:
    """All choices of all groups at once, each at a place of its own: to compose them one by one takes a minute."""
    every = [(group, choice) for group in GROUPS for choice in choices(FOLDER / group)]
    places = {pair: f"place_{i}" for i, pair in enumerate(every)}
    config = composed([f"+{group}@op.{place}={choice}" for (group, choice), place in places.items()], with_hydra=False)
    found = {key: standing_alone(*key) for key in places}
    assert {key for key, node in found.items() if node is None} == BUILT_ON_OTHERS
    for key, node in found.items():
        assert node is None or plain(node) == plain(config.op.get(places[key], {})), key


@settings(max_examples=15, deadline=None)
@given(
    st.permutations(["optimizer=sgd", "optimizer.lr=0.5", "steps=3", "++optimizer.momentum=0.25", "seed=1", "op=gelu"]),
    st.integers(0, 6),
)
def test_in_any_order(overrides: list[str], count: int) -> None:
    chosen = overrides[:count]
    assert plain(compose(chosen, with_hydra=True)) == plain(composed(chosen, with_hydra=True))


NO_DATA = ["objective.data=arrys", "objective.data.pth=a"]


@pytest.mark.parametrize(
    "wrong", ["optimizer.lrr=1", "seed=many", "nothing=1", "objective.dim.x=1", "optimizer.lr={", *NO_DATA]
)
def test_what_is_wrong_is_told_as_by_hydra(wrong: str) -> None:
    with pytest.raises((HydraException, OmegaConfBaseException)) as expected:
        composed([wrong], with_hydra=False)
    with pytest.raises(ConfigurationError) as found:
        compose([wrong])
    assert str(found.value) == sentence(expected.value)


def test_data_for_an_objective_that_takes_none() -> None:
    with pytest.raises(ConfigurationError, match=r"the objective takes no data; these do: .*digits_mlp.*module"):
        compose(["objective=rosenbrock", "objective.data=arrays"])


def test_hydra_composes_once_for_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    compose(["objective=booth", "seed=0"])
    monkeypatch.setattr("descend.menu.patch.composed", None)
    compose(["objective=module", "objective.data=text"])
    found = [compose(["objective=booth", f"seed={i}", f"optimizer.lr={i + 1}"]) for i in range(5)]
    assert [config.seed for config in found] == [0, 1, 2, 3, 4]
    assert [config.optimizer.lr for config in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "override",
    ["+optimizer.new=1", "~clip", "hydra.job.chdir=true", "optimizer={lr: 1}", "objective.data={split_seed: 1}"],
)
def test_what_is_more_than_values_is_left_to_hydra(override: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []

    def asking(overrides: Sequence[str], *rest: Any) -> DictConfig:
        asked.append(overrides)
        return composed(overrides, *rest)

    monkeypatch.setattr("descend.menu.patch.composed", asking)
    pickled.cache_clear()
    compose([*QUIET, override, "seed=1"])
    assert override in asked[0]


def test_what_is_handed_out_is_the_callers_own() -> None:
    compose([*QUIET, "seed=1"]).optimizer.lr = 7.0
    compose(QUIET).optimizer.lr = 7.0
    assert compose(QUIET).optimizer.lr != 7.0
    assert compose(QUIET).seed == 0


def test_inside_a_job_of_hydras_too_where_another_has_left_its_choices() -> None:
    """A launcher's process carries out several parts of a sweep, each as a job that Hydra has initialised."""
    for _ in range(2):
        compose(QUIET)
        config_loader()
        initialize_config_dir(str(FOLDER), version_base="1.3")
    GlobalHydra.instance().clear()
