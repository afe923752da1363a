"""A lab bench for derivatives and optimizers in PyTorch, driven by a YAML menu.

>>> import descend
>>> result = descend.run(["objective=rosenbrock", "optimizer=adam", "steps=100"])
>>> result.steps
100
>>> table = descend.sweep(["objective=rosenbrock", "optimizer.lr=0.001,0.01", "steps=100"])
>>> table["optimizer.lr"].to_list()
[0.001, 0.01]
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from descend.engine.experiment import Experiment
    from descend.engine.result import Result
    from descend.engine.sink import Sink
    from descend.landscapes.landscape import Landscape
    from descend.menu.trained import Trained
    from descend.objectives.data.tensors import DataSource
    from descend.objectives.module import Module
    from descend.output.shown import ShownResult, SweepTable
    from descend.types import Losses

__all__ = ["Experiment", "landscape", "load", "module", "plot", "resume", "run", "sweep"]


def run(what: "Experiment | Sequence[str]", sinks: "Sequence[Sink]" = ()) -> "ShownResult":
    """Run an experiment, or what the menu makes of a list of overrides, and return its result. No folder is made.

    A notebook shows the result as a table and its curves, and a bar while the run goes; `result.plot()` is a figure.

    Args:
        what: an `Experiment`, or overrides as on the command line: `["objective=rosenbrock", "steps=100"]`.
        sinks: where records go while it runs.

    Raises:
        ConfigurationError: the experiment cannot start; nothing was computed.
    """
    from descend.engine.experiment import Experiment
    from descend.engine.run import run as run_experiment
    from descend.output.notebook import in_notebook
    from descend.output.shown import shown_result
    from descend.output.sinks.progress import ProgressBar

    experiment = what if isinstance(what, Experiment) else _composed(what)
    bars = [ProgressBar(experiment.steps)] if in_notebook() else []
    return shown_result(run_experiment(experiment, [*bars, *sinks]))


def _composed(overrides: "Sequence[str]") -> "Experiment":
    """Return the experiment that the menu makes of overrides."""
    from descend.menu.build import build
    from descend.menu.compose import compose, composing
    from descend.menu.placing import check_places, parse

    with composing():
        check_places(parse(overrides), sweeps=False)
    return build(compose(overrides), list(overrides))


def resume(folder: "str | Path", overrides: "Sequence[str]" = ()) -> "ShownResult":
    """Let a run that was interrupted, or is to be longer, go on from its last checkpoint, in its folder.

    Args:
        folder: the run's, as `outputs/<day>/<time>`.
        overrides: `["steps=5000"]` makes a finished run longer; nothing but the steps and checkpoints may be otherwise.

    Raises:
        ConfigurationError: there is nothing to go on with, or something was changed; nothing was written.
    """
    from descend.menu.commands.resume import resume
    from descend.output.shown import shown_result

    return shown_result(resume(folder, overrides))


def module(
    net: "nn.Module | Callable[[], nn.Module]",
    loss: "Callable[[Tensor, Tensor], Tensor | Losses] | None",
    train: "DataSource",
    test: "DataSource | None" = None,
    validation: "DataSource | None" = None,
    batch_size: int | None = 64,
) -> "Module":
    """Return the objective of a module that learns from data, for an `Experiment`.

    Args:
        net: the module, from whose present parameters every run starts and which is never changed; or what makes one,
            from each run's seed.
        loss: (outputs, targets) -> a number, or several by name; None: cross-entropy, or mean squared error of floats.
        train: inputs and targets, two tensors; or a `torch.utils.data.Dataset` or `DataLoader`. Read into memory once
            where they fit; else while the run goes, by the DataLoader's workers, which needs `test`.
        test: those for testing; None takes a fifth of `train`.
        validation: those for validation, if any; `test` is needed, too, then.
        batch_size: examples in a step, whatever a DataLoader has; None takes all at every step.

    Raises:
        ConfigurationError: the module or the loss cannot take the data; the sentence says why.
    """
    from descend.objectives.data.streamed import in_memory_or_streamed
    from descend.objectives.module import Module

    return Module(net, in_memory_or_streamed(train, test, validation), loss, batch_size)


def load(folder: "str | Path", which: str = "last") -> "Trained":
    """Return what a run has trained, as its last checkpoint has it, on the CPU: a dict of its parameters by name.

    Of a module it is the whole state_dict, buffers included; its attribute `module` is the trained module itself.

    Args:
        folder: the run's, as `outputs/<day>/<time>`.
        which: `last`; `best`, which had the best value of `stop.metric`; or an average by its name (`ema`,
            `swa`).

    Raises:
        ConfigurationError: there is no checkpoint that can be read, or it kept nothing of that name.
    """
    from pathlib import Path

    from descend.menu.trained import Trained

    return Trained(Path(folder), which)


def landscape(
    folder: "str | Path",
    *others: "str | Path",
    plane: str = "pca",
    points: int = 41,
    examples: int = 1000,
    scale: str | None = None,
) -> "Landscape":
    """Return the loss over a plane through the parameters of a run, with its path; `plot()` returns a figure.

    Args:
        folder: the run's folder, as `outputs/<day>/<time>`; `plane="pca"` needs its snapshots (`checkpoint.snapshots`).
        others: folders of other runs of the same objective, whose paths are drawn, too.
        plane: `pca`, the two principal components of the paths; `hessian`, through the end along the eigenvectors of
            the two largest eigenvalues; `random`, through the end along two normal directions.
        points: points of the grid along each axis.
        examples: training examples over which the loss is taken, always the same ones; all where there are fewer.
        scale: the scale of the directions of `hessian` and `random`: `filter` (the default; each filter is made as long
            as that of the parameters, which turns an eigenvector) or `whole`.

    Raises:
        ConfigurationError: there is no such landscape; the message says why.
    """
    from pathlib import Path

    from descend.menu.landscapes import View, landscape_of
    from descend.output.sinks.progress import CountBar

    view = View(plane, points, examples, scale)
    with CountBar(points**2) as bar:
        return landscape_of([Path(x) for x in (folder, *others)], view, bar.advance)


def sweep(overrides: "Sequence[str]") -> "SweepTable":
    """Run a sweep and return its table: a row for each run, with the columns of sweep.parquet. No folder is left.

    It is a polars frame, which a notebook shows as the comparison of its settings and a picture.

    Args:
        overrides: as on the command line after `-m`, those of `sweep` included:
            `["objective=rosenbrock", "optimizer.lr=tag(log,interval(1e-4,1))", "sweep.points=64"]`.

    Raises:
        ConfigurationError: any run cannot start, or `sweep` asks for what only a folder can have; nothing was computed.
        KeyboardInterrupt: the user stopped it.
    """
    from descend.sweeps.python import sweep

    return sweep(overrides)


def plot(what: "Result | pl.DataFrame") -> "Figure":
    """Return a matplotlib figure, which a notebook shows and `savefig` writes.

    Args:
        what: a result: its losses, test metrics and norm of the gradient over steps; or the table of a sweep: what the
            runs ended with against the numbers that were swept, or the curves of choices with a band over their seeds.

    Raises:
        ConfigurationError: there is nothing to draw.
    """
    from descend.output.shown import plot

    return plot(what)


def __getattr__(name: str) -> Any:
    # Torch is imported with the first name that needs it, so that `descend --help` does without.
    if name == "Experiment":
        from descend.engine.experiment import Experiment

        return Experiment
    raise AttributeError(f"module 'descend' has no attribute {name!r}")
