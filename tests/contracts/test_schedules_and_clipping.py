"""What every schedule and every clipping of the menu must hold; found by its YAML alone."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import DictConfig

from descend.menu.compose import compose

MENU = Path(__file__).parents[2] / "conf"
CHOICES = [(group, path.stem) for group in ("schedule", "clip") for path in sorted((MENU / group).glob("*.yaml"))]


def composed(group: str, choice: str, *overrides: str) -> DictConfig:
    return compose(["objective=rosenbrock", f"{group}={choice}", *overrides])[group]


def check_fields(node: Any, built: Any) -> None:
    fields = {field.name for field in dataclasses.fields(built)}
    assert set(node) - {"_target_"} == fields
    for name in fields:
        if dataclasses.is_dataclass(getattr(built, name)):
            check_fields(node[name], getattr(built, name))


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_the_menu_states_every_field_and_default(group: str, choice: str) -> None:
    node = composed(group, choice)
    built = instantiate(node, _convert_="all")
    assert (MENU / group / f"{choice}.yaml").read_text(encoding="utf-8").startswith("# ")
    check_fields(node, built)
    assert built == type(built)()


@pytest.mark.parametrize("choice", [choice for group, choice in CHOICES if group == "schedule"])
def test_a_schedule_follows_a_warm_up_chosen_on_the_command_line(choice: str) -> None:
    then = instantiate(composed("schedule", "warmup", f"schedule@schedule.then={choice}"), _convert_="all").then
    assert then == instantiate(composed("schedule", choice), _convert_="all")


@pytest.mark.parametrize("choice", [choice for group, choice in CHOICES if group == "schedule"])
def test_a_schedule_never_raises_or_turns_the_learning_rate(choice: str) -> None:
    schedule = instantiate(composed("schedule", choice), _convert_="all")
    for steps in (1, 2, 5, 1000):
        assert all(0 <= schedule.factor(step, steps) <= 1 + 1e-12 for step in range(steps))
