"""Every command and every piece of code in the README runs."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Command

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()
COMMANDS = [
    line.strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("python run.py")
]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
MODULES = [code for code in PYTHON if re.match(r"# \w+\.py\n", code)]
CONFIGURATIONS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a `python run.py …` command of the README in `folder`."""
    arguments = shlex.split(command)[2:]
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments], cwd=folder, capture_output=True, text=True
    )


def own_files(folder: Path) -> None:
    """Put the README's own modules, configurations and data where its commands expect them."""
    for text in [*MODULES, *CONFIGURATIONS]:
        path = folder / text.split()[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.name.startswith("make_"):
            exec(compile(text, "README.md", "exec"), {})


def test_the_readme_has_commands() -> None:
    assert len(COMMANDS) >= 10
    assert "pip install -c constraints.txt -e '.[test]' && pytest" in TEXT


ELSEWHERE = {"python run.py": "test_default_run_reaches_97_percent", "python run.py guide": "commands/test_guide.py"}


def maker_of(command: str) -> str | None:
    """The command of the README that makes the folder which another looks at; None for those that look at none."""
    first, *rest = shlex.split(command)[2:] or [""]
    makers = [each for each in COMMANDS for folder in rest if each.endswith(f"hydra.sweep.dir={folder}")]
    return makers[0] if first in ("compare", "report") else None


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ELSEWHERE])
def test_command_runs(command: str, descend: Command, here: Path) -> None:
    """In this process, which spares importing torch each time."""
    own_files(here)
    if (maker := maker_of(command)) is not None:
        descend(*shlex.split(maker)[2:])
    done = descend(*shlex.split(command)[2:])
    if "device=cuda" in command and not torch.cuda.is_available():
        assert done.code == 2
        assert "CUDA" in done.err
        assert "Traceback" not in done.err
    else:
        assert not done.code, done.err


def test_default_run_reaches_97_percent(tmp_path: Path) -> None:
    done = run("python run.py", tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = tmp_path.glob("outputs/*/*/result.json")
    assert json.loads(result.read_text())["metrics"]["accuracy"] >= 0.97


@pytest.mark.parametrize("code", [code for code in PYTHON if code not in MODULES])
def test_python_runs(code: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out
