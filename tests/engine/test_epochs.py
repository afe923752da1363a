"""Steps given as a number of epochs."""

import pytest
from conftest import Command

from descend.engine.experiment import Experiment, steps_of
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.rosenbrock import Rosenbrock


@pytest.mark.parametrize(
    ("steps", "batch", "made"), [("2epochs", 100, 28), ("1 epoch", 1000, 1), ("0.5epochs", 10, 72)]
)
def test_an_epoch_has_as_many_steps_as_there_are_whole_batches(steps: str, batch: int, made: int) -> None:
    overrides = ["objective=digits_mlp_small", f"objective.batch_size={batch}", f"steps={steps}"]
    experiment = build(compose(overrides), overrides)
    assert experiment.steps == made  # of 1,437 training examples


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [("10epochs", "Rosenbrock has no examples"), ("ten", "a whole number of steps"), ("-1epochs", "steps")],
)
def test_what_is_no_number_of_steps_is_refused(steps: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        steps_of(steps, Rosenbrock())
    with pytest.raises(ConfigurationError, match=sentence):
        Experiment(Rosenbrock(), steps=steps)  # type: ignore[arg-type]


def test_a_run_of_epochs_is_made_longer_by_epochs(descend: Command) -> None:
    folder = descend("objective=digits_mlp_small", "objective.batch_size=500", "steps=2epochs", "metrics=none").folder
    assert '"steps": 4' in (folder / "result.json").read_text()
    assert descend(f"resume={folder}", "steps=5epochs").code == 0
    assert '"steps": 10' in (folder / "result.json").read_text()


def test_a_sweep_over_epochs_has_both_lengths(descend: Command) -> None:
    done = descend("-m", "objective=digits_mlp_small", "objective.batch_size=500", "steps=1epochs,2epochs")
    assert done.code == 0
    ends = {(folder / "result.json").read_text().split('"steps": ')[1].split(",")[0] for folder in done.folders}
    assert ends == {"2", "4"}
