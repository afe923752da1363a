"""What is composed fast is what Hydra composes, the node `hydra` included."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from descend.errors import ConfigurationError
from descend.menu.compose import compose
from descend.menu.composer import Composer

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
    ["derivatives=first", "derivatives.order=3"],
    ["optimizer.lr=${stop.plateau_tolerance}", "stop.plateau_tolerance=0.01"],
    ["experiment=first_order", "optimizer.lr=0.5", "seed=2"],
    ["experiment=pinn/poisson", "steps=3"],
    ["metrics=curvature", "metrics.curvature.budget=0.5"],
    ["hydra.run.dir=somewhere", "hydra.job.name=x", "seed=1"],
    ["hydra/sweeper=basic", "seed=1"],
    ["stop.value=null", "stop.gradient_norm=1e-8", "dtype=float32", "compile=true", "threads=2"],
    ["dtype='float32'", 'device="cpu"', "stop.seconds=1.5"],
]


def plain(config: DictConfig) -> object:
    return OmegaConf.to_container(config, resolve=False)


@pytest.fixture(scope="module")
def composer() -> Composer:
    """One for all runs, so that what was composed for one could spoil another."""
    return Composer(with_hydra=True)


@pytest.mark.parametrize("overrides", RUNS, ids=" ".join)
def test_it_is_hydras(overrides: Sequence[str], composer: Composer) -> None:
    composer([*overrides, "seed=7"])  # what another run set must not stay
    assert plain(composer(overrides)) == plain(compose(overrides, with_hydra=True))


@settings(max_examples=15, deadline=None)
@given(
    st.permutations(["optimizer=sgd", "optimizer.lr=0.5", "steps=3", "++optimizer.momentum=0.25", "seed=1", "op=gelu"]),
    st.integers(0, 6),
)
def test_in_any_order(overrides: list[str], count: int) -> None:
    composer = Composer(with_hydra=True)
    assert plain(composer(overrides[:count])) == plain(compose(overrides[:count], with_hydra=True))


@pytest.mark.parametrize("wrong", ["optimizer.lrr=1", "steps=many", "nothing=1", "objective.dim.x=1", "optimizer.lr={"])
def test_what_is_wrong_is_told_as_by_hydra(wrong: str, composer: Composer) -> None:
    with pytest.raises(ConfigurationError) as expected:
        compose([wrong])
    with pytest.raises(ConfigurationError) as found:
        composer([wrong])
    assert str(found.value) == str(expected.value)


def test_hydra_composes_once_for_many_runs(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    composer(["objective=booth", "seed=0"])
    monkeypatch.setattr("descend.menu.composer.compose", None)
    found = [composer(["objective=booth", f"seed={i}", f"optimizer.lr={i + 1}"]) for i in range(5)]
    assert [config.seed for config in found] == [0, 1, 2, 3, 4]
    assert [config.optimizer.lr for config in found] == [1, 2, 3, 4, 5]
