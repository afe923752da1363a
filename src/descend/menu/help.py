"""The text of `--help`: the whole menu, read from the YAML itself. Imports neither torch nor Hydra."""

from pathlib import Path

from descend.menu import choices

USAGE = """\
descend: a lab bench for derivatives and optimizers in PyTorch.

  python run.py                                        train on real handwritten digits
  python run.py optimizer=adam optimizer.lr=0.01       choose from the menu, set a field
  python run.py objective=rosenbrock steps=5000        another objective
  python run.py -m optimizer=sgd,adam seed='range(0,4)'  every combination
  python run.py experiment=guide/higher_order          a whole experiment; `python run.py guide` runs all of the guide's
  python run.py resume=outputs/<day>/<time> steps=9000   go on with a run that was stopped, or for longer
  python run.py audit op=gelu --order 3                which derivatives are right, by every route; audit --help
  python run.py compare outputs/<day>/<time>           which setting is best, and how sure that is; compare --help
  python run.py report outputs/<day>/<time>            the same as a page: report.html
  python run.py landscape outputs/<day>/<time>         the loss around a run's path as a picture; landscape --help
  python run.py board                                  TensorBoard on the results in outputs/; board --help
  python run.py optimizers                             every optimizer as a table; `python run.py objectives` likewise
  python run.py new optimizer my_method                a file of your own to change, which runs; new --help
  python run.py show optimizer=adam                    equations, values and where each comes from; nothing is run
  python run.py --cfg job optimizer=adam               show every field of a configuration
  python run.py --hydra-help                           Hydra's own flags

`descend …` does the same from any folder. Results land in outputs/; look at them with: descend board
"""


def help_text(folder: Path) -> str:
    """Return usage, the groups with a line on each of their choices, and the settings with their defaults."""
    parts = [USAGE]
    for group in sorted(path for path in folder.iterdir() if path.is_dir()):
        names = choices(group)
        width = max(map(len, names))
        lines = [f"  {name:<{width}}  {first_comment(group / f'{name}.yaml')}" for name in names]
        parts.append("\n".join([f"{group.name}=", *lines]))
    parts.append("settings\n" + "\n".join(f"  {line}" for line in setting_lines(folder / "config.yaml")))
    return "\n\n".join(parts)


def first_comment(path: Path) -> str:
    """Return the one-line description a YAML file begins with, after the package that Hydra wants to read first."""
    with path.open() as file:
        return next(line for line in file if not line.startswith("# @")).lstrip("# ").rstrip()


def setting_lines(path: Path) -> list[str]:
    """Return the lines of config.yaml between its defaults list and its `hydra` node."""
    lines = path.read_text().splitlines()
    after = next(i for i, line in enumerate(lines) if line.startswith("steps:"))
    before = next(i for i, line in enumerate(lines) if line.startswith("hydra:"))
    return [line for line in lines[after:before] if line]
