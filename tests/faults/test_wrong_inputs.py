"""Thousands of wrong inputs: each is refused in one sentence, within seconds, and leaves nothing behind.

CI draws 120 command lines and 480 fields; `pytest -m slow tests/faults` draws twenty thousand other
command lines and sixteen hundred other fields.
"""

import gc
import io
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from faults.wrong_inputs import Case, drawn, drawn_of_fields, lay
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from descend import cli
from descend.errors import ConfigurationError
from descend.menu.build import build, checkpoints, trackers
from descend.menu.compose import compose, composing
from descend.menu.placing import check_places, parse

pytestmark = pytest.mark.long

SECONDS = 60
"""Ten thousand times what a refusal takes, and ten times what the longest of these runs does."""
FEW, MANY, TOGETHER = 120, 20_000, 40
FEW_FIELDS, MANY_FIELDS = 480, 1_600
"""Cases of fields and names that are composed and built, but not run from a command line: at a third of the cost."""


TOO_LARGE = ("OverflowError", "can't allocate memory", "Storage size calculation overflowed")


class TooLong(BaseException):
    """The time limit of one case; nothing that catches an Exception catches it."""


@contextmanager
def limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def carried_out(case: Case, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Return the exit code of a case and what it printed; 99 where it raised, with the traceback."""
    monkeypatch.setattr(sys, "argv", ["descend", *case.arguments])
    GlobalHydra.instance().clear()
    out, err = io.StringIO(), io.StringIO()
    path = sys.path[:]
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(), limited():
        warnings.simplefilter("ignore")
        try:
            cli.main()
            code: Any = 0
        except SystemExit as exit:
            code = exit.code or 0
        except BaseException:
            traceback.print_exc()
            code = 99
    sys.path[:] = path
    return code, out.getvalue(), err.getvalue()


def everything(here: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in here.rglob("*")}


def fault(case: Case, code: int, err: str, before: dict[Path, bytes], here: Path) -> str | None:
    """Return what is wrong with how a case was answered, or None."""
    if code == 1 and "the run failed: " in err and any(text in err for text in TOO_LARGE):
        return None  # a number so large that arithmetic or memory ends is a run that failed
    if "Traceback" in err or code not in (0, 2):
        return f"exit code {code}"
    if code == 2:
        lines = err.splitlines()
        if len(lines) != 1 or not lines[0].startswith("descend: ") or len(lines[0]) > 3000:
            return "no one sentence"
        return None if everything(here) == before else "something was written"
    if case.wrong:
        return "taken, though it is wrong"
    return ignored(case, here)


def ignored(case: Case, here: Path) -> str | None:
    """Return which override of a run is not found in what was run, or None."""
    given = [t for t in case.arguments if ("=" in t or t.startswith("~")) and not t.startswith("-")]
    for folder in here.glob("outputs/*/*/.hydra"):
        config = OmegaConf.create(yaml.safe_load((folder / "config.yaml").read_text()))
        parsed = OverridesParser.create().parse_overrides(given)
        gone = {override.key_or_group for override in parsed if override.is_delete()}
        for key, override in {override.key_or_group: override for override in parsed}.items():  # the last one counts
            value = override.value()
            if key in gone or override.package or isinstance(value, dict) or "/" in key or key == "experiment":
                continue
            node = OmegaConf.select(config, key, throw_on_resolution_failure=False)
            shown = OmegaConf.to_container(config, resolve=False)
            for part in key.split("."):
                shown = shown.get(part) if isinstance(shown, dict) else node
            if not isinstance(shown, dict) and not same(shown, value):
                return f"{key} is {shown!r} in what was run"
    return None


def same(found: Any, given: Any) -> bool:
    """Tell whether a value is the one given, in another type perhaps: `'1'` for a number, 3 for 3.0."""
    try:
        return found == given or str(found) == str(given) or float(found) == float(given)
    except (TypeError, ValueError):
        return False


def built(case: Case) -> str | None:
    """Return what is wrong with how a case is answered by composing and building it, or None."""
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with composing():
                check_places(parse(case.arguments), sweeps=False)
                config = compose(case.arguments)
            trackers(config)
            checkpoints(config)
            build(config, case.arguments)
    except ConfigurationError as error:
        text = str(error)
        return None if text.splitlines() == [text] and 20 < len(text) < 3000 else f"no one sentence: {text!r}"
    except BaseException:
        return traceback.format_exc()[-3000:]
    return "taken, though it is wrong" if case.wrong else None


Check = Callable[[int], None]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    def one(seed: int) -> None:
        here = tmp_path / str(seed)
        here.mkdir()
        monkeypatch.chdir(here)
        case = drawn(seed)
        lay(case.files, here)
        before = everything(here)
        code, out, err = carried_out(case, monkeypatch)
        found = fault(case, code, err, before, here)
        shutil.rmtree(here)
        assert found is None, (
            f"case {seed}: {found}\ndescend {case.arguments}\n{case.files}\n{out[-500:]}\n{err[-3000:]}"
        )

    yield one
    gc.unfreeze()  # each command leaves uncollected what was there when it began, as a process of its own would
    gc.collect()
    gc.freeze()


@pytest.mark.parametrize("first", range(0, FEW, TOGETHER))
def test_wrong_inputs(first: int, check: Check) -> None:
    for seed in range(first, first + TOGETHER):
        check(seed)


def check_fields(seed: int) -> None:
    case = drawn_of_fields(seed)
    found = built(case)
    assert found is None, f"case {seed}: {found}\n{case.arguments}"


@pytest.mark.parametrize("first", range(0, FEW_FIELDS, 4 * TOGETHER))
def test_wrong_fields(first: int) -> None:
    for seed in range(first, first + 4 * TOGETHER):
        check_fields(seed)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(FEW, FEW + MANY, 10 * TOGETHER))
def test_many_wrong_inputs(first: int, check: Check) -> None:
    for seed in range(first, first + 10 * TOGETHER):
        check(seed)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(FEW_FIELDS, FEW_FIELDS + MANY_FIELDS, 4 * TOGETHER))
def test_many_wrong_fields(first: int) -> None:
    for seed in range(first, first + 4 * TOGETHER):
        check_fields(seed)
