"""What CONTRIBUTING.md and .ci say of the project is so."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LISTS = re.findall(r"^\| (`[A-Z_]+`.*?) in `(tests/\S+\.py)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)


def test_the_lists_that_name_every_member_are_where_it_says() -> None:
    assert len(LISTS) >= 4
    for names, file in LISTS:
        text = (ROOT / file).read_text()
        for name in re.findall(r"`([A-Z_]+)`", names):
            assert re.search(rf"^{name}\b.* = ", text, re.MULTILINE), f"{file} has no {name}"


@pytest.fixture(scope="module")
def lowest() -> dict[str, str]:
    done = subprocess.run([sys.executable, str(ROOT / ".ci" / "lowest")], capture_output=True, text=True, check=True)
    return dict(re.findall(r"^(\S+)==(\S+)$", done.stdout, re.MULTILINE))


def test_the_lowest_versions_are_those_that_the_project_promises(lowest: dict[str, str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    assert len(lowest) == len(asked)
    for text in asked:
        name = re.split(r"[\[=>]", text)[0]
        assert f"={lowest[name]}" in text


def test_the_versions_that_the_tests_run_with_are_no_lower(lowest: dict[str, str]) -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))

    def parts(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version)]

    assert all(parts(pinned[name]) >= parts(version) for name, version in lowest.items())


def test_each_row_of_the_matrix_is_a_command_that_there_is() -> None:
    rows = re.findall(r"`((?:PYTHON=\S+ )?\.ci/run\b[^`]*)`", (ROOT / ".ci" / "matrix.md").read_text())
    script = (ROOT / ".ci" / "run").read_text()
    assert len(rows) >= 4
    for row in rows:
        argument = row.partition(".ci/run")[2].strip() or "newest"
        assert f"  {argument})" in script, row


def test_another_choice_of_versions_is_refused_before_anything_is_installed() -> None:
    done = subprocess.run([str(ROOT / ".ci" / "run"), "oldest"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "was given oldest, but it takes newest or lowest" in done.stderr
