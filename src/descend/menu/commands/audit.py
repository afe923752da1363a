"""`descend audit`: the derivatives of an objective, an op, or of all there are, by every route, and which are right."""

import argparse
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from descend.audit.conclusion import conclusion
from descend.audit.known_faults import KNOWN_FAULTS
from descend.audit.named import function_subject
from descend.audit.report import AuditReport
from descend.audit.subjects import Subject, objective_subject, op_subject
from descend.audit.torch_faults import conventions, each_as_json, found
from descend.audit.verdict import TRUE, Mark
from descend.derivatives.gradient import gradient
from descend.errors import ConfigurationError, never_exits
from descend.graph.compat import has_cpp_compiler
from descend.menu import FOLDER, choices
from descend.menu.build import as_plain
from descend.menu.commands.arguments import Parser
from descend.menu.commands.waiting import Waiting
from descend.menu.compose import about, compose
from descend.menu.make import make, retargeted
from descend.objectives.module import Module
from descend.objectives.objective import Objective
from descend.ops.op import Op
from descend.vectors import numel

HIGHEST = 4
"""Some routes compute each entry by itself, 81 of order 4 in three directions; the fifth takes minutes."""
GOOD = (*TRUE, Mark.AGREES)
SEED = 0
BACKEND = "inductor"
"""Of `torch.compile`, for one subject: what runs are compiled with. It takes ten seconds, so `--all` does without."""
LARGEST_MODULE = 5_000
"""A module of more parameters takes minutes, and is left to an audit of its own by `--all`, which says so."""

QUICK_BACKEND = "eager"
"""Traces as `torch.compile` does, and generates no code: for `--all`, and where there is no C++ compiler."""

USAGE = """\
descend audit: every derivative of an objective or op, order by order, by every route that applies.

  descend audit op=gelu                          an op of the menu, at drawn points, its edges and its kinks
  descend audit op._target_=mine.Op              an op of your own, in a file of yours
  descend audit objective=rosenbrock --order 4   an objective at its start and near it, to the fourth order
  descend audit objective=digits_mlp op=spike    an objective through an op
  descend audit mine:loss --at 0.3,-0.7,1.1      a function in a file of yours, of as many such vectors as it takes
  descend audit torch.special:i0                 or of torch's
  descend audit --torch                          what is known to be wrong in torch, and whether it is so in this one
  descend audit --all                            every op and objective of the menu, and torch's known faults

Each route's greatest error over the points, of an entry relative to itself, and a verdict:

  right                   every entry, on its own scale
  right, with constants   where what the function detaches is held constant, as autograd does
  right, coarsely         to the low precision (float32, say) that the function goes through
  agrees                  with nested reverse mode, of an op that declares another derivative by design
  random                  the value changes from call to call: compared on one draw, or not at all
  not taken               descend does not take the route for this function; the remark says why, and what it does
  unchecked               no reference settled on some entry
  refused, raises         no derivative: with a sentence of descend's, or with an error of torch's or of the function's
  wrong

References are sympy's derivative, mpmath's differences, and extrapolated finite differences of the derivative one order
lower; the first two are of the traced function, and count only where that gives the function's own values. A function
of more than three numbers is audited along three random directions. The exit code is 1 if a route that descend itself
takes is wrong, 2 for wrong input. `--json` prints JSON instead, so that two versions of torch can be compared. `--all`
compiles the ops alone, without generating code, leaves large modules to audits of their own, and exits with 1 too where
a route of descend's own raises.
"""


def audit_command(arguments: Sequence[str]) -> int:
    """Carry out `descend audit <arguments>`, and return the exit code.

    Raises:
        ConfigurationError: where the arguments are wrong.
    """
    given = parsed_arguments(arguments)
    if given.help:
        print(USAGE)
        return 0
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # of torch's own, about what is audited
        if given.torch:
            return torch_itself(given.json)
        return everything(given.order) if given.all else single(given)


