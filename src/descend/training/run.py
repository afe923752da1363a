"""One run from start to result, its records handed to sinks as they come."""

import dataclasses
from collections.abc import Sequence
from contextlib import suppress

from descend.records import Records
from descend.telemetry.sink import Sink
from descend.training.experiment import Experiment
from descend.training.loop import Loop
from descend.training.provenance import provenance
from descend.training.result import Result


def run(experiment: Experiment, sinks: Sequence[Sink] = ()) -> Result:
    """Run an experiment and return its result, records included.

    Ctrl-C ends the run with status `interrupted`; its result is returned like any other.

    Raises:
        ConfigurationError: the experiment cannot start; nothing was computed.
        Exception: what the objective, optimizer or a metric raised; by then every sink was closed with a result whose
            status is `failed`.
    """
    return drive(Loop(experiment), sinks)


def drive(loop: Loop, sinks: Sequence[Sink]) -> Result:
    """Run a loop that is ready to start."""
    blocks: list[Records] = []
    try:
        with suppress(KeyboardInterrupt):
            for records in loop:
                blocks.append(records)
                for sink in sinks:
                    sink.write(records)
    except Exception as error:
        failed = dataclasses.replace(finished(loop, blocks), status="failed", reason=f"{type(error).__name__}: {error}")
        for sink in sinks:
            sink.close(failed)
        raise
    result = finished(loop, blocks)
    for sink in sinks:
        sink.close(result)
    return result


def finished(loop: Loop, blocks: list[Records]) -> Result:
    """Return the loop's result with its records and where it comes from."""
    origin = provenance(loop.experiment, loop.carry.params, loop.threads, loop.compiled)
    return dataclasses.replace(loop.result(), provenance=origin, blocks=blocks)
