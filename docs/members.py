"""The page of each member of each family, made of its YAML, its docstring, and what the product tells of it."""

import posixpath
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from descend.menu import FOLDER, choices
from descend.menu.commands.members import objective_row, optimizer_row
from descend.menu.help import first_comment

PICTURES = Path(__file__).parent / "pictures"

FAMILIES = {
    "objective": ("Objectives", "What is minimised."),
    "objective.data": ("Data", "What a network learns from: `objective.data=…` beside an objective that has data."),
    "op": ("Ops", "The activation of a network (`op=…`), or the custom autograd op to look at."),
    "optimizer": ("Optimizers", "How parameters are updated."),
    "wrap": ("Wrappers", "What is laid around the optimizer; several in their order: `wrap=[lookahead,ema]`."),
    "schedule": ("Schedules", "A factor on the learning rate, by the step."),
    "clip": ("Clipping", "What bounds the gradient before the optimizer gets it."),
    "aggregator": ("Aggregators", "How several losses become one direction."),
    "metrics": ("Metrics", "What is logged while a run goes."),
    "derivatives": ("Derivatives", "Which orders of derivatives are computed and logged while a run goes."),
}

DOCSTRING = """\
::: {target}
    options:
      show_root_heading: false
      show_root_toc_entry: false
      show_bases: false
      members: false
      skip_local_inventory: true
"""

CAPTIONS = {
    "optimizer": "300 steps on two functions, at the learning rate of 17 between 10⁻⁴ and 10 that ends lowest; at its "
    "default where the method finds the length of its steps itself. Points that a search tries are part of the path.",
    "optimizer of networks": "300 steps on a network for handwritten digits beside Adam, both at their default "
    "learning rates: the loss of the batch, each number the mean over ten.",
    "wrap": "300 steps of momentum on Rosenbrock's valley with this around it.",
    "objective": "The contours, and 300 steps of Adam at the learning rate 0.05.",
    "aggregator": "The CAGrad toy from its five starts: 3,500 steps of Adam at 0.01 with the fields' defaults.",
    "schedule": "The factor on the learning rate over a run of 1,000 steps.",
    "op": "The op, and its first two derivatives as autograd takes them.",
}
"""What `docs/draw.py` has drawn of the members of a family, and of optimizers that need a network."""

Facts = dict[str, str]


def members(group: str) -> list[str]:
    return choices(FOLDER / group)


def uri(group: str, name: str) -> str:
    """Return where a member's page lies among the sources of the site."""
    return f"members/{group}/{name}.md"


def family_page(group: str) -> str:
    """Return the list of a family's members, with a line on each."""
    title, purpose = FAMILIES[group]
    rows = [
        f"| [{name}]({name}.md) | {plain(first_comment(FOLDER / group / f'{name}.yaml'))} |" for name in members(group)
    ]
    return "\n".join([f"# {title}", "", purpose, "", f"| `{group}=` | what it is |", "|---|---|", *rows, ""])


def all_families_page() -> str:
    rows = [
        f"| [{title}]({group}/index.md) | `{group}=` | {len(members(group))} | {purpose} |"
        for group, (title, purpose) in FAMILIES.items()
    ]
    text = (
        "Every choice of the menu has a page: its equation and source, its fields with their defaults, what it needs, "
        "whether its runs stack in a sweep, and for many a picture of it at work. The pages are made of the YAML files "
        "and the docstrings when the site is built; `python run.py --help` lists the same on the command line."
    )
    return "\n".join(["# The menu", "", text, "", "| family | group | choices | |", "|---|---|---|---|", *rows, ""])


def member_page(group: str, name: str) -> str:
    """Return a member's page as Markdown."""
    text = (FOLDER / group / f"{name}.yaml").read_text()
    first, *others = [*dict.fromkeys(targets(yaml.safe_load(text)))] or [None]
    parts = [f"# {name}", f"{plain(first_comment(FOLDER / group / f'{name}.yaml'))}.", command(group, name)]
    parts += [pictures(group, name)]
    if first and not is_set(group):
        parts += ["## How it works", DOCSTRING.format(target=first)]
    parts += [table(FACTS[group](name, first)) if group in FACTS and first else ""]
    parts += ["## Fields and defaults", f"`conf/{group}/{name}.yaml`:", f"```yaml\n{text.rstrip()}\n```"]
    parts += composed_of(group, name, text)
    shown = [first, *others] if is_set(group) and first else others
    parts += ["## Its parts"] if shown else []
    for target in shown:
        parts += [f"### {target.rsplit('.', 1)[1]}", DOCSTRING.format(target=target)]
    return "\n\n".join(part for part in parts if part) + "\n"


def is_set(group: str) -> bool:
    """Tell whether a choice of this group is a set of parts, none of which is the first."""
    return group in ("metrics", "derivatives")


def targets(node: Any) -> Iterator[str]:
    """Yield every class of descend's that a configuration names, from the outside in."""
    if isinstance(node, dict):
        if str(node.get("_target_")).startswith("descend."):
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    if isinstance(node, list):
        for value in node:
            yield from targets(value)


