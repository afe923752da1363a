"""The documentation: it builds without a warning and a network, its links hold, and its code runs."""

import html
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import Command
from pages import NEVER_RUN, Page, run_block, run_program

from descend.menu import FOLDER, choices
from descend.menu.help import first_comment

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [Page(path) for path in sorted(DOCS.rglob("*.md"))]
BLOCKS = [(page, block) for page in PAGES for block in page.blocks()]
PROGRAMS = [(page, code) for page in PAGES for code in page.programs()]

WITHOUT_PAGES = {"experiment", "sweep", "tracker"}
"""Groups of the menu that are no family: studies, and settings of sweeps and of what is kept."""

LARGEST_PICTURE = 15_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path.relative_to(DOCS)))
def test_nothing_in_a_block_of_commands_is_left_out(page: Page) -> None:
    assert all(line.startswith(("python run.py", *NEVER_RUN)) for line in page.lines())


@pytest.mark.parametrize(("page", "commands"), BLOCKS, ids=lambda part: part[0] if isinstance(part, list) else None)
def test_commands_run(page: Page, commands: list[str], descend: Command, here: Path) -> None:
    run_block(page, commands, descend, here)


@pytest.mark.parametrize(("page", "code"), PROGRAMS, ids=lambda part: part.path.stem if isinstance(part, Page) else "")
def test_python_runs(page: Page, code: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_program(page, code, capsys)


def test_pictures_are_small() -> None:
    large = [path.name for path in DOCS.rglob("*.webp") if path.stat().st_size > LARGEST_PICTURE]
    assert not large


class Links(HTMLParser):
    """What a page of the built site loads, where it leads to, and which anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and (target := given.get("href")):
            self.leads.append(target)
        elif target := given.get("src") or given.get("href"):
            self.loads.append(target)


def test_the_site(tmp_path: Path) -> None:
    """All in one: to build it takes as long as everything else here."""
    pytest.importorskip("mkdocs", reason="the site is built with the extra docs: pip install -e '.[docs]'")
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pages = {path: Links(path.read_text()) for path in site.rglob("*.html")}
    assert broken(site, pages) == []
    assert [load for links in pages.values() for load in links.loads if urlsplit(load).netloc] == []
    assert members_without_a_page(site) == []
    assert (site / "search" / "search_index.json").stat().st_size > 100_000
    assert list(site.rglob("*.py")) == []


def broken(site: Path, pages: dict[Path, Links]) -> list[str]:
    """The links within the site that lead to no file, or to no anchor of it."""
    found = []
    for path, links in pages.items():
        for target in {*links.leads, *links.loads}:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            base = site if parts.path.startswith("/") else path.parent
            there = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            anchor = unquote(parts.fragment)
            whole = there.is_file() and (not anchor or there not in pages or anchor in pages[there].anchors)
            found += [] if whole else [f"{path.relative_to(site)} -> {target}"]
    return found


def members_without_a_page(site: Path) -> list[str]:
    """The choices of the menu whose page is missing, or does not say what they are."""
    groups = [path.name for path in FOLDER.iterdir() if path.is_dir() and path.name not in WITHOUT_PAGES]
    found = []
    for group in groups:
        for name in choices(FOLDER / group):
            page = site / "members" / group / name / "index.html"
            text = html.unescape(re.sub("<[^>]*>", "", page.read_text())) if page.is_file() else ""
            plain = re.sub(r"\W+", "", first_comment(FOLDER / group / f"{name}.yaml"))
            found += [] if plain in re.sub(r"\W+", "", text) else [f"{group}/{name}"]
    return found
