"""Fields set in a copy of what the choices made before are what Hydra makes of the same overrides."""

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from descend.menu import FOLDER
from descend.menu.compose import compose, composed, config_loader, patched

QUIET = ["metrics=none", "derivatives=none"]


@pytest.mark.parametrize(
    "overrides",
    [
        [*QUIET, "optimizer=adam", "optimizer.lr=0.5", "steps=3", "stop.value=2"],
        ["optimizer.betas=[0.5,0.25]", "optimizer.betas.1=0.75", "seed=1", "seed=2"],
        ["schedule=warmup", "schedule.length=7", "schedule@schedule.then=exponential", "schedule.then.gamma=0.5"],
        ["objective=expression", "objective.start={x: 2.0}", "objective.op=${op}", "op=tanh"],
        ["experiment=pinn/burgers", "steps=21", "optimizer.lr=${seed}"],
    ],
)
def test_patched_is_composed(overrides: list[str]) -> None:
    expected, found = composed(overrides, with_hydra=False), patched(overrides)
    assert found == expected
    assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
    for node in (None, "optimizer", "stop"):
        found_flag, flag = (OmegaConf.is_struct(c if node is None else c[node]) for c in (found, expected))
        assert found_flag == flag


@pytest.mark.parametrize(
    "override",
    [
        "+optimizer.new=1",
        "~clip",
        "++steps=1",
        "hydra.job.chdir=true",
        "seed=1,2",
        "optimizer.lrr=1",
        "steps=many",
        "x",
    ],
)
def test_what_is_more_than_choices_and_fields_or_wrong_is_left_to_hydra(override: str) -> None:
    assert patched([*QUIET, override]) is None


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
