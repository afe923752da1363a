"""A page of Markdown whose commands and code are run: the README, and the pages of docs/.

- `bash`: the lines that begin with `python run.py` are run in order, in an empty folder of the block's own. One whose
  comment begins with `exits with 1` must do so.
- `python`: run, and must print what stands after `# prints`; one whose first line is the name of a file
  (`# bowl.py`) is that file, for the commands.
- `yaml`: a file, too, named in its first line.
- `text`: shown, never run.
"""

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import torch
from conftest import Command

NEVER_RUN = ("git clone", "pip install", "descend board")
"""How the lines of a `bash` block may begin that are no commands of descend."""


@dataclass(frozen=True)
class Page:
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    def fenced(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.DOTALL | re.MULTILINE)

    def lines(self) -> list[str]:
        """The lines of all `bash` blocks."""
        return [line for block in self.fenced("bash") for line in block.splitlines()]

    def blocks(self) -> list[list[str]]:
        """The commands of each `bash` block that has some."""
        found = [
            [line for line in block.splitlines() if line.startswith("python run.py")] for block in self.fenced("bash")
        ]
        return [commands for commands in found if commands]

    def modules(self) -> list[str]:
        return [code for code in self.fenced("python") if re.match(r"# \w+\.py\n", code)]

    def programs(self) -> list[str]:
        return [code for code in self.fenced("python") if code not in self.modules()]

    def own_files(self, folder: Path) -> None:
        """Put the page's own modules, configurations and data where its commands expect them."""
        for text in [*self.modules(), *self.fenced("yaml")]:
            path = folder / text.split()[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            if path.name.startswith("make_"):
                exec(compile(text, self.path.name, "exec"), {})


def run_program(page: Page, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a piece of Python, and hold what it prints to what the page says."""
    exec(compile(code, page.path.name, "exec"), {"__name__": "__main__"})
    out = capsys.readouterr().out
    assert out
    for line in re.findall(r"# prints (.*)", code):
        before, found, out = out.partition(line)
        assert found, f"{line!r} is not printed, but {before!r}"


def run_block(page: Page, commands: list[str], descend: Command, here: Path) -> None:
    """Run commands one after the other in this process, which spares importing torch each time."""
    page.own_files(here)
    for command in commands:
        stated = re.search(r"# exits with (\d)", command)
        done = descend(*shlex.split(command, comments=True)[2:])
        if "device=cuda" in command and not torch.cuda.is_available():
            assert done.code == 2
            assert "CUDA" in done.err
            assert "Traceback" not in done.err
        else:
            assert (done.code or 0) == (int(stated[1]) if stated else 0), f"{command}\n{done.err}"
