"""Precision, checkpoints, generators, budgets and provenance on a device."""

import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pretend
import pytest
import torch
from conftest import Command
from pretend import NAME, counted
from stacks import ON_DEVICE, alone

from descend import devices
from descend.engine.backends import choose
from descend.engine.budgeted import Budgeted
from descend.engine.checkpoint import Every, load
from descend.engine.experiment import Experiment
from descend.engine.placement import computing
from descend.engine.run import Run
from descend.graph.trace import tensors
from descend.memory import free_bytes
from descend.menu.source import MENU
from descend.metrics.metric import Metric
from descend.objectives.rosenbrock import Rosenbrock
from descend.sweeps import parts
from descend.sweeps.parts import default_parts
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings

pytestmark = pytest.mark.usefixtures("gpus")

CPU = torch.device("cpu")
QUIET = ["metrics=none", "derivatives=none"]
FREE, RESERVED, ALLOCATED = 8 << 30, 3 << 30, 1 << 30
CUDNN: Any = torch.backends.cudnn  # its parts are made as it is imported
FLAGS = (torch.backends.cuda.matmul, CUDNN.conv, CUDNN.rnn)


def gpu() -> torch.device:
    """The first GPU; torch knows its name once the fixture has registered it."""
    return torch.device(NAME, 0)


def flags() -> list[Any]:
    """How torch computes now."""
    precise = [each.fp32_precision for each in FLAGS]
    repeated = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    return [*precise, *repeated, torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark]


def test_a_gpu_computes_as_exactly_as_a_cpu_and_repeatably(monkeypatch: pytest.MonkeyPatch) -> None:
    before = flags()
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    with computing(1, CPU):
        assert flags() == before
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    with computing(1, gpu()):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert flags() == ["ieee", "ieee", "ieee", True, True, True, False]
    assert flags() == before
    with pytest.raises(KeyError), computing(1, gpu()):
        raise KeyError
    assert flags() == before


def test_every_step_is_made_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    held = pretend.carry_out

    def carry_out(func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        if func is torch.ops.aten.mm.default:
            seen.append(flags()[:4])
        return held(func, args, kwargs)

    monkeypatch.setattr(pretend, "carry_out", carry_out)
    alone(["objective=digits_mlp_small", "steps=2", ON_DEVICE, *QUIET])
    assert seen
    assert {tuple(each) for each in seen} == {("ieee", "ieee", "ieee", True)}


def test_provenance_tells_what_decides_the_bits() -> None:
    found = alone(["objective=rosenbrock", "steps=1", ON_DEVICE, *QUIET]).provenance
    json.dumps(found)
    assert found["device"] == f"{NAME}:0"
    assert found["device_name"] == "a pretend GPU"
    assert found["precision"] == {"matmul": "ieee", "convolution": "ieee", "recurrent": "ieee"}
    assert found["algorithms"] == "deterministic wherever torch has such"
    assert {"cuda", "cudnn", "driver"} <= found.keys()
    assert not {"precision", "driver"} & alone(["objective=rosenbrock", "steps=1", *QUIET]).provenance.keys()


@pytest.mark.parametrize("optimizer", ["adam", "torch"])
def test_checkpoints_lie_on_the_cpu(optimizer: str, tmp_path: Path) -> None:
    from descend.menu.build import build
    from descend.menu.compose import compose

    overrides = ["objective=rosenbrock", f"optimizer={optimizer}", "steps=2", ON_DEVICE, *QUIET]
    run = Run(build(compose(overrides), overrides))
    run.keep(tmp_path / "checkpoint.pt", Every(), [])
    [*_] = run
    run.save_last()
    found = tensors(load(tmp_path / "checkpoint.pt"))
    assert found
    assert {(type(x), x.device.type) for x in found} == {(torch.Tensor, "cpu")}


def test_torchjd_seeds_no_gpu() -> None:
    """Its methods draw on the CPU: the same numbers on every device."""
    pytest.importorskip("torchjd")
    for name in ("Random", "PCGrad", "GradVac"):
        overrides = ["objective=fonseca_fleming", "aggregator=torchjd", f"aggregator.name={name}", "steps=3", *QUIET]
        with counted() as found:
            there = alone([*overrides, ON_DEVICE])
        assert not {place for place in found.waits if place[0] == "manual_seed_all"}
        assert there.parameters == alone(overrides).parameters


class Watched(Metric):
    """Notes when it is called."""

    def __call__(self, observation: Any) -> dict[str, torch.Tensor]:
        EVENTS.append("metric")
        return {}


EVENTS: list[str] = []


def test_a_budget_is_measured_after_the_device_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    EVENTS.clear()
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: EVENTS.append("wait"))

    def clock() -> float:
        EVENTS.append("clock")
        return 0.0

    monkeypatch.setattr("descend.engine.budgeted.time.perf_counter", clock)
    observation: Any = type("Seen", (), {"update": None, "params": {"x": torch.zeros(1, device=NAME)}})()
    Budgeted(1, 0.5, metric=Watched(1, 0.5))(observation)
    assert EVENTS == ["wait", "clock", "metric", "wait", "clock"]
    EVENTS.clear()
    observation.params = {"x": torch.zeros(1)}
    Budgeted(1, 0.5, metric=Watched(1, 0.5))(observation)
    assert EVENTS == ["clock", "metric", "clock"]


