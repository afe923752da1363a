"""Wrong inputs, drawn: mistyped names, values of other types and ranges, files, folders, sweeps, flags.

A case says whether it is wrong for certain. What may be right (`optimizer.eps=0`) may also be taken; then every
override must be found in what was run.
"""

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from descend.menu import FOLDER, choices
from descend.menu.compose import compose

QUIET = ["metrics=none", "derivatives=none", "tracker=none", "steps=2"]
CHEAP = [
    "digits_mlp_small",
    "sphere",
    "rosenbrock",
    "beale",
    "quadratic",
    "himmelblau",
    "fonseca_fleming",
    "op_at_point",
    "parabola",
]
GROUPS = [
    "objective",
    "op",
    "optimizer",
    "schedule",
    "clip",
    "aggregator",
    "tracker",
    "metrics",
    "derivatives",
    "sweep",
]

Draw = random.Random

MENUS = 40
"""So many different choices from the menu do cases of fields set theirs beside."""


@dataclass
class Case:
    """A command line, and the files that lie about when it is given.

    Attributes:
        arguments: after `descend`.
        files: by their path from the folder one is in; content None is a folder.
        wrong: whether it must be refused.
    """

    arguments: list[str]
    files: dict[str, bytes | None] = field(default_factory=dict)
    wrong: bool = True


def drawn(seed: int) -> Case:
    """Return the case of a seed, always the same one."""
    draw = random.Random(seed)
    return draw.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0](draw)


def drawn_of_fields(seed: int) -> Case:
    """Return the case of a seed among those of one field or name, beside one of `MENUS` choices from the menu.

    They need no command line to be told wrong, and what they choose is composed once.
    """
    draw = random.Random(f"fields {seed}")
    return draw.choices([value, name], [4, 1])[0](draw, chosen(random.Random(f"menu {seed % MENUS}")))


def base(draw: Draw) -> list[str]:
    """Return overrides that are right."""
    return [f"objective={draw.choice(CHEAP)}", *QUIET]


@cache
def leaves(overrides: tuple[str, ...]) -> list[str]:
    """Return the dotted keys of every value of a configuration."""
    found: list[str] = []

    def walk(node: DictConfig, prefix: str) -> None:
        for key in node:
            inner: Any = node._get_node(key)
            walk(inner, f"{prefix}{key!s}.") if OmegaConf.is_dict(inner) else found.append(f"{prefix}{key!s}")

    walk(compose(list(overrides)), "")
    return [key for key in found if not key.startswith(("steps", "sweep"))]


def chosen(draw: Draw) -> list[str]:
    """Return overrides that are right, with a choice from some groups."""
    groups = draw.sample(["optimizer", "schedule", "clip", "aggregator"], draw.randint(0, 2))
    looked = draw.choice([[], [], ["metrics=default"], ["metrics=losses"], ["metrics=curvature", "derivatives=second"]])
    return [*base(draw), *looked, *(f"{group}={draw.choice(choices(FOLDER / group))}" for group in groups)]


def mistyped(draw: Draw, name: str) -> str:
    """Return a name with one letter lost, doubled, exchanged or put in."""
    at = draw.randrange(len(name))
    letter = draw.choice(string.ascii_lowercase + "_")
    changed = [name[:at] + name[at + 1 :], name[:at] + name[at] + name[at:], name[:at] + letter + name[at + 1 :]]
    return draw.choice(changed)


VALUES = [
    *("-1", "0", "1", "1.5", "-0.0", "1e-320", "1e300", "1e400", "-1e400", "nan", "inf", "-inf"),
    *("99999999999999999999", "9223372036854775807", "9223372036854775808", "1000000000000000", "9" * 5000),
    *("true", "false", "null", "many", "''", '""', "'1'", "[]", "[1]", "[1,2]", "[1,x]", "[[1],[2]]", "[null]"),
    *("{}", "{a: 1}", "{_target_: os.getcwd}", "{_target_: 3}", "{_args_: [1]}", "ä", "'a b'", "-", "/", "a/b"),
    *("${nothing}", "${oc.env:NOT_SET}", "${seed}", "${objective}", "${.}", "${", "$", "\\", "'", '"', "[", "{", "("),
    *("1,", ",1", "1 2", "a=b", "=", "a:b", "1e", "0x10", "1_000", "+1", ".5", "5.", "None", "True"),
]

