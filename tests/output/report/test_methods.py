"""One method has one colour, whatever the figure, the objective and its place in the ranking."""

import itertools

import polars as pl

from descend.output.pictures.figure import DASHES, OKABE_ITO, nth_style
from descend.output.pictures.paper import charts_across, charts_of, lines_figure
from descend.output.pictures.sweep import sweep_figure
from descend.output.report.across import across_section
from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.methods import Methods
from descend.output.report.ranking import ranked_runs
from descend.output.report.runs import Runs
from descend.output.report.sections import figures_of

NAMES = ["sgd", "adam", "lion", "fixed", "soap"]
"""In the order of the runs; `fixed` was given no rate, and so has one setting."""

RATES = [0.01, 0.1, 1.0, 10.0]


def runs() -> Runs:
    """Return runs over two objectives, in which the order of the methods is reversed."""
    rows = [
        (objective, name, rate, seed, 1.0 + (place if objective == "bowl" else 9 - place) + 0.1 * seed + (rate or 0))
        for objective in ("bowl", "valley")
        for place, name in enumerate(NAMES)
        for rate in ([None] if name == "fixed" else RATES)
        for seed in range(2)
    ]
    schema = ["objective", "optimizer", "optimizer.lr", "seed", "value"]
    table = pl.DataFrame(rows, schema, orient="row", infer_schema_length=None).with_row_index("run")
    table = table.with_columns(pl.col("run").cast(pl.Int64), status=pl.lit("finished"), steps=pl.lit(3))
    curves = [
        (run, step, "value", value * 2.0 ** (3 - step))
        for run, value in table.select("run", "value").iter_rows()
        for step in range(4)
    ]
    records = pl.DataFrame(curves, schema=["run", "step", "name", "value"], orient="row")
    return Runs(table, tuple(schema[:-1]), records.lazy())


def test_a_method_has_one_colour_in_the_report_the_figures_and_the_picture_of_the_sweep() -> None:
    found = runs()
    compared = comparisons(found)
    bands, tables = bands_of(compared, found.curves), found.by_objective()
    tasks = [figures_of(each, tables[each.task], found.swept, found.methods, bands) for each in compared]
    assert [task["tuning"]["lines"][0]["name"] for task in tasks] == ["sgd", "soap"]
    across = across_section(compared, found)
    assert across is not None
    charts = [chart for task in tasks for chart in charts_of(task).values()] + list(charts_across(across).values())
    colours = {name: set[str]() for name in NAMES}
    for chart in charts:
        drawn = lines_figure(chart).axes[0].lines if chart.series else []
        for each, line in zip(chart.series, drawn, strict=True):
            colours[each["name"].split()[0]] |= {OKABE_ITO[each["style"].colour], str(line.get_color())}
    ranked = ranked_runs(found.by_objective(), None)
    for own in (ranked, ranked.with_columns(pl.lit(0.1).alias("optimizer.lr"))):
        figure = sweep_figure(own, found.swept, bands)  # against the rate, and, where one rate is left, the curves
        assert figure is not None
        for line in itertools.chain(*(axes.lines for axes in figure.axes)):
            if (name := str(line.get_label()).split()[0]) in NAMES:
                colours[name].add(str(line.get_color()))
    assert colours == {name: {OKABE_ITO[place]} for place, name in enumerate(NAMES)}


def test_of_one_method_each_line_has_its_own_colour() -> None:
    methods = Methods.of(pl.DataFrame({"run": [0, 1], "lr": [0.1, 0.2]}), ["lr"])
    assert methods.styles([{"lr": 0.1}, {"lr": 0.2}]) == [nth_style(0), nth_style(1)]


def test_lines_of_one_method_differ_in_their_dashes() -> None:
    table = pl.DataFrame({"run": [0, 1, 2], "optimizer": ["adam", "sgd", "sgd"], "momentum": [0.0, 0.0, 0.9]})
    methods = Methods.of(table, ["optimizer", "momentum"])
    assert methods.styles(table.to_dicts()) == [(0, 0), (1, 0), (1, 1)]


def test_thirty_two_lines_can_be_told_apart() -> None:
    styles = [nth_style(place) for place in range(len(OKABE_ITO) * len(DASHES))]
    assert len(set(styles)) == 32
    assert styles[:9] == [*((colour, 0) for colour in range(8)), (0, 1)]
