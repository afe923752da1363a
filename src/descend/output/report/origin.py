"""Where results come from: the command that makes them again, and what made them."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descend.output.report.sources import read_yaml

PLACES = ("hydra.mode=", "hydra.sweep.dir=", "hydra.run.dir=")
"""What the command says otherwise, and the names of folders that are there by now."""


@dataclass(frozen=True)
class Provenance:
    """What a folder says of how it came about.

    Attributes:
        folder: its name.
        command: to be typed; "" where it is not known.
        facts: the provenance of one of its runs, as in result.json.
    """

    folder: str
    command: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def origin_of(folder: Path) -> Provenance:
    """Return the origin of a run's folder or a sweep's."""
    swept = (folder / "multirun.yaml").exists()
    hydra = read_yaml(folder / "multirun.yaml") if swept else read_yaml(folder / ".hydra" / "hydra.yaml")
    noted = hydra.get("hydra", {}).get("overrides", {})
    own = [text for text in noted.get("hydra") or [] if not text.startswith(PLACES)]
    words = ["descend", *(["-m"] if swept else []), *(noted.get("task") or []), *own]
    results = [folder / "result.json", *sorted(folder.glob("*/result.json"))[:1]]
    return Provenance(folder.resolve().name, shlex.join(words) if noted else "", provenance_in(results))


def provenance_in(paths: list[Path]) -> Mapping[str, Any]:
    """Return the provenance that the first readable result tells."""
    for path in paths:
        try:
            found = json.loads(path.read_text())["provenance"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return {name: value for name, value in found.items() if name not in ("command", "seed", "stacked")}
    return {}