def test_free_memory_counts_what_torch_holds_and_does_not_use() -> None:
    free = FREE + RESERVED - ALLOCATED
    assert free_bytes(gpu()) == devices.free_on_gpu(gpu()) == free
    assert Settings().budget(gpu()) == free // 2
    assert Settings().budget(gpu(), processes=2) == free // 2  # one on each of two GPUs
    assert Settings().budget(gpu(), processes=4) == free // 4
    assert Settings(memory=5).budget(gpu(), processes=4) == 5


def test_processes_share_the_memory_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.sweeps.settings.free_bytes", lambda device: 1 << 20)
    assert Settings().budget(CPU) == 1 << 19
    assert Settings().budget(CPU, processes=4) == 1 << 17


def test_auto_compiles_by_launches_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def pays(steps: int, device: str, compile: Any = "auto") -> bool:
        experiment = Experiment(Rosenbrock(), steps=steps, device=device, compile=compile)
        run = Run(experiment.__class__(Rosenbrock(), steps=1, device=device))
        backend: Any = run.loop.backend
        program, params = backend.program, run.params
        monkeypatch.setattr(choose, "MANY_LAUNCHES", 10 * choose.launches(program))
        return choose.program_pays(experiment, program, params)

    assert pays(10, "cuda")
    assert not pays(9, "cuda")
    assert pays(9, "cuda", True)
    assert not pays(10, "cuda", False)
    assert not pays(10, "cpu")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["device=cuda:3"],
            r"device is 'cuda:3', but this machine offers torch 2 CUDA devices; use .*cuda:0 or .*cuda:1",
        ),
        (["device=cuda", "dtype=float8_e5m2"], r"dtype is 'float8_e5m2', but pretend:0 has no arithmetic"),
    ],
)
def test_what_is_not_there_is_refused(descend: Command, arguments: list[str], told: str) -> None:
    done = descend("objective=rosenbrock", *arguments)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert re.search(told, done.err)


def test_a_run_from_the_command_line(descend: Command) -> None:
    done = descend("objective=rosenbrock", "steps=20", ON_DEVICE)
    assert done.code == 0, done.err
    assert json.loads((done.folder / "result.json").read_text())["provenance"]["device"] == f"{NAME}:0"
    done = descend(f"resume={done.folder}", "steps=30")
    assert done.code == 0, done.err


def test_parts_of_a_sweep_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []

    @contextmanager
    def device(number: int) -> Iterator[None]:
        chosen.append(number)
        yield

    monkeypatch.setattr(torch.cuda, "device", device)
    for number in range(4):
        with devices.in_turn(number):
            pass
    assert chosen == [0, 1, 0, 1]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with devices.in_turn(3):
        assert len(chosen) == 4


def test_there_are_as_many_parts_as_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.sweeps.parts.os.sched_getaffinity", lambda process: range(5))
    for device, count in (("cuda", 2), ("cpu", 5)):
        planned = plan([f"device={device}", "objective=rosenbrock", "optimizer.lr=0.1,0.2", *QUIET], Settings())
        assert default_parts(planned) == count


@pytest.mark.parametrize(("host", "processes", "turns"), [(socket.gethostname(), 4, [3]), ("elsewhere", 1, [])])
def test_parts_on_one_machine_share_it(
    host: str, processes: int, turns: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {"turns": []}

    @contextmanager
    def in_turn(number: int) -> Iterator[None]:
        seen["turns"].append(number)
        yield

    monkeypatch.setattr(parts, "in_turn", in_turn)
    monkeypatch.setattr(parts, "carry_out", lambda plan, settings, store: seen.update(processes=plan.processes))
    overrides = ["objective=rosenbrock", "optimizer.lr=0.1,0.2,0.3,0.4", *QUIET]
    config: Any = SimpleNamespace(sweep=SimpleNamespace(part="3/4"))
    parts.run_part(
        config, overrides=overrides, settings=Settings(), folder=tmp_path, done=set(), source=MENU, host=host
    )
    assert seen == {"turns": turns, "processes": processes}