WORK = ("max_iter", "order", "points", "probes", "top", "bottom")
"""Fields whose large numbers ask for much work, which is no mistake and would be done."""

TARGETS = [
    *("nowhere.Mine", "os.getcwd", "os", "os.path.join", "torch.nn.Linear", "builtins.dict", "builtins.eval", "3"),
    *("descend.optimizers.adam.Adam", "descend.objectives.sphere", "descend.objectives.objective.Objective"),
    *("''", "null", ".", "a.", ".a", "a..b", "torch", "[]", "true", "descend.metrics.metric.Metric", "ä.ö"),
]


def value(draw: Draw, overrides: Sequence[str] | None = None) -> Case:
    """Some value in some field; not every one is wrong there."""
    overrides = chosen(draw) if overrides is None else overrides
    key = draw.choice(leaves(tuple(overrides)))
    text = draw.choice(TARGETS if key.endswith("_target_") and draw.random() < 0.8 else VALUES)
    if key.endswith(WORK) and text.isdecimal() and len(text) > 3:
        return value(draw, overrides)
    prefix = draw.choice(["", "", "", "", "++"])
    return Case([*overrides, f"{prefix}{key}={text}"], wrong=False)


def name(draw: Draw, overrides: Sequence[str] | None = None) -> Case:
    """A key that does not exist, set or added."""
    overrides = chosen(draw) if overrides is None else overrides
    keys = leaves(tuple(overrides))
    parts = draw.choice(keys).split(".")
    at = draw.randrange(len(parts))
    parts[at] = mistyped(draw, parts[at])
    key = ".".join(parts)
    if any(known == key or known.startswith(f"{key}.") for known in [*keys, "steps"]):
        return name(draw, overrides)
    # The fields of an expression's start and formula are the user's to name, and so are those of metrics and claims.
    return Case([*overrides, f"{draw.choice(['', '', '+', '++'])}{key}=1"], wrong=not free(key))


def free(key: str) -> bool:
    """Tell whether a name is the user's own to give, or Hydra's (`_partial_`)."""
    return key.startswith(("claims", "metrics.", "derivatives.", "tracker.")) or "._" in key


def choice(draw: Draw) -> Case:
    """A choice or a group that does not exist."""
    group = draw.choice(GROUPS)
    right = draw.choice(choices(FOLDER / group))
    wrong = mistyped(draw, right)
    if (FOLDER / group / f"{wrong}.yaml").is_file() or not wrong:
        return choice(draw)
    sweeps = ["-m"] if group == "sweep" or draw.random() < 0.2 else []
    if draw.random() < 0.3:
        other = mistyped(draw, group)
        return choice(draw) if other in GROUPS else Case([*sweeps, *QUIET, f"{other}={right}"], wrong=True)
    return Case([*sweeps, *QUIET, f"{group}={wrong}"], wrong=True)


def garbage(draw: Draw) -> Case:
    """Letters and signs, with an equals sign or without."""
    letters = string.ascii_letters + string.digits + "=,.[]{}()'\"\\$@~+-/:*% \täß∂"
    text = "".join(draw.choices(letters, k=draw.randint(1, 25)))
    if text.startswith(("-", "audit", "guide")):
        text = f"x{text}"
    return Case([*base(draw), *(["-m"] if draw.random() < 0.3 else []), text])


def taken_away(draw: Draw) -> Case:
    """A group or a field deleted or added again."""
    overrides = base(draw)
    key = draw.choice([*GROUPS, "steps", "stop", "seed", "claims", "stop.value", "objective.dim", "optimizer.lr"])
    text = draw.choice(
        [f"~{key}", f"~{key}=3", f"+{key}=adam", f"{key}@other=adam", f"{key}@:other=adam", f"++{key}=3"]
    )
    return Case([*overrides, text], wrong=False)


LISTS = [
    *("0.1,-1", "0.1,many", "0.1,[1]", "choice()", "choice(0.1,)", "range(0,1,0)", "range(1,0)", "range(0,1e400)"),
    *("interval(0.1,1)", "interval(1)", "interval(0.1,1e400)", "tag(log,interval(-1,1))", "glob(*)", "sort(0.1,-1)"),
    *("range(0,100000000)", "shuffle(0.1,x)", "0.1,,0.2", "tag(a,0.1,nan)", "0.1,inf", "null,0.1", "interval(a,b)"),
]


