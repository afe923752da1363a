"""Prints the tables of experiments/optimizers/README.md, and draws its budget.png, from the folder of its sweeps."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from descend.output.pictures.figure import OKABE_ITO
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
STYLES = {name: (OKABE_ITO[i % 7], ("-", "--")[i // 7]) for i, name in enumerate(NAMES)}


def compared(folder: Path) -> tuple[Runs, Comparison]:
    """Return the runs of a sweep, and their comparison by the validation part."""
    runs = runs_together([read_folder(folder)])
    [comparison] = comparisons(runs)
    return runs, comparison


def test_rows(runs: Runs, comparison: Comparison) -> Iterator[tuple[float, str]]:
    """Yield for each method its median on the test part, lower is better, and its row: at the rate of best validation.

    Muon's sweep has but one method: the first row of its comparison is its best rate.
    """
    measure = comparison.measure
    column = labels(runs.table)[measure.label.replace("validation", "test")]
    for row in comparison.rows if "optimizer" in runs.swept else comparison.rows[:1]:
        own = runs.table.filter(pl.col("run").is_in(row.members))[column].to_numpy()
        numbers = (np.median(own), own.min(), own.max(), interquartile_mean(own), *bootstrap_interval([own]))
        text = "{:#.4g} [{:#.4g}, {:#.4g}] | {:#.4g} [{:#.4g}, {:#.4g}]".format(*numbers)
        [rate] = (float(value) for key, value in row.keys.items() if key.endswith("lr"))
        yield measure.sign * numbers[0], f"| {row.keys.get('optimizer', 'muon')} | {text} | {rate:.2g} |"


def print_table(task: str, sweeps: list[tuple[Runs, Comparison]]) -> None:
    """Print the methods of a task, best median first."""
    test = sweeps[0][1].measure.label.replace("validation", "test")
    print(f"\n| {task} | {test}: median [lowest, highest] | IQM [95% interval] | learning rate |\n|---|---|---|---|")
    print("\n".join(row for _, row in sorted(row for sweep in sweeps for row in test_rows(*sweep))))


def draw(tasks: dict[str, list[tuple[Runs, Comparison]]]) -> None:
    """Draw the best median on the validation part against the rates tried; from three on every line is in sight."""
    made = Figure(figsize=(11, 6.5), dpi=100, layout="constrained")
    FigureCanvasAgg(made)
    *panels, legend = made.subplots(2, 3).flatten()
    for axes, (task, sweeps) in zip(panels, tasks.items(), strict=True):
        seen = []
        for runs, comparison in sweeps:
            settings = all_settings(runs.table, runs.swept, comparison.measure)
            for line in tuning_section(settings, runs.swept, comparison.measure.sign):
                name = line["name"] if line["name"] in STYLES else "muon"
                colour, style = STYLES[name]
                middle = np.array(line["middle"], float)
                axes.plot(line["steps"], middle, color=colour, linestyle=style, label=name)
                seen.extend(middle[2:])
        room = 0.05 * np.ptp(seen)
        axes.set(title=task, xlabel="learning rates tried", ylabel=f"best {sweeps[0][1].measure.label}")
        axes.set_ylim(min(seen) - room, max(seen) + room)
    drawn = {line.get_label(): line for axes in panels for line in axes.lines}
    legend.set_axis_off()
    legend.legend([drawn[name] for name in NAMES], NAMES, loc="center", frameon=False, ncols=2)
    made.savefig(HERE / "budget.png")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tasks = {
        task: [compared(each) for each in (folder / task, folder / f"muon_{task}") if each.exists()] for task in TASKS
    }
    for task, sweeps in tasks.items():
        print_table(task, sweeps)
    draw(tasks)
