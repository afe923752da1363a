"""Results that show themselves in a notebook, as tables and pictures."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from descend.engine.result import Result
from descend.errors import ConfigurationError
from descend.output.pictures.cosines import cosines_picture
from descend.output.pictures.curves import curves_figure
from descend.output.pictures.figure import data_uri, png
from descend.output.pictures.spectrum import spectrum_picture
from descend.output.pictures.sweep import sweep_figure
from descend.output.report.compared import comparisons
from descend.output.report.comparison import Comparison
from descend.output.report.curves import bands_of, recorded_as
from descend.output.report.printed import columns
from descend.output.report.ranking import measures_of, ranked_runs
from descend.output.report.runs import Runs
from descend.output.report.sources import swept_in
from descend.output.table import rows
from descend.records import SCHEMA

if TYPE_CHECKING:
    from descend.output.pictures.canvas import Picture


class ShownResult(Result):
    """A result that a notebook shows as a table and its curves."""

    def plot(self) -> "Picture":
        """Return the curves of the run as a figure; see `descend.plot`."""
        return plot(self)

    def _repr_html_(self) -> str:
        curves = curves_figure(self.blocks)
        pictures = [
            None if curves is None else png(curves),
            cosines_picture(self.blocks, "angles between the gradients"),
            spectrum_picture(self.blocks, "eigenvalues"),
        ]
        title = f"<b>{escape(self.status)}</b>: {escape(self.reason)}"
        return "\n".join([title, html_table([], rows(self).items()), *map(image, filter(None, pictures))])


def shown_result(result: Result) -> ShownResult:
    """Return a result as one that shows itself."""
    return ShownResult(**vars(result))


class SweepTable(pl.DataFrame):
    """The table of a sweep, a polars frame with a row for each run; a notebook shows the comparison of its settings.

    What polars makes of it (a filter, a join) is a frame like any other.

    Attributes:
        curves: run, step, name, value of what the runs are compared by; no rows where the table was made of another.
        rank: `sweep.rank`, the measure that they are compared by; None where it was not given.
    """

    curves: pl.DataFrame = pl.DataFrame(schema=SCHEMA)
    rank: str | None = None

    def _repr_html_(self, *, _from_series: bool = False) -> str:
        runs = runs_of_table(self)
        if runs is None:
            return super()._repr_html_(_from_series=_from_series)
        found = comparisons(runs, self.rank)
        picture = figure_of(runs, found, self.rank)
        parts = [f"<b>{len(self):,} runs</b>", *map(html_comparison, found)]
        return "\n".join([*parts, *([] if picture is None else [image(png(picture))])])


def plot(what: Result | pl.DataFrame) -> "Picture":
    """Return a figure of a result or of a sweep's table; see `descend.plot`."""
    if isinstance(what, Result):
        figure = curves_figure(what.blocks)
        missing = "This result has no records, so there is no curve to draw; draw what descend.run returned."
    else:
        table = what if isinstance(what, SweepTable) else SweepTable(what)
        runs = runs_of_table(table)
        figure = None if runs is None else figure_of(runs, comparisons(runs, table.rank), table.rank)
        missing = (
            "There is nothing to draw: this is no table of a sweep, or no number was swept at three values or more and "
            "the table has no curves; draw what descend.sweep returned, as it is."
        )
    if figure is None:
        raise ConfigurationError(missing)
    return figure


def figure_of(runs: Runs, found: Sequence[Comparison], rank: str | None) -> "Picture | None":
    """Return the picture of a sweep; None where there is nothing to draw."""
    ranked = ranked_runs(runs.by_objective(), rank)
    return sweep_figure(ranked, runs.swept, bands_of(found, runs.curves))


def sweep_table(table: pl.DataFrame, curves: pl.LazyFrame, rank: str | None) -> SweepTable:
    """Return the table of a sweep with the curves of what its runs are compared by.

    Args:
        table: a row for each run.
        curves: every record of every run.
        rank: the measure that the runs are compared by; see `measures_of`.
    """
    shown = SweepTable(table)
    runs = runs_of_table(shown)
    measures = set() if runs is None else set(measures_of(runs.by_objective(), rank).values())
    shown.rank = rank if rank in {measure.label for measure in measures} else None
    wanted = [expression for measure in measures if (expression := recorded_as(measure)) is not None]
    shown.curves = curves.filter(pl.any_horizontal(wanted)).collect() if wanted else shown.curves
    return shown


def runs_of_table(table: SweepTable) -> Runs | None:
    """Return the runs of a table as they are compared; None where it is no sweep's any more."""
    try:
        swept = swept_in(table)
    except ValueError:
        return None
    return Runs.of(pl.DataFrame(table), swept, table.curves.lazy()) if len(table) else None


def html_comparison(comparison: Comparison) -> str:
    """Return the settings of one objective as a table, and its notes below."""
    found = columns(comparison)
    cells = zip(*(column.cells for column in found), strict=True)
    title = [f"<p>{escape(comparison.task)}</p>"] if comparison.task else []
    notes = [f"<p>note: {escape(note)}</p>" for note in comparison.notes]
    return "\n".join([*title, html_table([column.heading for column in found], cells), *notes])


def html_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table with these headings and lines of cells."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def image(picture: bytes) -> str:
    """Return a PNG file as a part of a page."""
    return f'<img src="{data_uri(picture)}" style="max-width: 100%">'
