"""The wheel and the source archive: both carry the menu, and their command does what the checkout's does, anywhere."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

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
    return run_python(installed, here, str(installed / "bin" / "descend"), *arguments)


def run_python(installed: Path, here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=here,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(here)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_it_carries_the_menu_and_the_plugin(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name.removeprefix("descend/conf/") for name in names if name.startswith("descend/conf/")) == CONF
    for path in (*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.yaml")):
        assert str(path.relative_to(ROOT / "src")) in names
    assert "descend/py.typed" in names  # a type checker reads the annotations of a package with this file alone
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


def test_as_a_module_with_the_menu_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    done = run_python(installed, tmp_path, "-m", "descend", "objective=rosenbrock", "steps=3")
    assert done.returncode == 0, done.stderr
    assert "all 3 steps were made" in done.stdout
    new = run_python(installed, tmp_path, "-m", "descend", "new", "schedule", "mine")
    assert new.returncode == 0, new.stderr
    assert (tmp_path / "my" / "schedule" / "mine.yaml").exists()


def test_the_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        inside = {name.partition("/")[2] for name in content.getnames()}
    assert {"LICENSE", "README.md", "conf/config.yaml", "tests/test_wheel.py"} <= inside
    assert not [name for name in inside if name.startswith("outputs/") and name != "outputs/.gitkeep"]
    pip("wheel", str(archive), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path))
    [made] = tmp_path.glob("*.whl")
    assert sorted(zipfile.ZipFile(made).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
