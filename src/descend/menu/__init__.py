"""The menu: from YAML and the command line to an experiment. Nothing outside this folder and `cli` knows of Hydra."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

# A wheel carries the menu inside the package; a checkout has it at the root.
FOLDER = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"
