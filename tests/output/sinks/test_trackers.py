"""A log that cannot be written never stops the training."""

import subprocess
import sys
import textwrap
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from descend.engine.result import Result
from descend.engine.sink import Sink
from descend.output.sinks.tensorboard import TensorBoard
from descend.output.sinks.trackers import open_sinks
from descend.records import Records

CONF = Path(__file__).parents[3] / "conf"
MENU = sorted(path.stem for path in (CONF / "tracker").glob("*.yaml"))
LEFT_BEHIND = {
    "all": {"events.out.tfevents", "records.parquet"},
    "none": set(),
    "parquet": {"records.parquet"},
    "tensorboard": {"events.out.tfevents"},
}


@pytest.mark.parametrize("choice", MENU)
def test_each_choice_leaves_its_files(choice: str, tmp_path: Path, records: Records, result: Result) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        trackers = instantiate(compose(f"tracker/{choice}")["tracker"], _convert_="all")
    for sink in open_sinks(trackers, tmp_path, {"seed": 1}):
        sink.write(records)
        sink.close(result)
    assert {".".join(path.name.split(".")[:3]) for path in tmp_path.iterdir()} == LEFT_BEHIND[choice]


class Failing:
    """Fails at a chosen call."""

    def __init__(self, at: str, folder: Path, config: dict) -> None:
        self.at = at
        self.calls: list[Any] = []
        self.reach("open")

    def reach(self, call: str) -> None:
        if call == self.at:
            raise OSError(28, "No space left on device")

    def write(self, records: Records) -> None:
        self.reach("write")

    def save(self) -> None:
        self.reach("save")

    def restore(self, step: int) -> None:
        self.reach("restore")

    def close(self, result: Result) -> None:
        self.reach("close")


@pytest.mark.parametrize("at", ["open", "restore", "write", "save", "close"])
def test_a_failure_is_told_once(at: str, tmp_path: Path, records: Records, result: Result) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (sink,) = open_sinks({"event file": partial(Failing, at)}, tmp_path, {})
        sink.restore(3)
        for _ in range(3):
            sink.write(records)
            sink.save()
        sink.close(result)
    assert len(told) == 1
    assert "tracker event file cannot write ([Errno 28] No space left on device)" in str(told[0].message)


def test_a_mistake_in_a_sink_is_not_swallowed(tmp_path: Path) -> None:
    def broken(folder: Path, config: Mapping[str, Any]) -> Sink:
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        open_sinks({"broken": broken}, tmp_path, {})


def test_a_folder_that_is_none(tmp_path: Path, records: Records) -> None:
    [sink] = open_sinks({"tensorboard": TensorBoard}, tmp_path / "missing", {})
    with pytest.warns(RuntimeWarning, match="the run goes on without it"):
        sink.write(records)


@pytest.mark.parametrize("way", ["saved", "not saved"])
def test_a_full_disk(tmp_path: Path, way: str) -> None:
    """The system's own limit on the size of a file stands for the full disk; both refuse the write."""
    program = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        import numpy as np
        from descend.records import Column, Records
        from descend.output.sinks.parquet import Parquet
        from descend.output.sinks.tensorboard import TensorBoard
        from descend.output.sinks.trackers import open_sinks
        from descend.engine.result import Result

        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        sinks = open_sinks({"event": TensorBoard, "parquet": Parquet}, Path(sys.argv[1]), {})
        rng = np.random.default_rng(0)
        for start in range(0, 500_000, 100_000):
            steps = np.arange(start, start + 100_000)
            for sink in sinks:
                sink.write(Records({"value": Column(steps, rng.random(100_000))}))
                if sys.argv[2] == "saved":
                    sink.save()
        for sink in sinks:
            sink.close(Result("finished", "", 1, 0.0, 0.0, {}, 0.0, {}, 1.0, None, {}))
        print("went on")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), way], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "went on\n"
    assert done.stderr.count("RuntimeWarning: The tracker event cannot write") == 1
    assert done.stderr.count("RuntimeWarning: The tracker parquet cannot write") == 1
    assert "Exception ignored" not in done.stderr
    assert [path.name.split(".")[0] for path in tmp_path.rglob("*") if path.is_file()] == ["events"]
