"""The records of a run and its sinks, driven as the engine drives them; a process of its own, to be killed.

    python -m resumed <folder> <steps>

goes on from the checkpoint that the process before left beside the folder.
"""

import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from descend.atomic import whole
from descend.engine.result import Result
from descend.engine.sink import Sink
from descend.output.sinks import parquet
from descend.output.sinks.parquet import Parquet
from descend.output.sinks.result_file import ResultFile
from descend.output.sinks.tensorboard import TensorBoard
from descend.records import Column, Records


def block(first: int, last: int) -> Records:
    """What a run records of the steps from `first` to before `last`, whatever the process that takes them."""
    steps = np.arange(first, last)
    scalars = {"value": Column(steps, np.sqrt(steps)), "loss/a": Column(steps, -1.0 * steps)}
    tenth = steps[steps % 10 == 0]
    if not len(tenth):
        return Records(scalars)
    histogram = np.array([[[step, step + 1.0], [1.0, 2.0]] for step in tenth])
    return Records(scalars | {"norm": Column(tenth, tenth / 7)}, {"h": Column(tenth, histogram)})


def opened(folder: Path, flush_seconds: float = 0.0) -> list[Sink]:
    """The sinks of a run that starts."""
    config = {"lr": 0.5}
    return [TensorBoard(folder, config, flush_seconds), Parquet(folder, config), ResultFile(folder)]


def restored(folder: Path, step: int, flush_seconds: float = 0.0) -> list[Sink]:
    """The sinks of a run that goes on from a checkpoint."""
    sinks = opened(folder, flush_seconds)
    for sink in reversed(sinks):
        sink.restore(step)
    return sinks


def go(sinks: list[Sink], first: int, last: int, saves: Collection[int], size: int = 7) -> Iterator[int]:
    """Take the steps from `first` to `last` in blocks; yield the step of each checkpoint, the last one at the end."""
    for start in range(first, last, size):
        end = min(start + size, last)
        for sink in sinks:
            sink.write(block(start, end))
        if end in saves or end == last:
            for sink in sinks:
                sink.save()
            yield end
    for sink in sinks:  # the value at the last parameters, which the same step of a longer run has not
        sink.write(Records({"value": Column(np.array([last]), np.array([0.25]))}))
        sink.close(Result("finished", "", last, last / 2, 0.0, {}, 0.0, {}, 1.0, None, {"accuracy": 0.5}))


def main() -> None:
    folder, last = Path(sys.argv[1]), int(sys.argv[2])
    checkpoint = folder.with_suffix(".checkpoint")
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    parquet.ROWS_IN_MEMORY = 200
    print("ready", flush=True)
    for saved in go(restored(folder, step), step, last, range(0, last, 5)):
        with whole(checkpoint) as file:
            file.write(str(saved).encode())
        time.sleep(1e-3)


if __name__ == "__main__":
    main()
