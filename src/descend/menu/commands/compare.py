"""`descend compare`: which setting is best, by how much, and whether that may be luck."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from descend.errors import ConfigurationError
from descend.menu.commands.arguments import Parser
from descend.output.pictures.paper import FORMATS, write_figures
from descend.output.report.across import across_section
from descend.output.report.compared import comparisons
from descend.output.report.comparison import Comparison
from descend.output.report.curves import bands_of
from descend.output.report.measure import MODES
from descend.output.report.printed import as_csv, as_latex, printable, printable_across, terminal
from descend.output.report.runs import Runs, runs_together
from descend.output.report.sections import figures_of
from descend.output.report.sources import RunsInFolder, read_folder

FIGURES = "figures"
"""The folder for figures, made in the folder of the sweep, or in the current one for several sweeps."""

USAGE = """\
descend compare FOLDER… [rank=NAME] [mode=max|min] [target=NUMBER] [--csv | --latex | --figures pdf|svg]

Compares the settings of sweeps and runs, grouped over their seeds, one table for each objective.

  descend compare outputs/2026-01-31/12-00-00       one sweep
  descend compare outputs/2026-01-31/*              all of a day, other people's too
  descend compare FOLDER rank=test/accuracy         by another number than the validation metric or the training loss
  descend compare FOLDER target=0.1                 which runs got there, and how soon
  descend compare FOLDER --csv > table.csv          every column; --latex makes a tabular (booktabs)
  descend compare FOLDER --figures pdf              figures for a paper, into the folder's figures/: curves, the result
                                                    against the swept number and the settings tried, profiles

setting   what differs; of each combination of choices the best of all numbers
runs      how many seeds; median, IQM (the mean of the middle half) and its 95% interval are of these
verdict   against the first row by Wilcoxon's signed-rank test of the seeds they share, corrected by Holm: worse, tie
          (the data cannot tell), or too few seeds to claim anything
P(…)      the probability that a run is better than one of the next row
score     over several objectives: how near a method is to the fastest on all targets, 1 at best (AlgoPerf's)
ERT       expected runtime: the steps that restarts would take until one reaches the target
"""


def compare_command(arguments: Sequence[str]) -> int:
    """Compare the runs of folders and print it; return the exit code, 2 where a folder had to be left out.

    Raises:
        ConfigurationError: the arguments are wrong, or no folder has results.
    """
    given = compare_arguments(arguments)
    if given.help:
        print(USAGE)
        return 0
    sources, code = readable(given.folders)
    runs = runs_together(sources)
    found = comparisons(runs, given.rank, given.mode, given.target)
    if given.figures is not None:
        folder = given.folders[0] if len(given.folders) == 1 else Path()
        for path in figures_written(folder / FIGURES, runs, found, given.figures):
            print(f"written: {path}")
        return code
    if given.csv or given.latex:
        print(as_csv(found) if given.csv else as_latex(found), end="")
        return code
    console = terminal()
    for comparison in found:
        console.print(printable(comparison, console.width))
        console.print()
    across = across_section(found, runs)
    if across is not None:
        console.print(printable_across(across))
        console.print()
    for note in runs.notes:
        console.print(Text(f"note: {note}"))
    return code


def figures_written(folder: Path, runs: Runs, found: Sequence[Comparison], kind: str) -> list[Path]:
    """Write the figures of comparisons for a paper, and return their files.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    bands, tables, methods = bands_of(found, runs.curves), runs.by_objective(), runs.methods
    tasks = {each.task: figures_of(each, tables[each.task], runs.swept, methods, bands) for each in found}
    try:
        return write_figures(folder, tasks, across_section(found, runs), kind)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written: {error.strerror}; see to its permissions, or to the room on the disk."
        ) from error


def compare_arguments(arguments: Sequence[str], command: str = "descend compare") -> argparse.Namespace:
    """Return `folders`, `rank`, `mode`, `target`, `csv`, `latex`, `figures` and `help`."""
    parser = Parser(command)
    parser.add_argument("named", nargs="*")
    for flag in ("--csv", "--latex", "--help", "-h"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--figures", choices=FORMATS)
    given = parser.parse_intermixed_args(list(arguments))
    given.help = given.help or given.h
    given.folders, settings = [], {"rank": None, "mode": "auto", "target": None}
    for text in given.named:
        name, equals, value = text.partition("=")
        if not equals or Path(text).exists():
            given.folders.append(Path(text))
        elif name in settings:
            settings[name] = value
        else:
            parser.error(f"{name} is no setting of it: it has {', '.join(settings)}")
    vars(given).update(settings)
    if not given.folders and not given.help:
        parser.error("it was given no folder")
    if given.csv + given.latex + (given.figures is not None) > 1:
        parser.error("--csv, --latex and --figures are three forms of output; give one of them")
    check_mode(given)
    given.target = None if given.target is None else finite_number("target", given.target)
    return given


def check_mode(given: argparse.Namespace) -> None:
    """Require a mode that there is, and something that it is for.

    Raises:
        ConfigurationError: naming the modes.
    """
    if given.mode not in MODES:
        raise ConfigurationError(f"mode is {given.mode}, but it must be {', '.join(MODES[:-1])} or {MODES[-1]}.")
    if given.mode != "auto" and given.rank is None:
        raise ConfigurationError(
            f"mode={given.mode} is given, but nothing that it is for; name it, as rank=test/accuracy."
        )


def finite_number(name: str, text: str) -> float:
    """Return the finite number that a text writes.

    Raises:
        ConfigurationError: it writes none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigurationError(f"{name} is {text}, but it must be a finite number, as {name}=0.1.")
    return value


def readable(folders: Sequence[Path]) -> tuple[list[RunsInFolder], int]:
    """Return the folders that can be read, and the exit code: 2 where others cannot, of which it says why.

    Raises:
        ConfigurationError: none can be.
    """
    sources, refused = [], []
    for folder in folders:
        try:
            sources.append(read_folder(folder))
        except ConfigurationError as error:
            refused.append(error)
    if not sources:
        raise ConfigurationError("\n".join(map(str, refused)))
    for refusal in refused:
        print(f"descend: {refusal}", file=sys.stderr)
    return sources, 2 if refused else 0
