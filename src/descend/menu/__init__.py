"""The menu: from YAML and the command line to an experiment. Nothing outside this folder and `cli` knows of Hydra."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

# A wheel carries the menu inside the package; a checkout has it at the root.
FOLDER = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"


def choices(group: Path) -> list[str]:
    """Return the names of a group's choices, those in its subfolders included, as one types them."""
    return sorted(str(path.relative_to(group).with_suffix("")) for path in group.rglob("*.yaml"))


COMMANDS = {
    "audit": "descend.menu.commands.audit:audit_command",
    "board": "descend.menu.commands.board:board_command",
    "compare": "descend.menu.commands.compare:compare_command",
    "landscape": "descend.menu.commands.landscape:landscape_command",
    "new": "descend.menu.commands.new:new_command",
    "objectives": "descend.menu.commands.members:objectives_command",
    "optimizers": "descend.menu.commands.members:optimizers_command",
    "report": "descend.menu.commands.report:report_command",
    "show": "descend.sweeps.show:show_command",
}
"""What stands first on the command line where no run begins, and the function that takes the arguments behind it."""
