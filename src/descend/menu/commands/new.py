"""`descend new`: a commented file with a member of a family that works, to be changed, and its YAML."""

import importlib.util
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.commands.arguments import Parser
from descend.menu.fields import short
from descend.menu.values import typed

USAGE = """\
descend new: a member of a family to begin with, in two files that work as they are.

  descend new optimizer NAME    NAME.py with the class, and my/optimizer/NAME.yaml with its fields
  descend new objective NAME    a function to minimise
  descend new pde NAME          a differential equation that a network solves
  descend new op NAME           an elementwise function with a derivative of its own
  descend new metric NAME       a number that is recorded while a run goes
  descend new aggregator NAME   how several losses become one
  descend new schedule NAME     a factor on the learning rate

The command prints a run that uses the new member. Files that are there already are left alone.
"""

STARTERS = Path(__file__).resolve().parents[1] / "starters"
MODULE = "descend.menu.starters"
KEY = "new_metric"
"""Of the metric among others in its YAML; it gets the new name."""

MENU = "my"
"""The user's own menu: a folder of this name, in the folder they are in."""


@dataclass(frozen=True)
class Family:
    """A family that can be added to.

    Attributes:
        group: of the menu, that its members are chosen from.
        run: overrides that choose what else a first run needs.
        audited: whether `descend audit` takes its members.
    """

    group: str
    run: str
    audited: bool = False


FAMILIES = {
    "objective": Family("objective", "optimizer.lr=0.1 steps=200", audited=True),
    "optimizer": Family("optimizer", "objective=rosenbrock optimizer.lr=0.001 steps=2000"),
    "op": Family("op", "objective=digits_mlp steps=200", audited=True),
    "metric": Family("metrics", "objective=rosenbrock steps=200"),
    "aggregator": Family("aggregator", "objective=fonseca_fleming steps=200"),
    "schedule": Family("schedule", "objective=rosenbrock steps=200"),
    "pde": Family("objective", "optimizer.lr=0.01 steps=500"),
}


def new_command(arguments: Sequence[str]) -> int:
    """Carry out `descend new <arguments>`, and return the exit code.

    Raises:
        ConfigurationError: the family or the name will not do, or a file cannot be written; nothing was written.
    """
    parser = Parser("descend new")
    parser.add_argument("family", nargs="?")
    parser.add_argument("name", nargs="?")
    parser.add_argument("-h", "--help", action="store_true")
    given = parser.parse_args(list(arguments))
    if given.help:
        print(USAGE)
        return 0
    if given.family not in FAMILIES or given.name is None:
        found = "no family" if given.family is None else f"{short(given.family)!r}"
        found = f"no name for the {given.family}" if given.family in FAMILIES else found
        raise ConfigurationError(
            f"descend new was given {found}, but it needs one of {', '.join(FAMILIES)}, and a name: descend new "
            "optimizer my_optimizer."
        )
    family, name = FAMILIES[given.family], given.name
    check_name(name, family.group)
    code, menu = Path(f"{name}.py"), Path(MENU) / family.group / f"{name}.yaml"
    write(dict(zip((code, menu), texts(given.family, name), strict=True)))
    print(f"{code}: the class {class_name(name)}, for you to change\n{menu}: its fields, for the menu\n")
    print(f"Run it:    descend --config-dir {MENU} {family.group}={name} {family.run}")
    if family.audited:
        print(f"Audit it:  descend audit {family.group}._target_={name}.{class_name(name)}")
    return 0


def texts(family: str, name: str) -> tuple[str, str]:
    """Return the Python file and the YAML of a new member with this name."""
    code, menu = ((STARTERS / f"{family}{ending}").read_text(encoding="utf-8") for ending in (".py", ".yaml"))
    [(target, original)] = re.findall(rf"_target_: ({re.escape(MODULE)}\.\w+\.(\w+))", menu)
    menu = menu.replace(target, f"{name}.{class_name(name)}").replace(f"{KEY}:", f"{name}:")
    return code.replace(original, class_name(name)), menu


def class_name(name: str) -> str:
    """Return the name of a member's class: of `my_adam` it is MyAdam."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def check_name(name: str, group: str) -> None:
    """Require that a name can be that of a Python file, of its class and of a choice, and is not in use.

    Raises:
        ConfigurationError: saying what stands against it.
    """
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and isinstance(typed(name), str)
    if not plain or keyword.iskeyword(name) or keyword.iskeyword(class_name(name)):
        raise ConfigurationError(
            f"descend new was given the name {short(name)!r}, which cannot be that of a Python file and its class; use "
            "letters, digits and underscores, and begin with a letter: my_optimizer."
        )
    if name in choices(FOLDER / group):
        raise ConfigurationError(f"The menu has {group}={name} already, which would be taken; choose another name.")
    spec = None if Path(f"{name}.py").exists() else importlib.util.find_spec(name)
    if spec is not None and spec.origin is not None:
        raise ConfigurationError(
            f"Python has a module {name} ({spec.origin}), which {name}.py would hide; choose another name."
        )


def write(files: Mapping[Path, str]) -> None:
    """Write new files, all or none.

    Raises:
        ConfigurationError: one is there already, or cannot be written.
    """
    for path in files:
        if path.exists():
            raise ConfigurationError(f"{path} exists already, and is left as it is; choose another name, or move it.")
    written: list[Path] = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for made in written:
            made.unlink()
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}; make room, or go to a folder that you may write to."
        ) from error
