"""Device, precision, threads and compiling: as named, or by the configuration alone."""

from typing import Any

import pytest
import torch
from toys import Line, Scripted

from descend.aggregators.torchjd_aggregator import TorchJD
from descend.engine.backends.choose import LONG_RUN, SMALL_STEP, compiles
from descend.engine.experiment import Experiment
from descend.engine.placement import (
    ACCELERATOR_PAYS,
    THREADS_PAY,
    choose_device,
    choose_dtype,
    choose_threads,
)
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.objectives.objective import Objective
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.torch_optim import TorchOptim

CPU, METAL = torch.device("cpu"), torch.device("mps")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_the_device_named(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu", 1) == CPU
    assert choose_device("cuda", 1) == torch.device("cuda")
    assert choose_device("cuda:1", 1) == torch.device("cuda:1")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps", 1) == METAL


def test_the_accelerator_is_for_large_problems(two_gpus: None) -> None:
    assert choose_device("auto", ACCELERATOR_PAYS - 1) == CPU
    assert choose_device("auto", ACCELERATOR_PAYS) == torch.device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "meta", "cpu:3", "", "0", "xpu"])
def test_a_device_that_does_not_exist(name: str) -> None:
    with pytest.raises(ConfigurationError, match="auto, cpu, cuda"):
        choose_device(name, 1)


def test_a_device_that_this_machine_lacks(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"'cuda:2'.* 2 CUDA devices"):
        choose_device("cuda:2", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigurationError, match="device=cpu"):
        choose_device("cuda", 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match="Metal"):
        choose_device("mps", 1)


def test_precision() -> None:
    assert choose_dtype("auto", torch.float64, CPU) == torch.float64
    assert choose_dtype("float32", torch.float64, CPU) == torch.float32
    assert choose_dtype("auto", torch.float64, METAL) == torch.float32
    for name in ("int64", "complex64", "bool", "double64", "nn", ""):
        with pytest.raises(ConfigurationError, match="floating"):
            choose_dtype(name, torch.float64, CPU)
    with pytest.raises(ConfigurationError, match="Metal"):
        choose_dtype("float64", torch.float32, METAL)


def test_precision_reaches_parameters_and_data() -> None:
    run = Run(Experiment(Line(), dtype="float32", steps=2))
    list(run)
    objective = run.experiment.objective
    assert isinstance(objective, Line)
    assert objective.inputs.dtype == torch.float32
    assert {x.dtype for x in run.params.values()} == {torch.float32}
    assert Run(Experiment(Line())).params["w"].dtype == torch.float64


def test_threads_by_the_size_of_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 6)
    assert choose_threads("auto", THREADS_PAY - 1) == 1
    assert choose_threads("auto", THREADS_PAY) == 6
    assert choose_threads(3, 1) == 3


@pytest.mark.parametrize("threads", [0, -1, True, "two", 1.5])
def test_threads_that_make_no_sense(threads: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole number of at least 1"):
        choose_threads(threads, 1)


def chosen(experiment: Experiment) -> bool:
    return compiles(experiment, experiment.objective.init(experiment.generator()), LONG_RUN)


def test_auto_compiles_long_runs_of_small_steps() -> None:
    assert chosen(Experiment(Rosenbrock(), steps=LONG_RUN))
    assert not chosen(Experiment(Rosenbrock(), steps=LONG_RUN - 1))
    assert chosen(Experiment(Rosenbrock(dim=SMALL_STEP), steps=LONG_RUN))
    assert not chosen(Experiment(Rosenbrock(dim=SMALL_STEP + 1), steps=LONG_RUN))
    assert Run(Experiment(Rosenbrock(), optimizer=TorchOptim(), steps=LONG_RUN)).loop.backend.name == "python"
    assert not chosen(Experiment(Rosenbrock(), compile=False, steps=LONG_RUN))
    assert chosen(Experiment(Rosenbrock(), compile=True, steps=1))


def test_compiling_what_cannot_be_traced() -> None:
    with pytest.raises(ConfigurationError, match="TorchOptim is not made of tensor operations"):
        Run(Experiment(Rosenbrock(), optimizer=TorchOptim(), compile=True))
    pytest.importorskip("torchjd")
    with pytest.raises(ConfigurationError, match="TorchJD is not made of tensor operations"):
        Run(Experiment(Rosenbrock(), aggregator=TorchJD(), compile=True))


@pytest.mark.parametrize("compile", ["maybe", "true", 1, 0, None, 0.5])
@pytest.mark.parametrize("objective", [Scripted(), Rosenbrock()])
def test_an_experiment_knows_which_values_compile_has(objective: Objective, compile: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"compile is {compile!r}, but it must be auto, true or false"):
        Experiment(objective, compile=compile)
