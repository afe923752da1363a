"""The wheel: it carries the menu, and its command does the same as the checkout's, from anywhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONF = sorted(str(path.relative_to(ROOT / "conf")) for path in (ROOT / "conf").rglob("*.yaml"))


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="building a wheel offline needs hatchling: pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", str(ROOT), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel in it, and nothing of the checkout."""
    target = tmp_path_factory.mktemp("installed")
    pip("install", str(wheel), "--no-deps", "--no-index", "--target", str(target))
    return target


def command(installed: Path, here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder of its own; the target stands before the editable install on the path."""
    return subprocess.run(
        [sys.executable, str(installed / "bin" / "descend"), *arguments],
        cwd=here,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(here)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_it_carries_the_menu_and_the_plugin(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name.removeprefix("descend/conf/") for name in names if name.startswith("descend/conf/")) == CONF
    for path in (ROOT / "src").rglob("*.py"):
        assert str(path.relative_to(ROOT / "src")) in names
    for path in (ROOT / "src/descend/output/report/page").iterdir():
        assert str(path.relative_to(ROOT / "src")) in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "outputs"))]


def test_the_same_menu_from_another_folder(installed: Path, tmp_path: Path) -> None:
    found = command(installed, tmp_path, "--help")
    here = subprocess.run([sys.executable, str(ROOT / "run.py"), "--help"], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stderr
    assert found.stdout == here.stdout != ""


def test_the_same_run_from_another_folder(installed: Path, tmp_path: Path) -> None:
    done = command(installed, tmp_path, "objective=rosenbrock", "steps=3")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    [result] = tmp_path.glob("outputs/*/*/result.json")
    assert '"commit": null' in result.read_text()  # what runs is the wheel, which lies in no checkout
