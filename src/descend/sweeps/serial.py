"""Jobs run one after the other: the way of what cannot be stacked."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import polars as pl

from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import run
from descend.records import frame
from descend.sweeps.job import Chunk, Group, Job


def run_serially(group: Group, build: Callable[[Sequence[str]], Experiment]) -> Iterator[Chunk]:
    """Run each job of a group by itself, yielding a chunk for each; one that raises yields a failed result."""
    for job in group.jobs:
        try:
            result = run(build(job.overrides))
        except Exception as error:
            result = failed(error)
        curves = frame(result.blocks, job.index)
        yield Chunk((job,), (replace(result, blocks=[]),), curves)


def failed(error: Exception) -> Result:
    """Return the result of a job that raised."""
    reason = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    return Result(
        "failed",
        reason,
        0,
        float("nan"),
        float("inf"),
        {},
        float("nan"),
        {},
        0.0,
        None,
        {},
        provenance={"traceback": trace},
    )


def all_failed(jobs: Sequence[Job], error: Exception) -> Chunk:
    """Return the chunk of jobs that failed together."""
    return Chunk(tuple(jobs), tuple(failed(error) for _ in jobs), pl.DataFrame(schema=frame([]).schema))