def command(group: str, name: str) -> str:
    """Return the command that chooses a member, with the objective that it needs."""
    beside = {
        "aggregator": "objective=cagrad_toy",
        "objective.data": "objective=digits_mlp",
        "clip": "objective=digits_mlp",
    }
    chosen = {"objective.data": "objective.data"}.get(group, group)
    words = ["python run.py", *([beside[group]] if group in beside else []), f"{chosen}={name}"]
    return f"```text\n{' '.join(words)}\n```"


def pictures(group: str, name: str) -> str:
    """Return the member's pictures, as far as `docs/draw.py` has drawn some."""
    found = sorted([*PICTURES.glob(f"{group}/{name}.webp"), *PICTURES.glob(f"{group}/{name}-*.webp")])
    here = posixpath.dirname(uri(group, name))
    links = [posixpath.relpath(f"pictures/{group}/{path.name}", here) for path in found]
    images = " ".join(f"![{group}={name} at work]({link}){{ .member }}" for link in links)
    trained = any(path.stem == f"{name}-digits_mlp" for path in found)
    kind = f"{group} of networks" if trained else group
    return f"{images}\n\n*{CAPTIONS[kind]}*" if links else ""


def composed_of(group: str, name: str, text: str) -> list[str]:
    """Return a line for each other choice that a configuration is composed of."""
    lines = []
    for entry in yaml.safe_load(text).get("defaults", []):
        for key, choice in entry.items() if isinstance(entry, dict) else ():
            other = key.partition("@")[0].lstrip("/")
            if other in FAMILIES:
                link = posixpath.relpath(uri(other, str(choice)), posixpath.dirname(uri(group, name)))
                lines.append(f"- with [`{other}={choice}`]({link})")
        if isinstance(entry, str) and entry in members(group):
            lines.append(f"- and all of [`{group}={entry}`]({entry}.md)")
    return ["\n".join(lines)] if lines else []


def optimizer_facts(name: str, target: str) -> Facts:
    row = optimizer_row(name)
    rates = row["lr"] if isinstance(row["lr"], dict) else {"": row["lr"]}
    beside = ", ".join(f"{count:g} {what}" for what, count in row["beside the gradient"].items())
    return {
        "order of the derivatives that a step takes": str(row["order"]),
        "learning rate by default": ", ".join(f"{rate:g} {group}".strip() for group, rate in rates.items()),
        "evaluations in a step beside the gradient": beside
        or ("none" if row["stacks"] else "as many as the step asks for"),
        "runs of a sweep are stacked": yes(row["stacks"]),
        "small steps are made by a kernel in C": yes(row["kernel"]),
        "can be the method of a group of parameters": yes(row["group"]),
        "memory of the state, in copies of the parameters": f"{row['memory']:g}",
        "needs": row["needs"] or "nothing else",
    }


def objective_facts(name: str, target: str) -> Facts:
    """Networks are left out: to count their parameters their data would be read."""
    if "objective.data@" in (FOLDER / "objective" / f"{name}.yaml").read_text():
        return {"runs of a sweep are stacked": yes(class_of(target).batchable)}
    row = objective_row(name)
    return {
        "parameters": f"{row['parameters']:,}",
        "losses": ", ".join(row["losses"]),
        "minimum": "not known" if row["minimum"] is None else f"{row['minimum']:g}",
        "draws batches": yes(row["batches"]),
        "runs of a sweep are stacked": yes(row["stacks"]),
    }


def aggregator_facts(name: str, target: str) -> Facts:
    found = class_of(target)
    stacks, jacobian = found.batchable, found.uses_jacobian
    return {
        "needs": "the gradient of every loss"
        if jacobian is True
        else "the losses alone"
        if not jacobian
        else "as the method",
        "goes with a line search": "as the method" if isinstance(jacobian, property) else yes(not jacobian),
        "runs of a sweep are stacked": yes(stacks) if isinstance(stacks, bool) else "as the method",
    }


def op_facts(name: str, target: str) -> Facts:
    found = class_of(target)
    low, high = found.domain
    return {
        "tested for x in": f"[{low:g}, {high:g}]",
        "its derivative": found.declines_gradcheck or "is that of the function",
        "forward mode": found.declines_forward_mode or "works, and agrees with reverse mode",
        "runs of a sweep are stacked": "yes",
    }


def class_of(target: str) -> Any:
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


FACTS: dict[str, Callable[[str, str], Facts]] = {
    "optimizer": optimizer_facts,
    "objective": objective_facts,
    "aggregator": aggregator_facts,
    "op": op_facts,
}


def table(facts: Facts) -> str:
    rows = [f"| {name} | {plain(value)} |" for name, value in facts.items()]
    return "\n".join(["## What it needs, and whether it stacks", "", "| | |", "|---|---|", *rows])


def plain(text: str) -> str:
    """Return a text in which nothing is marked up; it may stand in a cell of a table."""
    return re.sub(r"([*_|<\[])", r"\\\1", text)


def yes(truth: bool) -> str:
    return "yes" if truth else "no"
