"""What a run left in its folder, in a form in which two runs can be held against each other."""

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import torch
from polars.testing import assert_frame_equal
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from descend.output.sinks.event_file import event_files


def result(folder: Path) -> dict[str, Any]:
    """What result.json says, times and command line left out."""
    found = json.loads((folder / "result.json").read_text())
    del found["seconds"]
    return found | {"provenance": {k: v for k, v in found["provenance"].items() if k != "command"}}


def table(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "records.parquet").sort("name", "step", maintain_order=True)


def events(folder: Path) -> tuple[Counter[tuple[str, int]], dict[tuple[str, int], bytes]]:
    """How often each name and step is in the event files, and what they say there, times and the command left out."""
    every = itertools.chain.from_iterable(RawEventFileLoader(str(path)).Load() for path in event_files(folder))
    found = [(value.tag, event.step, value) for event in map(Event.FromString, every) for value in event.summary.value]
    told = {
        (tag, step): x.SerializeToString()
        for tag, step, x in found
        if not tag.startswith("_hparams_") and tag != "result"
    }
    return Counter((tag, step) for tag, step, _ in found), told


def state(folder: Path) -> dict[str, Any]:
    """The last checkpoint, the time spent left out."""
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    return content | {"state": {k: x for k, x in content["state"].items() if k != "seconds"}}


def equal(a: Any, b: Any) -> bool:
    """Tell whether two plain trees are the same to the bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return repr(a) == repr(b)  # NaN is itself


def assert_same(folder: Path, undisturbed: Path) -> None:
    """Hold all that a run left against what a run left that nothing disturbed."""
    assert result(folder) == result(undisturbed)
    assert_frame_equal(table(folder), table(undisturbed), check_exact=True)
    counted, told = events(folder)
    expected = events(undisturbed)
    assert counted == expected[0]
    assert set(counted.values()) == {1}
    assert told == expected[1]
    assert equal(state(folder), state(undisturbed))
    assert not (folder / "records").exists()
