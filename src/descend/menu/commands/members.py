"""`descend optimizers` and `descend objectives`: the menu as a table, of what each member is, needs and costs."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from torch import Tensor
from torch.nn import functional

from descend.engine.backends.kernel import separable
from descend.engine.check import check_start
from descend.engine.experiment import Experiment
from descend.engine.run import record_run
from descend.engine.streams import begin
from descend.errors import ConfigurationError
from descend.graph.compat import pytree
from descend.kinds import usual_kinds
from descend.menu import FOLDER, choices
from descend.menu.build import build
from descend.menu.commands.arguments import Parser
from descend.menu.commands.waiting import Waiting
from descend.menu.compose import compose
from descend.menu.help import first_comment
from descend.optimizers.groups import Groups
from descend.optimizers.optimizer import Optimizer
from descend.types import Composed, Params
from descend.vectors import numel

USAGE = """\
descend optimizers: every optimizer of the menu, as a table.
descend objectives: every objective.

  descend optimizers              order, learning rate, whether runs stack, whether a kernel takes them, memory, source
  descend objectives --json       the same as JSON

Of an optimizer: the highest derivative that a step takes; its default learning rate; what it needs; whether runs of a
sweep are stacked into one program; whether steps of a few numbers are made by a kernel in C; whether it can be the
method of a group of parameters; and its state's size, in copies of the parameters. Of an objective: how many
parameters, which losses, whether it draws batches, and its least value where that is known.
"""

Facts = dict[str, Any]

FAMILIES = ("optimizers", "objectives")
QUIET = ["metrics=none", "derivatives=none"]

FEW = ["objective=himmelblau", "steps=10", *QUIET]  # two numbers, and a sum of squares for methods that need one
SIZE = 24
"""Memory is measured with a square matrix of this many rows, and a vector."""


def optimizers_command(arguments: Sequence[str]) -> int:
    """Carry out `descend optimizers`; see `members_command`."""
    return members_command("optimizers", arguments)


def objectives_command(arguments: Sequence[str]) -> int:
    """Carry out `descend objectives`; see `members_command`."""
    return members_command("objectives", arguments)


def members_command(family: str, arguments: Sequence[str]) -> int:
    """Carry out `descend optimizers` or `descend objectives`, and return the exit code.

    Raises:
        ConfigurationError: where the arguments are wrong.
    """
    parser = Parser(f"descend {family}")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    given, others = parser.parse_known_args(list(arguments))
    if others:
        raise ConfigurationError(f"descend {family} takes only --json, but was given {others[0]}; remove it.")
    if given.help:
        print(USAGE)
        return 0
    describe: Callable[[str], Facts] = optimizer_row if family == "optimizers" else objective_row
    group = family.removesuffix("s")
    names, rows = choices(FOLDER / group), []
    with Waiting(f"looking at the {family}", len(names)) as bar, torch.random.fork_rng(devices=[]):
        for name in names:
            rows.append({"name": name, **describe(name), "what": first_comment(FOLDER / group / f"{name}.yaml")})
            bar.advance(None)
    if given.json:
        print(json.dumps(rows, indent=2))
    else:
        show_members(rows)
    return 0


def optimizer_row(name: str) -> Facts:
    """Return what is known of an optimizer: from its class, from a state that it begins, and from a recorded step."""
    overrides = [f"optimizer={name}", *FEW]
    experiment = build(compose(overrides), overrides)
    optimizer = experiment.optimizer
    matrix = torch.zeros(SIZE, SIZE, dtype=torch.float64, device="cpu")
    matrices = refuses(optimizer, {"bias": matrix[0]})
    network = {"weight": matrix} | ({} if matrices else {"bias": matrix[0]})
    suited = optimizer.suited(network, usual_kinds(network))
    state = (suited.attached(one_layer(matrix), network) if suited.needs_outputs else suited).begin(network, 0)
    kept = [x for x in pytree.tree_leaves(state) if isinstance(x, Tensor) and x.is_floating_point() and x.dim()]
    return {
        "order": max(1, optimizer.differentiates),
        "lr": optimizer.rates,
        "beside the gradient": optimizer.evaluations(1, state) if optimizer.batchable else {},
        "stacks": optimizer.batchable,
        "kernel": optimizer.batchable and not matrices and not optimizer.needs_outputs and by_kernel(experiment),
        "group": not (optimizer.line_search or optimizer.needs_outputs or isinstance(optimizer, Groups)),
        "memory": round(sum(x.numel() for x in kept) / numel(network), 1),
        "needs": needs(optimizer, matrices),
    }


def needs(optimizer: Optimizer, matrices: bool) -> str:
    """Return what an optimizer needs of an objective, in words."""
    if matrices:
        return "matrices"
    return "a sum of squares" if optimizer.needs_squares else "a network" if optimizer.needs_outputs else ""


def one_layer(inputs: Tensor) -> Composed:
    """Return a network of one layer with a bias, and its squared error."""

    def outputs(params: Params) -> Tensor:
        return functional.linear(inputs, params["weight"], params["bias"])

    return Composed(outputs, lambda found: found.square().mean(), lambda found: found.square().mean())


def refuses(optimizer: Optimizer, params: Params) -> bool:
    """Tell whether an optimizer refuses parameters of these shapes."""
    try:
        optimizer.suited(params, usual_kinds(params))
    except ConfigurationError:
        return True
    return False


def by_kernel(experiment: Experiment) -> bool:
    """Tell whether the steps of an experiment of a few numbers can be made by a kernel."""
    _, recording = record_run(experiment)
    return recording.program is not None and separable(recording.program)


def objective_row(name: str) -> Facts:
    """Return what is known of an objective: from its class, its start, and its losses there."""
    overrides = [f"objective={name}", *QUIET]
    experiment = build(compose(overrides), overrides)
    beginning = begin(experiment, [experiment.seed], [experiment.objective], own=False)
    origin = beginning.origin.of_run(0)
    return {
        "parameters": numel(origin.params),
        "losses": list(check_start(beginning.experiment, origin)),
        "batches": beginning.streams.example() is not None,
        "stacks": experiment.objective.batchable,
        "minimum": experiment.objective.minimum,
    }


def show_members(rows: Sequence[Facts]) -> None:
    """Print two lines for each member: its numbers in columns, and what it is."""
    columns = [name for name, value in rows[0].items() if name != "what" and not isinstance(value, dict | list)]
    cells = [columns, *([as_text(row[name]) for name in columns] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    console = Console(highlight=False)
    console.print(lines[0], style="bold", markup=False)
    for row, line in zip(rows, lines[1:], strict=True):
        console.print(line, markup=False)
        console.print(Padding(Text(in_words(row)), (0, 0, 0, 4)))


def as_text(value: Any) -> str:
    """Return a number or a fact as text; empty where it is false, unknown, or different for each group."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return value if isinstance(value, str) else ""


def in_words(row: Facts) -> str:
    """Return what a member is, and what of it has no column."""
    told = [row["what"]]
    for name, value in row.items():
        if isinstance(value, dict) and value:
            told.append(f"{name}: {', '.join(f'{x:g} {key}' for key, x in value.items())}")
        if isinstance(value, list) and len(value) > 1:
            told.append(f"{name}: {', '.join(value)}")
    return "; ".join(told)
