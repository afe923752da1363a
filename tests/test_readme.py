"""Every command and every piece of code in the README runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Command
from pages import NEVER_RUN, Page, run_block, run_program

from descend.menu.commands import audit

ROOT = Path(__file__).resolve().parents[1]
README = Page(ROOT / "README.md")
BLOCKS = README.blocks()


def test_the_readme_has_commands() -> None:
    assert len([command for block in BLOCKS for command in block]) >= 10
    assert "pip install -c constraints.txt -e '.[test]' && pytest" in README.text
    assert all(line.startswith(("python run.py", *NEVER_RUN)) for line in README.lines())


def test_its_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README.text)
    assert [link for pair in links for link in pair if link and not (ROOT / link).is_file()] == []


def test_the_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 195


@pytest.mark.parametrize("commands", BLOCKS, ids=lambda commands: commands[0])
def test_commands_run(commands: list[str], descend: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BACKEND", "eager")  # to generate code would take twenty seconds
    run_block(README, commands, descend, here)


def test_default_run_reaches_97_percent(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run.py")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (result,) = tmp_path.glob("outputs/*/*/result.json")
    assert json.loads(result.read_text())["metrics"]["accuracy"] >= 0.97


@pytest.mark.parametrize("code", README.programs())
def test_python_runs(code: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_program(README, code, capsys)
