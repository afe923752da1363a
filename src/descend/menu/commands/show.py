"""What would run: its equations, its numbers and where each comes from, its size, and how its steps are made."""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from omegaconf import OmegaConf
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from descend.engine.backends.choose import expected
from descend.engine.experiment import Experiment
from descend.engine.run import record_run
from descend.menu.build import PARTS, SETTINGS, as_plain, build
from descend.menu.compose import compose
from descend.menu.make import retargeted
from descend.menu.origins import COMMAND_LINE, origins, value_origin
from descend.menu.ready import users_errors
from descend.menu.schema import Stop
from descend.menu.source import MENU, Source
from descend.optimizers.wrappers.wrapper import Wrapper
from descend.types import Params
from descend.vectors import numel

CLASS = "default of the class"
MOST_NAMES = 6
"""Parameters that are named; networks have more."""

INNER = "inner"
"""The field of a wrapper that holds the optimizer, which is shown by itself."""

ShownValue = tuple[str, str, str]
"""The name of a value, the value as YAML writes it, and where it comes from."""


def show_run(overrides: Sequence[str], source: Source = MENU) -> None:
    """Print what `overrides` would run, without making a step.

    Raises:
        ConfigurationError: it could not run.
    """
    config = compose(overrides, with_hydra=True, source=source)
    choices: Any = OmegaConf.to_container(config.hydra.runtime.choices)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    found, given, console = origins(overrides, source), as_plain(own), Console(highlight=False)
    with users_errors(), torch.random.fork_rng(devices=[]):
        experiment = build(own, list(overrides))
        beginning, recording = record_run(experiment)
        backend = expected(recording, beginning.origin)
    params = beginning.origin.of_run(0).params
    for place, part in parts_of(experiment, given).items():
        retargets = found.get(f"{place}._target_") == COMMAND_LINE
        title = place if retargets or place not in choices else f"{place}={choices[place]}"
        node: Any = OmegaConf.select(OmegaConf.create(given), place) or {}
        node = retargeted(place, OmegaConf.to_container(node), list(overrides))
        show_part(console, title, part, list(rows_of_part(place, part, node, found)))
    stop = {f"stop.{name}": x for name, x in (given["stop"] or {}).items() if x != getattr(Stop, name, None)}
    console.print(Text("settings", style="bold"))
    show_rows(console, list(rows_of({key: given[key] for key in SETTINGS} | stop, "", found)))
    show_summary(
        console,
        {
            "parameters": size_of(params),
            "losses": ", ".join(recording.names),
            "metrics": ", ".join(name.partition(".")[2] for name in recording.experiment.metrics) or "none",
            "computed": computed_in(params),
            "backend": f"{backend.name}: {backend.reason}",
        },
    )


def parts_of(experiment: Experiment, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of an experiment by their places in the menu, wrappers beside the optimizer inside them."""
    optimizer: Any = experiment.optimizer
    around: list[Wrapper] = []
    while isinstance(optimizer, Wrapper):
        around.insert(0, optimizer)
        optimizer = optimizer.inner
    names = [f"wrap.{name}" for name, node in (given["wrap"] or {}).items() if node]
    parts = {place: getattr(experiment, place) for place in PARTS} | {"optimizer": optimizer}
    return parts | dict(zip(names, around, strict=True))


def rows_of_part(place: str, part: Any, node: Mapping[str, Any], found: Mapping[str, str]) -> Iterator[ShownValue]:
    """Yield a row for each field of a part, those that its node states first."""
    stated = {name: value for name, value in node.items() if not str(name).startswith("_")}
    for name, text, origin in rows_of(stated, f"{place}.", found):
        yield name.removeprefix(f"{place}."), text, origin
    for field in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
        if field.init and field.name not in stated and field.name != INNER:
            yield field.name, as_yaml(getattr(part, field.name)), CLASS


def rows_of(node: Mapping[str, Any], above: str, found: Mapping[str, str]) -> Iterator[ShownValue]:
    """Yield a row for each value of a node, those inside nodes too; a class inside is a row of its own."""
    for name, value in node.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            if "_target_" in value:
                yield key, str(value["_target_"]).rpartition(".")[2], value_origin(f"{key}._target_", found) or CLASS
            inner = {inside: x for inside, x in value.items() if not str(inside).startswith("_")}
            yield from rows_of(inner, f"{key}.", found)
        else:
            yield key, as_yaml(value), value_origin(key, found) or CLASS


def as_yaml(value: Any) -> str:
    """Return a value as it is written in YAML and on the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_yaml, value))}]"
    return str(value)


def equation_of(part: Any) -> str:
    """Return the first paragraph of what a class says of itself; nothing where only `dataclass` speaks for it."""
    text = inspect.cleandoc(type(part).__doc__ or "").split("\n\n")[0]
    return "" if text.startswith(f"{type(part).__name__}(") else " ".join(text.split())


def size_of(params: Params) -> str:
    """Return how many numbers the parameters are, and the shapes of the first."""
    shapes = [f"{name} {list(x.shape)}" for name, x in params.items()]
    more = [f"and {len(shapes) - MOST_NAMES} more"] if len(shapes) > MOST_NAMES else []
    return f"{numel(params):,}: {', '.join([*shapes[:MOST_NAMES], *more])}"


def computed_in(params: Params) -> str:
    """Return in which precision and where a run computes."""
    first = next(iter(params.values()))
    return f"in {str(first.dtype).removeprefix('torch.')} on {first.device}"


def show_part(console: Console, title: str, part: Any, rows: Sequence[ShownValue]) -> None:
    """Print what a part is, its equation, and its values."""
    name = f"{type(part).__module__}.{type(part).__qualname__}"
    console.print(Text.assemble((title, "bold"), "  ", (name, "dim")))
    console.print(Padding(Text(equation_of(part)), (0, 0, 0, 2), expand=False))
    show_rows(console, rows)


def show_rows(console: Console, rows: Sequence[ShownValue]) -> None:
    """Print values in columns, and an empty line."""
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        grid.add_row(*map(Text, row))
    if rows:
        console.print(Padding(grid, (0, 0, 0, 4), expand=False))
    console.print()


def show_summary(console: Console, told: Mapping[str, str]) -> None:
    """Print what is known of the whole run."""
    grid = Table.grid(padding=(0, 2))
    for name, text in told.items():
        grid.add_row(Text(name, style="bold"), Text(text))
    console.print(grid)
