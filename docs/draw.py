"""Draws the pictures of the members' pages, docs/pictures/<group>/<name>.webp, by the product's own picture code.

The tutorial on landscapes has a picture, too: docs/pictures/landscape.

    python docs/draw.py                      # all, about ten minutes of CPU time
    python docs/draw.py optimizer/adam op    # one member, or one group

A new member has a page without a picture until this was run. What is drawn is in the functions below.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

import descend
from descend.derivatives.orders import derivative
from descend.engine.experiment import Experiment
from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.cagrad_toy import STARTS
from descend.ops.op import Op
from descend.output.pictures.figure import blank, png
from descend.output.pictures.path import curve, path_picture
from descend.output.pictures.paths import paths_picture
from descend.records import Records
from descend.types import Params
from descend.vectors import numel

PICTURES = Path(__file__).parent / "pictures"
FUNCTIONS = {"rosenbrock": "[-1.2,1.0]", "himmelblau": "[0.0,0.0]"}
"""Optimizers are drawn on these two: a curved valley from its usual start, and four minima from between them."""

STEPS = 300
AS_THEY_ARE = {
    *("polyak", "stochastic_polyak", "prodigy", "dadapt_adam"),
    *("newton", "newton_cg", "bfgs", "lbfgs", "nonlinear_cg", "trust_region", "trust_region_cg", "dogleg", "cubic"),
    *("gauss_newton", "levenberg_marquardt"),
}
"""Methods that find the length of their steps themselves are drawn at their default learning rate."""

OF_NETWORKS = {"muon", "normuon", "kfac", "ekfac", "natural_gradient", "sophia_g", "groups"}
"""Methods that take a matrix among the parameters, or the outputs of a network, are drawn on handwritten digits."""

WIDTH, QUALITY = 440, 70
"""Pixels across, and WebP's quality: every picture stays below 15 kB."""


class Kept:
    """A sink that keeps the records of a run."""

    def __init__(self) -> None:
        self.blocks: list[Records] = []

    def write(self, records: Records) -> None:
        self.blocks.append(records)

    def save(self) -> None:
        """Nothing is written anywhere."""

    def restore(self, step: int) -> None:
        """No run is resumed here."""

    def close(self, result: object) -> None:
        """Nothing to finish."""


def path_on(function: str, overrides: list[str], title: str) -> bytes | None:
    """Run on a function of two numbers and return the picture that such a run leaves as path.png."""
    chosen = [f"objective={function}", "metrics=paths", "metrics.parameter_values.every=1", "derivatives=none"]
    experiment = build(compose([*chosen, *overrides]), [*chosen, *overrides])
    sink = Kept()
    descend.run(experiment, [sink])
    return path_picture(
        loss_of(experiment), start_of(experiment), sink.blocks, experiment.objective.best_points(), title
    )


def loss_of(experiment: Experiment) -> Callable[[Params], Tensor]:
    return lambda params: sum(experiment.objective.losses(params, None).values(), torch.zeros((), dtype=torch.float64))


def start_of(experiment: Experiment) -> Params:
    return experiment.objective.init(torch.Generator().manual_seed(0))


def best_rate(overrides: list[str]) -> float:
    """Return the learning rate, of 17 from 1e-4 to 10, that ends lowest."""
    quiet = ["derivatives=none", "metrics=none", f"steps={STEPS}"]
    table = descend.sweep([*overrides, *quiet, "optimizer.lr=tag(log,interval(1e-4,10))", "sweep.points=17"])
    lowest = table.filter(table["value"].is_finite()).sort("value").row(0, named=True)
    return float(lowest["optimizer.lr"])


def optimizer_pictures(name: str) -> Iterator[tuple[str, bytes | None]]:
    if name in OF_NETWORKS:
        yield f"{name}-digits_mlp", png(training_of([name, "adam"]))
        return
    for function, start in FUNCTIONS.items():
        overrides, rate = [f"optimizer={name}", f"objective.start={start}"], "its own rate"
        if name not in AS_THEY_ARE:
            rate = f"lr={best_rate([f'objective={function}', *overrides]):.2g}"
            overrides.append(f"optimizer.{rate}")
        title = f"{function}, {rate}"
        yield f"{name}-{function}", path_on(function, [*overrides, f"steps={STEPS}"], title)


def training_of(methods: list[str]) -> Figure:
    """The training loss of methods on a network for handwritten digits, each number the mean over ten batches."""
    figure = blank(4.2, 3.4, dpi=100)
    axes = figure.add_subplot()
    for name, color in zip(methods, ("tab:blue", "tab:gray"), strict=True):
        sink = Kept()
        descend.run(
            ["objective=digits_mlp", f"optimizer={name}", f"steps={STEPS}", "derivatives=none", "metrics=none"], [sink]
        )
        losses = curve(sink.blocks, "value")
        axes.semilogy(np.convolve(losses, np.full(10, 0.1), "valid"), color=color, label=name)
    axes.set(xlabel="step", ylabel="training loss", title="digits_mlp")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def wrap_pictures(name: str) -> Iterator[tuple[str, bytes | None]]:
    """The wrapper around momentum, on the valley."""
    overrides = [f"wrap={name}", "optimizer=momentum", "optimizer.lr=0.001", f"steps={STEPS}"]
    yield name, path_on("rosenbrock", overrides, f"momentum, wrap={name}")


