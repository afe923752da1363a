"""What a sweep keeps of a run is the run's own result again, numbers that are not finite included."""

import json
import math

from descend.engine.result import Result
from descend.sweeps.pages import restored


def test_what_json_has_no_name_for_is_nan_again(result: Result) -> None:
    result.value, result.losses = math.inf, {"a": math.nan, "b": 1.0}
    result.parameters, result.metrics = {"x": [math.nan, 2.0], "y": 3.0}, {"accuracy": math.nan}
    found = restored(json.loads(result.json()))
    assert math.isnan(found.value)
    assert math.isnan(found.losses["a"])
    assert math.isnan(found.metrics["accuracy"])
    assert found.parameters is not None
    assert math.isnan(found.parameters["x"][0])
    assert (found.losses["b"], found.parameters["x"][1], found.parameters["y"]) == (1.0, 2.0, 3.0)
    assert (found.status, found.reason, found.steps, found.seconds) == ("finished", "all 3 steps were made", 3, 2.0)


def test_parameters_that_were_too_many_stay_untold(result: Result) -> None:
    result.parameters = None
    assert restored(json.loads(result.json())).parameters is None
