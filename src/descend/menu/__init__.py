"""The menu: from YAML and the command line to an experiment. Nothing outside this folder and `cli` knows of Hydra."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

# A wheel carries the menu inside the package; a checkout has it at the root.
FOLDER = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"


def choices(group: Path) -> list[str]:
    """Return the names of a group's choices, those in its subfolders included, as one types them."""
    return sorted(str(path.relative_to(group).with_suffix("")) for path in group.rglob("*.yaml"))