def swept(draw: Draw) -> Case:
    """A list of values with a wrong one among them, or none."""
    key = draw.choice(["optimizer.lr", "optimizer.eps", "seed", "steps", "stop.plateau"])
    text = draw.choice(LISTS)
    fine = text in ("null,0.1",) or (text, key) in [("shuffle(0.1,x)", "")] or key == "stop.plateau"
    fine |= key == "seed" and text == "range(1,0)"
    return Case(["-m", *base(draw), f"{key}={text}", "sweep.dry_run=true"], wrong=not fine)


HOW = {
    "sweep.keep": ["some", "3", "none,all", "[]", "true"],
    "sweep.memory": ["0", "-1", "many", "1.5", "[1]"],
    "sweep.parts": ["0", "2", "many", "-1"],
    "sweep.points": ["0", "-1", "1.5", "many", "3"],
    "sweep.resume": ["nowhere", "3", "[]", "/", "''"],
    "sweep.dry_run": ["maybe", "3", "true,false"],
    "sweep.fail_fast": ["maybe", "[true]"],
    "sweep.yes": ["maybe", "1"],
    "sweep.sampling": ["3", "null", "[]", "{_target_: os.getcwd}"],
    "sweep": ["grid,random", "random", "[grid]"],
    "seed": ["2,3", "4"],
    "hydra.sweep.dir": ["a,b", "file/x"],
    "hydra.run.dir": ["there"],
    "hydra/launcher": ["ray_aws", "jobib", "3"],
    "hydra/sweeper": ["descent", "[]"],
}


def how(draw: Draw) -> Case:
    """A sweep that is made in a way that does not exist, or has no effect."""
    key = draw.choice(list(HOW))
    text = draw.choice(HOW[key])
    fine = (key, text) == ("sweep.resume", "''")
    return Case(["-m", *base(draw), "seed=0,1", f"{key}={text}"], {"file": b""}, wrong=not fine)


def not_a_sweep(draw: Draw) -> Case:
    """What is for a sweep, in one run."""
    texts = ["sweep.dry_run=true", "sweep=sobol", "seed=0,1", "optimizer=adam,sgd", "hydra.sweep.dir=a"]
    return Case([*base(draw), draw.choice([*texts, "hydra/launcher=joblib", "sweep.points=3", "seed=range(0,3)"])])


YAMLS = [
    *("steps: many", "steps: 3\nsteps: 4", "steps: [3", "\tsteps: 3", "- 3", "stpes: 3", "steps: {a: 1}", "a: 1"),
    *("optimizer: adam", "optimizer:\n  lrr: 1", "optimizer:\n  lr: fast", "optimizer:\n  lr: .nan", "stop: 3"),
    *("defaults:\n  - override /optimizer: adm", "defaults:\n  - override /optimiser: adam", "defaults: adam"),
    *("defaults:\n  - nowhere", "defaults:\n  - override /optimizer: [adam]", "objective: {_target_: os.getcwd}"),
    *("steps: ${nothing}", "steps: ${oc.env:NOT_SET}", "steps: '${'", "steps: !!python/object:os.getcwd {}"),
    *("hydra: 3", "hydra:\n  run: 3", "hydra:\n  sweeper: 3", "seed: 1e400", "seed: -1", "seed: 0x", "? [a]\n: 3"),
    *(
        "optimizer:\n  lr: 1\n  lr: 2",
        "a: &a [*a]",
        "steps: *nothing",
        "%YAML 9\nsteps: 3",
        "steps: 99999999999999999999",
    ),
    *("optimizer: null", "metrics: 3", "metrics: {a: 3}", "metrics: [1]", "claims: 3", "claims: {a: 3}", "1: 2"),
    *("stop:\n  value: many", "dtype: int8", "device: gpu", "threads: 0", "compile: maybe", "null: 3", "sweep: 3"),
]
FINE = {
    "sweep: 3",  # nothing of it is looked at in one run
    "defaults:\n  - override /optimizer: [adam]",  # a list of one choice
}


