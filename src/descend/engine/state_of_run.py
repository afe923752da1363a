"""The state of one run, taken from that of a stack."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from descend.engine.endings import NEVER, STOPPED


def state_of_run(state: dict[str, Any], run: int) -> dict[str, Any]:
    """Return of the state of a stack that of one of its runs, as that run has it when it is alone.

    One that the stack went on without can itself go on.
    """
    runs = len(state["endings"]["ended"])
    endings = part_of_run(state["endings"], run)
    [left] = endings["ended"]
    [verdict] = endings["verdicts"]
    ended = left and (verdict is None or verdict[0] != STOPPED)
    if runs == 1 and ended == left:
        return state
    carries = [(state["at"], state["carry"])] if not left else state["kept"]
    [own] = [columns_of_run(columns, at.index(run)) for at, columns in carries if run in at]
    return state | {
        "step": endings["stops"][0] if left else state["step"],
        "seconds": state["seconds"] / runs,
        "at": [] if ended else [0],
        "carry": [] if ended else own,
        "kept": [([0], own)] if ended else [],
        "endings": endings if ended else endings | {"ended": [False], "stops": [NEVER], "verdicts": [None]},
        "best": part_of_run(state["best"], run),
    }


def part_of_run(state: Any, run: int) -> Any:
    """Return of what is kept for each run of a stack, in lists and tensors [runs, …], that of one run."""
    if isinstance(state, dict):
        return {name: part_of_run(x, run) for name, x in state.items()}
    if isinstance(state, tuple):
        return tuple(part_of_run(x, run) for x in state)
    if isinstance(state, Tensor):
        return state[run : run + 1]
    return [state[run]] if isinstance(state, list) else state


def columns_of_run(columns: Sequence[Any], place: int) -> list[Any]:
    """Return of a carry, tensors [runs, …], that of one run, tensors [1, …]."""
    return [x[place : place + 1] if isinstance(x, Tensor) else x for x in columns]