def objective_pictures(name: str) -> Iterator[tuple[str, bytes | None]]:
    """The contours of a function of two numbers, and the path of Adam."""
    experiment = build(compose([f"objective={name}"]), [f"objective={name}"])
    params = start_of(experiment)
    losses = experiment.objective.losses(params, None)
    if numel(params) == 2 and len(losses) == 1:
        yield name, path_on(name, ["optimizer=adam", "optimizer.lr=0.05", f"steps={STEPS}"], f"{name}: Adam, lr=0.05")


def aggregator_pictures(name: str) -> Iterator[tuple[str, bytes | None]]:
    """Paths from the five starts of the CAGrad paper; a tenth of its steps, each ten times as long."""
    chosen = ["objective=cagrad_toy", f"aggregator={name}", "optimizer=adam", "optimizer.lr=0.01", "steps=3500"]
    quiet = ["metrics=paths", "metrics.parameter_values.every=20", "derivatives=none"]
    paths = []
    for start in STARTS:
        overrides = [*chosen, *quiet, f"objective.start=[{start[0]},{start[1]}]"]
        experiment, sink = build(compose(overrides), overrides), Kept()
        descend.run(experiment, [sink])
        paths.append(np.stack([curve(sink.blocks, f"parameter/x[{i}]") for i in range(2)], axis=1))
    objective = experiment.objective
    best = objective.best_points()
    yield name, paths_picture(lambda at: objective.losses(at, None), start_of(experiment), {name: paths}, best)


def schedule_pictures(name: str) -> Iterator[tuple[str, bytes | None]]:
    """The factor on the learning rate over a run of 1,000 steps."""
    chosen = [f"schedule={name}", *(["schedule@schedule.then=cosine"] if name == "warmup" else [])]
    overrides = ["objective=sphere", "steps=1000", *chosen]
    title = "warmup, then cosine" if name == "warmup" else name
    schedule = build(compose(overrides), overrides).schedule
    steps = np.arange(1000)
    figure = blank(4.2, 2.6, dpi=100)
    axes = figure.add_subplot()
    axes.plot(steps, [float(schedule.factor(int(step), 1000)) for step in steps], color="tab:blue")
    axes.set(xlabel="step", ylabel="factor on lr", title=title, ylim=(0, None))
    axes.grid(alpha=0.3)
    yield name, png(figure)


def op_pictures(name: str) -> Iterator[tuple[str, bytes | None]]:
    """The op and its first two derivatives, as its own rules give them."""
    overrides = ["objective=op_at_point", f"op={name}"]
    op = build(compose(overrides), overrides).objective.op
    yield name, png(derivatives_of(op, name))


def derivatives_of(op: Op, name: str) -> Figure:
    low, high = op.domain
    x = torch.linspace(low, high, 801, dtype=torch.float64)
    figure = blank(4.2, 4.6, dpi=100)
    panels = figure.subplots(3, 1, sharex=True)
    for order, (axes, label) in enumerate(zip(panels, ("y", "y′", "y″"), strict=True)):
        y = derivative(op, order)(x).detach()
        # A jump is a gap in the curve, not a wall.
        jumps = torch.cat([y.diff().abs() > 0.05 * (y.max() - y.min() + 1e-9), torch.tensor([False])])
        axes.plot(x, y.where(~jumps, torch.nan), color="tab:blue")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    panels[0].set_title(name)
    panels[-1].set_xlabel("x")
    return figure


DRAWN: dict[str, Callable[[str], Iterator[tuple[str, bytes | None]]]] = {
    "optimizer": optimizer_pictures,
    "wrap": wrap_pictures,
    "objective": objective_pictures,
    "aggregator": aggregator_pictures,
    "schedule": schedule_pictures,
    "op": op_pictures,
}
NOT_DRAWN = {
    "optimizer": {"torch"},  # it has the path of the class that it is given
    "wrap": {"none", "ema", "swa"},  # averages stand beside the path
}


def landscape_picture() -> bytes:
    """The paths of Adam and SGD on handwritten digits, as the tutorial on landscapes draws them."""
    runs = {"adam": ["optimizer=adam"], "sgd": ["optimizer=sgd", "optimizer.lr=0.1"]}
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        for name, overrides in runs.items():
            command = ["objective=digits_mlp", *overrides, "steps=200", f"hydra.run.dir={name}"]
            subprocess.run([sys.executable, "-m", "descend", *command], check=True, capture_output=True)
        return png(descend.landscape(*runs).plot())


def small(picture: bytes, width: int = WIDTH, quality: int = QUALITY) -> bytes:
    """Return a PNG file as a small WebP file."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def learns_from_data(group: str, name: str) -> bool:
    text = (FOLDER / group / f"{name}.yaml").read_text()
    return "objective.data@" in text or "/" in name or name in ("module", "noisy_quadratic")


def draw(group: str, name: str) -> None:
    try:
        for file, picture in DRAWN[group](name):
            if picture is not None:
                (PICTURES / group).mkdir(parents=True, exist_ok=True)
                (PICTURES / group / f"{file}.webp").write_bytes(small(picture))
    except ConfigurationError as error:
        print(f"{group}/{name}: no picture. {error}")


def main(wanted: list[str]) -> None:
    torch.set_num_threads(1)
    for group in DRAWN:
        for name in choices(FOLDER / group):
            skipped = name in NOT_DRAWN.get(group, ()) or (group == "objective" and learns_from_data(group, name))
            if not skipped and (not wanted or group in wanted or f"{group}/{name}" in wanted):
                draw(group, name)
    if not wanted or "landscape" in wanted:
        (PICTURES / "landscape").mkdir(exist_ok=True)
        (PICTURES / "landscape" / "digits_mlp.webp").write_bytes(small(landscape_picture(), 540, 40))


if __name__ == "__main__":
    main(sys.argv[1:])