def parsed_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return `overrides`, `order`, `at`, `all`, `torch`, `json` and `help`."""
    parser = Parser("descend audit")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--order", type=int, default=2)
    parser.add_argument("--at")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    given = parser.parse_intermixed_args(list(arguments))
    if not 1 <= given.order <= HIGHEST:
        raise ConfigurationError(
            f"An audit of order {given.order} was asked for, but it goes from 1 to {HIGHEST}; give --order 2, say. "
            "Along one direction derivatives have any order: descend.derivatives.directional.taylor."
        )
    if given.all and given.overrides:
        raise ConfigurationError(f"--all audits the whole menu; remove {given.overrides[0]} or --all.")
    if given.torch and (given.overrides or given.all):
        other = "--all" if given.all else given.overrides[0]
        raise ConfigurationError(f"--torch looks at torch alone; remove {other} or --torch.")
    if given.all and given.json:
        raise ConfigurationError("--json is for one function, or with --torch; remove it or --all.")
    if given.at is not None and not (len(given.overrides) == 1 and is_function(given.overrides[0])):
        raise ConfigurationError("--at says where a function is audited: descend audit mine:loss --at 0.3,-0.7,1.1.")
    return given


def is_function(argument: str) -> bool:
    """Whether an argument names a function, as `module:function`, and is no override."""
    return ":" in argument and "=" not in argument


def numbers(text: str | None) -> list[float] | None:
    """Return the numbers between commas.

    Raises:
        ConfigurationError: where one is none, or is not finite.
    """
    if text is None:
        return None
    try:
        found = [float(each) for each in text.strip("[]").split(",")]
    except ValueError:
        found = []
    if not found or not all(map(math.isfinite, found)):
        raise ConfigurationError(f"--at is {text!r}, but needs finite numbers with commas between: --at 0.3,-0.7,1.1.")
    return found


def single(given: argparse.Namespace) -> int:
    """Audit a function, or what the overrides choose: the objective if they name one, else the op."""
    overrides, order = given.overrides, given.order
    with evaluated(" ".join(overrides)):
        subject = chosen(overrides, numbers(given.at))
        gradient(subject.function, subject.points[0])
    with Waiting(f"audit of {subject.name}"):
        report = subject.audited(order, torch.Generator().manual_seed(SEED), backend())
    if given.json:
        rows = [{"order": row.order, "route": row.route, "ours": row.ours, **each_as_json(row)} for row in report.rows]
        told = {"torch": torch.__version__, "audited": subject.name, "rows": rows, "conclusion": conclusion([report])}
        print(json.dumps(told, indent=1))
        return report.exit_code
    print(f"{subject.name}, orders 1 to {order}, at {len(subject.points)} points\n\n{report.table()}\n")
    print(conclusion([report]))
    return report.exit_code


def torch_itself(as_json: bool) -> int:
    """Print every known fault of torch's and whether this version has it, and what it chooses at kinks."""
    cases = []
    with Waiting("audit of torch", sum(len(fault.examples) for fault in KNOWN_FAULTS)) as waiting:
        for case in found():
            waiting.advance(None if as_json else str(case))
            cases.append(case)
    if as_json:
        faults = [case.as_json() for case in cases]
        print(json.dumps({"torch": torch.__version__, "faults": faults, "conventions": conventions()}, indent=1))
        return 0
    print("\nThe derivative that torch chooses where there is none:")
    for name, slope in conventions().items():
        print(f"  {name:<24} {'NaN' if slope is None else format(slope, 'g')}")
    there = sum(case.still_there for case in cases)
    print(f"\ntorch {torch.__version__}: {there} of {len(cases)} known faults are there.")
    return 0


def backend() -> str:
    """Return what `torch.compile` compiles with here."""
    return BACKEND if has_cpp_compiler() else QUICK_BACKEND


def chosen(overrides: Sequence[str], at: Sequence[float] | None = None) -> Subject:
    """Return what the overrides choose, or the function that one argument names, at a point if that is given.

    Raises:
        ConfigurationError: saying what is wrong with an override.
    """
    generator = torch.Generator().manual_seed(SEED)
    if len(overrides) == 1 and is_function(overrides[0]):
        return function_subject(overrides[0], at, generator)
    config = as_plain(compose(overrides))
    through_objective = any(about(override, "objective") for override in overrides)
    if not through_objective and not any(about(override, "op") for override in overrides):
        raise ConfigurationError(
            "descend audit was told nothing to audit; name an objective (objective=rosenbrock), an op (op=gelu), a "
            "function (mine:loss), or give --all or --torch."
        )
    op = make("op", retargeted("op", config["op"], list(overrides)), Op)
    if not through_objective:
        return op_subject(" ".join(overrides), op, generator)
    objective = make("objective", retargeted("objective", config["objective"], list(overrides)), Objective)
    return objective_subject(" ".join(overrides), objective, op, generator)


@contextmanager
def evaluated(name: str) -> Iterator[None]:
    """Turn whatever an op or objective of the user's own raises within into a ConfigurationError."""
    try:
        with never_exits():
            yield
    except ConfigurationError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0].rstrip(".")
        raise ConfigurationError(
            f"{name} cannot be evaluated and differentiated once: {type(error).__name__}: {reason}; correct that first."
        ) from error


def everything(order: int) -> int:
    """Audit every op and objective of the menu in a line each, and torch's known faults."""
    overrides = [f"{group}={choice}" for group in ("op", "objective") for choice in choices(FOLDER / group)]
    reports = []
    with Waiting("audit of everything", len(overrides) + sum(len(fault.examples) for fault in KNOWN_FAULTS)) as waiting:
        for override in overrides:
            many = parameters_of_module(override)
            if many > LARGEST_MODULE:
                waiting.advance(f"{override:<36} left out: {many:,} parameters; descend audit {override} audits it")
                continue
            compiler = QUICK_BACKEND if about(override, "op") else None
            report = chosen([override]).audited(order, torch.Generator().manual_seed(SEED), compiler)
            waiting.advance(f"{override:<36} {summary(report)}")
            reports.append(report)
        for case in found():
            waiting.advance(str(case))
    print("\n" + conclusion(reports))
    bad = (Mark.WRONG, Mark.RAISES)  # of what is ours nothing may raise either
    return int(any(row.ours and row.verdict in bad for report in reports for row in report.rows))


def parameters_of_module(override: str) -> int:
    """Return how many parameters a module of the menu has; 0 for all that is no module."""
    node = as_plain(compose([override]))["objective"]
    if not about(override, "objective") or node["_target_"] != f"{Module.__module__}.{Module.__name__}":
        return 0
    return numel(make("objective", node, Module).init(torch.Generator().manual_seed(SEED)))


def summary(report: AuditReport) -> str:
    """Return how many routes were right, and which were not."""
    right = sum(row.verdict in GOOD for row in report.rows)
    worse = [
        f"order {row.order} {'*' if row.ours else ''}{row.route}: {row.verdict}"
        for row in report.rows
        if row.verdict not in GOOD and (row.ours or row.verdict == Mark.WRONG)
    ]
    return f"{right} of {len(report.rows)} right" + "".join(f"; {each}" for each in worse)
