"""The loop: what it yields, what it counts, and how it leaves the process."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import reduce

import polars as pl
import pytest
import torch
from toys import CALLS_AT_START, Line, Scripted, Three

from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import Run, run
from descend.metrics.gradient_norm import GradientNorm
from descend.metrics.metric import Metric
from descend.metrics.parameter_values import ParameterValues
from descend.objectives.objective import Objective
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.adam import Adam
from descend.optimizers.sgd import SGD
from descend.optimizers.torch_optim import TorchOptim
from descend.types import Observation

pytestmark = pytest.mark.filterwarnings("ignore:The loss 'constant' of Three")  # one that no parameter moves


def curve(result: Result, name: str) -> pl.DataFrame:
    return result.records.filter(name=name).sort("step")


def test_records_of_every_step_and_of_the_end() -> None:
    metrics = {"norm": GradientNorm(every=4), "parameters": ParameterValues(every=1)}
    result = run(Experiment(Three(), optimizer=SGD(lr=0.01), metrics=metrics, steps=10))
    for name in ("value", "loss/bowl", "loss/wave", "loss/constant", "parameter/y"):
        assert curve(result, name)["step"].to_list() == list(range(11)), name
    assert curve(result, "gradient/norm")["step"].to_list() == [0, 4, 8, 10]
    assert result.parameters is not None
    assert curve(result, "parameter/y")["value"][-1] == result.parameters["y"]
    assert curve(result, "value")["value"][-1] == result.value
    losses = [curve(result, f"loss/{name}")["value"].to_torch() for name in ("bowl", "wave", "constant")]
    torch.testing.assert_close(
        curve(result, "value")["value"].to_torch(), reduce(torch.add, losses), rtol=1e-14, atol=0
    )


def test_one_loss_has_no_curve_beside_the_value() -> None:
    assert run(Experiment(Line(), steps=2)).records["name"].unique().to_list() == ["value"]


def test_the_values_are_those_of_the_batches_and_the_last_that_of_all_data() -> None:
    experiment = Experiment(Line(), optimizer=Adam(lr=0.1), metrics={"p": ParameterValues()}, steps=11)
    result = run(experiment)
    generator = experiment.generator()
    Line().init(generator)
    batches = Line().batches(generator)
    for step in range(12):
        at = {row["name"]: row["value"] for row in result.records.filter(step=step).to_dicts()}
        params = {
            "w": torch.tensor([at[f"parameter/w[{i}]"] for i in range(3)], dtype=torch.float64),
            "b": torch.tensor(at["parameter/b"], dtype=torch.float64),
        }
        expected = Line().losses(params, next(batches) if step < 11 else None)["squares"]
        assert at["value"] == pytest.approx(float(expected), rel=1e-12)
    assert result.metrics == {"largest_error": pytest.approx(float(Line().evaluate(params)["largest_error"]))}


def test_no_steps_evaluate_and_record_once() -> None:
    result = run(Experiment(Rosenbrock(), metrics={"norm": GradientNorm(every=5)}, steps=0))
    assert (result.status, result.steps, result.parameters) == ("finished", 0, {"x": [-1.2, 1.0]})
    assert result.value == pytest.approx(24.2)  # Rosenbrock 1960
    assert result.gradient_norm == pytest.approx(232.86768775422664)  # by hand: (−215.6, −88)
    assert sorted(result.records.rows()) == [
        (0, 0, "gradient/norm", result.gradient_norm),
        (0, 0, "value", result.value),
    ]
    assert result.evaluations["function"] == result.evaluations["gradient"] == 1


@pytest.mark.parametrize("steps", [1, 5])
def test_first_order_methods_evaluate_once_a_step_and_at_the_end(steps: int) -> None:
    objective = Scripted()
    result = run(Experiment(objective, optimizer=Adam(), steps=steps))
    assert len(objective.calls) == CALLS_AT_START + steps + 1
    assert result.evaluations == {"function": steps + 1, "gradient": steps + 1, "hvp": 0, "hessian": 0}


@pytest.mark.parametrize("compile", [False, True])
def test_recorded_steps_are_counted_like_called_ones(compile: bool) -> None:
    result = run(Experiment(Rosenbrock(), optimizer=Adam(), steps=5, compile=compile))
    assert result.provenance["backend"] == ("kernel" if compile else "graph")
    assert result.evaluations == {"function": 6, "gradient": 6, "hvp": 0, "hessian": 0}


def test_the_closure_of_a_line_search_is_counted() -> None:
    objective, unmoved = Scripted(), Scripted()
    optimizer = TorchOptim(name="LBFGS", lr=1.0, options={"max_iter": 4, "line_search_fn": "strong_wolfe"})
    assert run(Experiment(unmoved, optimizer=optimizer, steps=0)).evaluations["function"] == 1
    result = run(Experiment(objective, optimizer=optimizer, steps=3))
    evaluated = len(objective.calls) - len(unmoved.calls) + 1
    assert evaluated > 4
    assert result.evaluations["function"] == result.evaluations["gradient"] == evaluated


def test_metrics_are_not_counted_as_optimization() -> None:
    @dataclass(frozen=True)
    class Looking(Metric):
        def __call__(self, observation: Observation) -> dict[str, torch.Tensor]:
            return {"again": observation.loss(observation.params), "row": observation.jacobian().sum()}

    plain = run(Experiment(Line(), steps=4))
    watched = run(Experiment(Line(), metrics={"looking": Looking()}, steps=4))
    assert watched.evaluations == plain.evaluations
    assert curve(watched, "again")["value"].to_list() == curve(watched, "value")["value"].to_list()


@pytest.mark.parametrize("before", [1, 2])
@pytest.mark.parametrize("broken", [False, True])
def test_threads_are_as_asked_inside_and_as_before_after(before: int, broken: bool) -> None:
    seen: list[int] = []

    def look(call: int) -> None:
        seen.append(torch.get_num_threads())
        if broken and call > CALLS_AT_START + 2:
            raise RuntimeError("broken")

    kept = torch.get_num_threads()
    torch.set_num_threads(before)
    try:
        single = Run(Experiment(Scripted(look), steps=4, threads=3))
        if broken:
            with pytest.raises(RuntimeError, match="broken"):
                list(single)
        else:
            list(single)
        assert set(seen[CALLS_AT_START:]) == {3}
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(kept)


def test_an_abandoned_run_leaves_the_threads_as_they_were() -> None:
    """Between blocks they belong to whoever takes the records."""
    before = torch.get_num_threads()
    blocks = iter(Run(Experiment(Rosenbrock(), steps=100, threads=before + 1)))
    for _ in range(2):
        next(blocks)
        assert torch.get_num_threads() == before
    assert isinstance(blocks, Generator)
    blocks.close()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("objective", [Line(), Rosenbrock(random_start=True)], ids=["data", "function"])
def test_a_seed_reproduces_and_another_does_not(objective: Objective) -> None:
    def once(seed: int) -> Result:
        return run(Experiment(objective, optimizer=Adam(lr=0.1), seed=seed, steps=12))

    torch.manual_seed(5)
    first = once(7)
    torch.manual_seed(6)
    assert once(7).parameters == first.parameters
    assert once(8).parameters != first.parameters


def test_running_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    run(Experiment(Line(), steps=5))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_start_is_not_changed() -> None:
    experiment = Experiment(Line(), optimizer=TorchOptim(name="Adam", lr=0.1), steps=5)
    assert run(experiment).parameters == run(experiment).parameters


def test_parameters_are_numbers_when_they_are_few_and_tensors_beyond() -> None:
    few, many = (run(Experiment(Rosenbrock(dim=dim), steps=1)) for dim in (32, 33))
    assert (few.many_parameters, many.many_parameters) == (False, True)
    assert few.parameters is not None
    assert many.parameters is not None
    assert len(few.parameters["x"]) == 32
    assert many.parameters["x"].shape == (33,)


def test_the_lowest_value_seen() -> None:
    result = run(Experiment(Rosenbrock(), optimizer=SGD(lr=2e-3, momentum=0.95), steps=60))
    assert result.best_value == curve(result, "value")["value"].min()
    assert result.best_value < result.value