def yaml_file(draw: Draw) -> Case:
    """A mistake in a file of the user's."""
    text = draw.choice(YAMLS)
    content = f"# @package _global_\n{text}\n".encode()
    damage = draw.random()
    if damage < 0.1:
        content = bytes(draw.choices(range(128, 256), k=30))
    sweeps = ["-m", "seed=0,1"] if draw.random() < 0.3 and "seed" not in text and "sweep" not in text else []
    arguments = ["--config-dir", "mine", *sweeps, *base(draw)]
    if "seed" in text or "steps" in text:
        arguments.remove("steps=2")
    return Case([*arguments, "experiment=e"], {"mine/experiment/e.yaml": content}, wrong=text not in FINE)


def flag(draw: Draw) -> Case:
    """A flag that does not exist, or leads nowhere."""
    flags = [
        *(
            ["--config-dir", "nowhere"],
            ["--config-dir", "file"],
            ["--config-name", "nowhere"],
            ["--config-path", "file"],
        ),
        *(["--foo"], ["-x"], ["--cfg", "all_of_it"], ["--steps", "3"], ["--cfg"], ["--info", "nothing"], ["-cn"]),
        *(["--config-name", ""], ["--config-dir", ""], ["-m", "-c", "job"], ["--cfg", "job", "optimizer.lrr=1"]),
        *(["--cfg", "job", "--resolve", "steps=${nothing}"], ["hydra.searchpath=[nowhere]"], ["hydra.searchpath=3"]),
        *(["hydra.verbose={a: 1}"], ["hydra.mode=SWEEP"], ["hydra.nothing=3"], ["hydra.job.chdir=maybe"]),
    ]
    given = draw.choice(flags)
    fine = given in (["--config-dir", ""], ["--config-name", ""])  # as if they were not given
    return Case([*base(draw), *given], {"file": b""}, wrong=not fine)


def folder(draw: Draw) -> Case:
    """A folder that cannot be made, is in use, or is not what it should be."""
    files: dict[str, bytes | None] = {
        "file": b"",
        "used/result.json": b"{}",
        "made/.hydra/config.yaml": b"",
        "swept/sweep.db": b"",
        "torn/sweep.db": b"no database, but long enough to be read as one" * 50,
    }
    runs = [
        "hydra.run.dir=file",
        "hydra.run.dir=file/a",
        "hydra.run.dir=used",
        "hydra.run.dir=made",
        "hydra.run.dir=swept",
    ]
    more = ["hydra.run.dir=null", "hydra.run.dir=${nothing}", "hydra.run.dir=[a]", f"hydra.run.dir={'a' * 300}"]
    sweeps = ["hydra.sweep.dir=file/a", "hydra.sweep.dir=used", "hydra.sweep.dir=swept", "hydra.sweep.dir=null"]
    again = ["sweep.resume=torn", "sweep.resume=used", "sweep.resume=file", "sweep.resume=nowhere"]
    text = draw.choice([*runs, *more, *sweeps, *again])
    in_a_sweep = text in (*sweeps, *again)
    return Case([*(["-m", "seed=0,1"] if in_a_sweep else []), *base(draw), text], files)


def audit(draw: Draw) -> Case:
    """A wrong audit."""
    given = draw.choice(
        [
            *(
                ["op=gelo"],
                ["--order", "many"],
                ["--order", "0"],
                ["--order", "9", "op=gelu"],
                ["--foo"],
                ["--all", "op=gelu"],
            ),
            *([], ["op.scale=3"], ["op=gelu", "op.nothing=3"], ["objective=sphere", "objective.dim=-1"], ["op=[1]"]),
            *(["op._target_=nowhere.Op"], ["op._target_=os.getcwd"], ["steps=3"], ["op=${nothing}"], ["op='"]),
        ]
    )
    return Case(["audit", *given])


KINDS: list[tuple[Callable[[Draw], Case], float]] = [
    (value, 20),
    (name, 4),
    (choice, 3),
    (garbage, 4),
    (taken_away, 2),
    (swept, 3),
    (how, 3),
    (not_a_sweep, 1),
    (yaml_file, 4),
    (flag, 2),
    (folder, 2),
    (audit, 1),
]


def lay(files: dict[str, bytes | None], here: Path) -> None:
    """Write the files of a case."""
    for name, content in files.items():
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)
