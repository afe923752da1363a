"""`descend report`: the comparison as one page of HTML."""

from collections.abc import Sequence
from pathlib import Path

from descend.errors import ConfigurationError
from descend.menu.commands.compare import compare_arguments, readable
from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.html import NAME, write_report
from descend.output.report.origin import origin_of
from descend.output.report.runs import runs_together

USAGE = """\
descend report FOLDER… [rank=NAME] [mode=max|min] [out=FILE]

Writes what `descend compare` shows, with its curves and figures, as one HTML file that needs no network: into the
folder, or, of several, as report.html where you are.
"""


def report_command(arguments: Sequence[str]) -> int:
    """Write the report of folders and print its place; return the exit code, 2 where a folder had to be left out.

    Raises:
        ConfigurationError: the arguments are wrong, no folder has results, or the page cannot be written.
    """
    out = [text.removeprefix("out=") for text in arguments if text.startswith("out=")]
    given = compare_arguments([text for text in arguments if not text.startswith("out=")], "descend report")
    if given.help:
        print(USAGE)
        return 0
    if given.csv or given.latex or given.figures is not None:
        raise ConfigurationError(
            "descend report writes a page; --csv, --latex and --figures are for descend compare; remove them."
        )
    sources, code = readable(given.folders)
    runs = runs_together(sources)
    folders = [source.folder for source in sources]
    path = Path(out[-1]) if out else folders[0] / NAME if len(folders) == 1 else Path(NAME)
    found = comparisons(runs, given.rank, given.mode)
    try:
        bands = bands_of(found, runs.curves)
        write_report(path, runs, found, bands, [origin_of(folder) for folder in folders], folders)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; name another place, as out=page.html."
        ) from error
    print(f"written: {path}")
    return code
