"""A user's mistake in a sentence: what was found, what was expected, what to do."""

import difflib
import re
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from descend.errors import ConfigurationError
from descend.menu import COMMANDS, FOLDER, choices
from descend.menu.fields import short, unknown

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]

EXTRAS = {
    "ray": "ray",
    "ray_aws": "ray",
    "joblib": "joblib",
    "submitit_local": "submitit",
    "submitit_slurm": "submitit",
}
"""Hydra's launchers, each with the extra of descend that installs it."""


INNER = re.compile(r"Could not override '(?P<outer>\w+)\.(?P<inner>\w+)'\. No match")
"""Hydra's message where a choice is made inside a node that has none there, as `objective.data=digits`."""


def sentence(error: BaseException) -> str:
    """Return what is wrong, and what would be right, for whatever composing a configuration raised."""
    cause: BaseException | None = error
    while cause is not None:
        found = known(cause)
        if found is not None:
            return f"{place_of(error)}{found}"
        cause = cause.__cause__ or cause.__context__
    reason = short(" ".join(str(error).split()).rstrip("."), 300)
    if not isinstance(error, OmegaConfBaseException | OSError | ValueError) and not str(error)[:1].isupper():
        told = reason or traceback.extract_tb(error.__traceback__)[-1].line  # an assertion of Hydra's says no more
        reason = f"the configuration cannot be composed: {type(error).__name__}: {told}"
    return f"{reason}; --help shows the menu and how to choose from it."


def place_of(error: BaseException) -> str:
    """Return which file an error of Hydra's was found in, as the start of a sentence, or nothing."""
    found = re.match(r"In '([^']+)': \w+ raised while composing", str(error))
    return f"In {found[1]}.yaml: " if found and found[1] != "config" else ""


def known(error: BaseException) -> str | None:
    """Return the sentence on an error of a kind that we know, or None."""
    if isinstance(error, ConfigurationError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return missing(error.missing_cfg_file, error.options or ())
    if isinstance(error, MissingMandatoryValue) and error.full_key:
        return f"{error.full_key} has no value, and none is known that is right; set it: {error.full_key}=…"
    if isinstance(error, ConfigCompositionException) and (inner := INNER.match(str(error))):
        return chosen_in_vain(inner["outer"], inner["inner"])
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and error.full_key:
        return no_such_field(error)
    if isinstance(error, ValidationError) and error.full_key:
        return f"{error.full_key}: {short(str(error).splitlines()[0], 200)}; give it a value of that type."
    if isinstance(error, OverrideParseException):
        return unread(str(error.override))
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return "A whole number has more digits than Python reads, but whole numbers end at 2^63; write it as 1e30, say."
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: {error.problem}; correct the file there."
    return None


def unread(override: str) -> str:
    """Return a sentence on a word of the command line that Hydra cannot read."""
    key, equals, value = override.partition("=")
    if equals:
        quoted = f"{short(key)}='\"{short(value)}\"'"
        return f"{short(override)!r} cannot be read; if the value is text, quote it twice: {quoted}."
    settings = yaml.safe_load((FOLDER / "config.yaml").read_text(encoding="utf-8"))
    if key in ("resume", *group_names(), *settings):
        return f"{key} is given no value; write it with an equals sign and no space: {key}=…"
    close = difflib.get_close_matches(key, [*COMMANDS, "guide"], n=1, cutoff=0.6)
    nearest = f" Did you mean {close[0]!r}?" if close else ""
    return f"{short(key)!r} is neither a setting, name=value, nor a command; --help shows both.{nearest}"


def missing(file: str, options: Sequence[str]) -> str:
    """Return a sentence on a choice or group that does not exist.

    Args:
        file: the file that Hydra looked for, without its ending.
        options: what Hydra found in its group.
    """
    group, _, choice = file.rpartition("/")
    if not group:
        return f"The configuration {file} does not exist: --config-name takes config, or a file of your --config-dir."
    if group == "hydra/launcher" and choice in EXTRAS:
        extra = EXTRAS[choice]
        return (
            f"hydra/launcher={choice} needs the extra {extra!r}, which is not installed: pip install -e '.[{extra}]'."
        )
    if not (FOLDER / group).is_dir() and not options:
        group, _, choice = file.partition("/")
    if group == "hydra" or not ((FOLDER / group).is_dir() or options):
        return unknown(f"The group {group}", group, group_names(), "the menu has the groups")
    known = {*options, *(choices(FOLDER / group) if (FOLDER / group).is_dir() else ())}
    return unknown(f"{group}={choice}", choice, known, f"the group {group} has the choices")


def chosen_in_vain(outer: str, inner: str) -> str:
    """Return a sentence on a choice that is made inside the node of another, which makes none there."""
    group = FOLDER / outer
    text = f"/{outer}.{inner}@{inner}:"
    able = [choice for choice in choices(group) if text in (group / f"{choice}.yaml").read_text(encoding="utf-8")]
    return (
        f"{outer}.{inner} is chosen, but the {outer} takes no {inner}; these do: {', '.join(able)}. One of your own "
        f"does where its YAML has under defaults: - {text} …"
    )


def no_such_field(error: OmegaConfBaseException) -> str:
    """Return a sentence on a field that does not exist, with those that do."""
    if str(error.full_key).startswith("hydra.sweeper.params."):
        return (
            "hydra.sweeper.params cannot be given a mapping here; name each swept key as an override of its own, such "
            "as optimizer.lr=0.01,0.1."
        )
    parent, _, field = str(error.full_key).rpartition(".")
    node = error.parent_node
    known = [str(key) for key in node if not str(key).startswith("_")] if OmegaConf.is_dict(node) else []
    text = unknown(str(error.full_key), field, known, f"{parent} has the fields" if parent else "the menu has")
    if OmegaConf.is_dict(node) and "_target_" in node:
        text += f" A field that its class has and the menu doesn't state is added by a plus: +{error.full_key}=…"
    return text


def group_names() -> list[str]:
    """Return the names of the menu's groups."""
    return [folder.name for folder in FOLDER.iterdir() if folder.is_dir()]


def out_of_memory(error: BaseException) -> str | None:
    """Return a sentence on an error that says that there is not enough memory, or None."""
    if not isinstance(error, MemoryError) and "allocate memory" not in str(error):
        return None
    return "The run needs more memory than there is; choose a smaller problem: fewer parameters, or a smaller batch."


def raised_by_user(error: BaseException) -> str | None:
    """Return a sentence on an error that the user's own code raised, or None where it came from ours or a library.

    The frame that decides is the innermost outside Python's and installed libraries: a wrong call of torch made by the
    user's class is theirs, and one made by descend is ours.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename).resolve()
        if PACKAGE in file.parents:
            return None
        if file.is_file() and not any(folder in file.parents for folder in LIBRARIES):
            reason = short(" ".join(str(error).split()).rstrip("."), 300)
            place = f"{file.name}, line {frame.lineno}"
            return f"{frame.name} raised {type(error).__name__}: {reason} ({place}); correct it there."
    return None
