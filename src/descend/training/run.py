"""One run from start to result, its records handed to sinks as they come."""

import dataclasses
from collections.abc import Callable, Sequence
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


def drive(loop: Loop, sinks: Sequence[Sink], draw: Callable[[Loop, Result], Records] | None = None) -> Result:
    """Run a loop that is ready to start.

    Args:
        draw: makes the last records, pictures, from how the run ended.
    """
    blocks: list[Records] = []
    try:
        with suppress(KeyboardInterrupt):
            for records in loop:
                blocks.append(records)
                spread(records, sinks)
        result = finished(loop, blocks)
        if draw is not None:
            spread(draw(loop, result), sinks)
    except Exception as error:
        failed = dataclasses.replace(finished(loop, blocks), status="failed", reason=f"{type(error).__name__}: {error}")
        close(sinks, failed)
        raise
    close(sinks, result)
    return result


def spread(records: Records, sinks: Sequence[Sink]) -> None:
    """Hand records to every sink."""
    for sink in sinks:
        sink.write(records)


def close(sinks: Sequence[Sink], result: Result) -> None:
    """Close every sink in its order."""
    for sink in sinks:
        sink.close(result)


def finished(loop: Loop, blocks: list[Records]) -> Result:
    """Return the loop's result with its records and where it comes from."""
    origin = provenance(loop.experiment, loop.carry.params, loop.threads, loop.compiled)
    return dataclasses.replace(loop.result(), provenance=origin, blocks=blocks)
