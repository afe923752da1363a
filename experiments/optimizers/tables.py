"""Prints the tables of experiments/optimizers/README.md, and draws its budget.png, from the folder of its sweeps."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from descend.output.pictures.figure import nth_style
from descend.output.report.compared import comparisons
from descend.output.report.comparison import Comparison
from descend.output.report.measure import labels
from descend.output.report.runs import Runs, runs_together
from descend.output.report.sections import tuning_section
from descend.output.report.sources import read_folder
from descend.output.report.summary import all_settings
from descend.statistics.estimates import bootstrap_interval, interquartile_mean

HERE = Path(__file__).parent
TASKS = ("mnist1d_mlp", "mnist1d_logistic", "auto_mpg_mlp", "deep_quadratic", "noisy_quadratic")
NAMES = [
    *("momentum", "adamw", "adopt", "ademamix", "mars", "lion", "prodigy"),
    *("schedule_free_adamw", "soap", "shampoo", "psgd_kron", "sophia_h", "muon"),
]


def compared(folder: Path, task: str) -> tuple[Runs, Comparison]:
    """Return the runs of a task, Muon's with those of the twelve, and their comparison by the validation part."""
    folders = [each for each in (folder / task, folder / f"muon_{task}") if each.exists()]
    runs = runs_together([read_folder(each) for each in folders])
    [comparison] = comparisons(runs)
    return runs, comparison


def test_rows(runs: Runs, comparison: Comparison) -> Iterator[tuple[float, str]]:
    """Yield each method's median on the test part, lower is better, and its row: at the rate of best validation."""
    measure = comparison.measure
    column = labels(runs.table)[measure.label.replace("validation", "test")]
    for row in comparison.rows:
        own = runs.table.filter(pl.col("run").is_in(row.members))[column].to_numpy()
        numbers = (np.median(own), own.min(), own.max(), interquartile_mean(own), *bootstrap_interval([own]))
        text = "{:#.4g} [{:#.4g}, {:#.4g}] | {:#.4g} [{:#.4g}, {:#.4g}]".format(*numbers)
        [rate] = (float(value) for key, value in row.keys.items() if key.endswith("lr") and value is not None)
        yield measure.sign * numbers[0], f"| {row.keys['optimizer']} | {text} | {rate:.2g} |"


def print_table(task: str, runs: Runs, comparison: Comparison) -> None:
    """Print the methods of a task, best median first."""
    test = comparison.measure.label.replace("validation", "test")
    print(f"\n| {task} | {test}: median [lowest, highest] | IQM [95% interval] | learning rate |\n|---|---|---|---|")
    print("\n".join(row for _, row in sorted(test_rows(runs, comparison))))


def draw(tasks: dict[str, tuple[Runs, Comparison]]) -> None:
    """Draw the best median on the validation part against the rates tried; from three on every line is in sight."""
    made = Figure(figsize=(11, 6.5), dpi=100, layout="constrained")
    FigureCanvasAgg(made)
    *panels, legend = made.subplots(2, 3).flatten()
    for axes, (task, (runs, comparison)) in zip(panels, tasks.items(), strict=True):
        seen = []
        settings = all_settings(runs.table, runs.swept, comparison.measure)
        for line in tuning_section(settings, runs.methods, comparison.measure.sign)["lines"]:
            middle = np.array(line["middle"], float)
            look = nth_style(NAMES.index(line["name"])).drawn
            axes.plot(line["steps"], middle, label=line["name"], **look)
            seen.extend(middle[2:])
        room = 0.05 * np.ptp(seen)
        axes.set(title=task, xlabel="learning rates tried", ylabel=f"best {comparison.measure.label}")
        axes.set_ylim(min(seen) - room, max(seen) + room)
    drawn = {line.get_label(): line for axes in panels for line in axes.lines}
    names = [name for name in NAMES if name in drawn]
    legend.set_axis_off()
    legend.legend([drawn[name] for name in names], names, loc="center", frameon=False, ncols=2)
    made.savefig(HERE / "budget.png")


if __name__ == "__main__":
    tasks = {task: compared(Path(sys.argv[1]), task) for task in TASKS}
    for task, found in tasks.items():
        print_table(task, *found)
    draw(tasks)
