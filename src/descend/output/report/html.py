"""The report: one page of HTML that needs nothing else, no network and no library."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import polars as pl

from descend.atomic import whole
from descend.output.pictures.figure import OKABE_ITO, data_uri
from descend.output.report.across import across_section
from descend.output.report.comparison import Comparison
from descend.output.report.origin import Provenance
from descend.output.report.printed import columns
from descend.output.report.runs import Runs
from descend.output.report.sections import figures_of

# The charts are SVG drawn by a script of our own: a charting library has 4.8 MB of its own, and every sweep's folder
# would hold it.
PAGE = Path(__file__).parent / "page"
NAME = "report.html"

LARGEST_PICTURE = 400_000
PICTURES = {"paths.png": "Paths over the contours of the losses", "path.png": "The path over the contours of the loss"}


def write_report(
    path: Path,
    runs: Runs,
    comparisons: Sequence[Comparison],
    bands: pl.DataFrame,
    origins: Sequence[Provenance],
    folders: Sequence[Path],
) -> None:
    """Write the report atomically.

    Args:
        path: of the page.
        runs: that are compared.
        comparisons: of them, one for each objective.
        bands: what `bands_of` returns of these.
        origins: where they come from.
        folders: whose pictures are shown.
    """
    with whole(path) as file:
        file.write(report_page(runs, comparisons, bands, origins, pictures_in(folders)).encode())


def report_page(
    runs: Runs,
    comparisons: Sequence[Comparison],
    bands: pl.DataFrame,
    origins: Sequence[Provenance],
    pictures: Mapping[str, bytes],
) -> str:
    """Return the page.

    Args:
        runs, comparisons, bands, origins: as `write_report` has them.
        pictures: PNG files by what they show.
    """
    tables = runs.by_objective()
    methods = runs.methods
    figures = [figures_of(each, tables[each.task], runs.swept, methods, bands) for each in comparisons]
    data = {"colours": OKABE_ITO, "tasks": figures, "across": across_section(comparisons, runs)}
    title = ", ".join(origin.folder for origin in origins[:3]) + (", …" if len(origins) > 3 else "")
    parts = {
        "title": escape(title),
        "style": (PAGE / "page.css").read_text(),
        "origins": "\n".join(map(origin_html, origins)),
        "tasks": "\n".join(task_html(i, each) for i, each in enumerate(comparisons)),
        "pictures": "\n".join(picture_html(name, png) for name, png in pictures.items()),
        # In a script `<` may begin its end or a comment, wherever it stands.
        "data": json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        "script": (PAGE / "page.js").read_text(),
    }
    page = (PAGE / "page.html").read_text()
    for name, text in parts.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page


def task_html(place: int, comparison: Comparison) -> str:
    """Return the section of one objective: its table and notes, and the places of its figures."""
    shown = columns(comparison)
    head = "".join(f'<th scope="col"><button>{breakable(column.heading)}</button></th>' for column in shown)
    lines = zip(*(column.cells for column in shown), strict=True)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in lines)
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    way = "highest" if comparison.measure.highest else "lowest"
    name = escape(comparison.task or "Comparison")
    many = f"{comparison.runs:,} runs of {comparison.settings:,} settings"
    label = comparison.measure.label
    what = ", the loss that is minimised, at the end of a run," if label == "value" else ""
    said = f"{many}; the {way} {label}{what} is the best."
    return (
        f'<section class="task" data-task="{place}"><h2>{name}</h2><p>{escape(said)}</p>'
        f'<div class="wide"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<ul class="notes">{notes}</ul><div class="figures"></div></section>'
    )


def breakable(heading: str) -> str:
    """Return a heading that a narrow screen may break after a slash."""
    return escape(heading).replace("/", "/<wbr>")


def origin_html(origin: Provenance) -> str:
    """Return the command and the provenance of a folder."""
    known = {name: value for name, value in origin.facts.items() if value is not None and name != "dirty"}
    changed = ["with changes that were not committed"] if origin.facts.get("dirty") else []
    told = ", ".join([*(f"{name.replace('_', ' ')} {value}" for name, value in known.items()), *changed])
    command = f"<pre>{escape(origin.command)}</pre>" if origin.command else ""
    return f"<h3>{escape(origin.folder)}</h3>{command}<p>{escape(told)}</p>"


def pictures_in(folders: Sequence[Path]) -> dict[str, bytes]:
    """Return the pictures of folders that are not too large for a page."""
    paths = [folder / name for folder in folders for name in PICTURES if (folder / name).exists()]
    small = [path for path in paths if path.stat().st_size <= LARGEST_PICTURE]
    return {f"{PICTURES[path.name]} ({path.parent.resolve().name})": path.read_bytes() for path in small}


def picture_html(name: str, png: bytes) -> str:
    """Return a picture as a part of the page itself."""
    caption = escape(name)
    return f'<figure><img alt="{caption}" src="{data_uri(png)}"><figcaption>{caption}</figcaption></figure>'
