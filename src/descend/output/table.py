"""The result of a run, for a person to read."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from descend.engine.result import Result

# Importing rich takes a tenth of the time that importing torch does: a line that nobody sits at does without it.

COLOURS = {"converged": "green", "finished": "green"}


def show(result: "Result", folder: Path | None, console: "Console | None" = None) -> None:
    """Print the result and the command that opens it in TensorBoard; one line where nobody sits at a terminal.

    Args:
        folder: the run's folder, or None where nothing was kept.
        console: where to print.
    """
    if not (sys.stdout.isatty() if console is None else console.is_terminal):
        place = "" if folder is None else f"; {folder}"
        file = sys.stdout if console is None else console.file
        print(f"{result.status}: {result.reason}; value {result.value:.6g}{place}", file=file)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = console or Console()
    status = f"[{COLOURS.get(result.status, 'red')}]{result.status}[/]: {escape(result.reason)}"
    table = Table(show_header=False, title=status)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows(result).items():
        table.add_row(escape(name), escape(text))
    console.print(table)
    if folder is not None:
        console.print(f"kept in {folder}", markup=False, highlight=False, soft_wrap=True)
        if any(folder.glob("events.out.tfevents.*")):
            command = f"descend board {shlex.quote(str(folder))}"
            console.print(f"see it: [bold]{escape(command)}[/]", highlight=False, soft_wrap=True)


def show_claims(
    claims: Mapping[str, Mapping[str, Any]], values: Mapping[str, float], console: "Console | None" = None
) -> None:
    """Print each number that a text makes a claim about, what it prints there, and why they differ.

    Args:
        claims: by the number's name, what is `printed` there, or None, and `why`.
        values: the run's own numbers.
        console: where to print.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = console or Console()
    table = Table("number", "here", "printed there", "why")
    for name, claim in claims.items():
        printed, why = claim["printed"], claim["why"]
        here = f"{values[name]:.8g}" if name in values else "not recorded"
        there = "" if printed is None else f"{printed:g}"
        if not console.is_terminal:
            as_there = ", as printed there" if same_digits(here, there) else f", where {there} is printed"
            beside = as_there if there else ""
            console.print(
                f"  {name} = {here}{beside}{why and f': {why}'}", soft_wrap=True, markup=False, highlight=False
            )
        style = None if same_digits(here, there) or not there else "red"
        table.add_row(*map(escape, (name, here, there, why)), style=style)
    if console.is_terminal:
        console.print(table)


def same_digits(here: str, there: str) -> bool:
    """Tell whether two numbers are the same to the digits that the second is printed with."""
    digits = len(there.partition(".")[2])
    try:
        return round(float(here), digits) == float(there)
    except ValueError:  # nothing was recorded, or nothing printed
        return False


def rows(result: "Result") -> dict[str, str]:
    """Return the lines of the table, name and text."""
    rate = f", {result.steps / result.seconds:,.0f} steps/s" if result.seconds > 0 else ""
    lines = {
        "steps": f"{result.steps:,} in {result.seconds:.3g} s{rate}",
        "value": f"{result.value:.10g}",
        "lowest value seen": f"{result.best_value:.10g}",
    }
    if len(result.losses) > 1:
        lines |= {f"loss {name}": f"{loss:.10g}" for name, loss in result.losses.items()}
    lines["gradient norm"] = f"{result.gradient_norm:.6g}"
    lines |= {name.replace("_", " "): f"{number:.6g}" for name, number in (result.metrics | result.values).items()}
    shown = {} if result.many_parameters else result.parameters or {}
    lines |= {name: _text(value) for name, value in shown.items()}
    lines["evaluations"] = ", ".join(f"{count:,} {name}" for name, count in result.evaluations.items() if count)
    return lines


def _text(value: float | list) -> str:
    return f"[{', '.join(map(_text, value))}]" if isinstance(value, list) else f"{value:.8g}"
