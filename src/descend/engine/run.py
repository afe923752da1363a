"""One run from start to result, its records handed to sinks as they come."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress

from descend.engine.experiment import Experiment
from descend.engine.loop import Loop
from descend.engine.provenance import provenance
from descend.engine.result import Result
from descend.engine.sink import Sink
from descend.engine.stopping import Verdict
from descend.records import Records, last


def run(experiment: Experiment, sinks: Sequence[Sink] = ()) -> Result:
    """Run an experiment and return its result, records included.

    Ctrl-C ends the run with status `interrupted`; its result is returned like any other.

    Raises:
        ConfigurationError: the experiment cannot start; nothing was computed.
        Exception: what the objective, optimizer or a metric raised; by then every sink was closed with a result whose
            status is `failed`.
    """
    return drive(Loop(experiment), sinks)


def drive(loop: Loop, sinks: Sequence[Sink], leave: Callable[[Loop, Result], Records] | None = None) -> Result:
    """Run a loop that is ready to start.

    Args:
        leave: leaves what the sinks don't, a checkpoint say, and returns the last records: a picture of the run.
    """
    blocks: list[Records] = []
    try:
        with suppress(KeyboardInterrupt):
            for records in loop:
                blocks.append(records)
                spread(records, sinks)
        result = documented(loop, loop.result(), blocks)
        if leave is not None:
            spread(leave(loop, result), sinks)
    except Exception as error:
        verdict = Verdict("failed", f"{type(error).__name__}: {error}", loop.step)
        close(sinks, documented(loop, loop.unevaluated(verdict), blocks))
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


def documented(loop: Loop, result: Result, blocks: list[Records]) -> Result:
    """Return the result with its records and where it comes from."""
    origin = provenance(loop.experiment, loop.carry.params, loop.threads, loop.compiled)
    values = last(blocks, loop.experiment.values)
    return dataclasses.replace(result, values=values, provenance=origin, blocks=blocks)
