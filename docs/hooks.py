"""What MkDocs is given beside the files in docs/: a page for each member of the menu, the studies, the changelog."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import members
import torch
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
STUDIES = sorted(path.parent.name for path in ROOT.glob("experiments/*/README.md"))

PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "experiments/README.md": "studies/index.md",
    **{f"experiments/{study}/README.md": f"studies/{study}.md" for study in STUDIES},
}
"""The pages made of files that lie elsewhere in the repository: where those lie, and the page."""

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the navigation, where mkdocs.yml names their folder."""
    made = {"members/": members_nav(), "studies/": studies_nav()}
    config.nav = [
        {title: made[place]} if isinstance(place, str) and place in made else {title: place}
        for entry in config.nav or []
        for title, place in entry.items()
    ]
    return config


def members_nav() -> list[Any]:
    families: list[Any] = ["members/index.md"]
    for group, (title, _) in members.FAMILIES.items():
        pages = [{name: members.uri(group, name)} for name in members.members(group)]
        families.append({title: [f"members/{group}/index.md", *pages]})
    return families


def studies_nav() -> list[Any]:
    return ["studies/index.md", *(f"studies/{study}.md" for study in STUDIES)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the pictures of the studies."""
    torch.set_num_threads(1)
    for uri, content in generated():
        files.append(File.generated(config, uri, content=content))
    return files


def generated() -> Iterator[tuple[str, str | bytes]]:
    """Yield where each generated file lies among the sources of the site, and its content."""
    yield "members/index.md", members.all_families_page()
    with torch.random.fork_rng(devices=[]):
        for group in members.FAMILIES:
            yield f"members/{group}/index.md", members.family_page(group)
            for name in members.members(group):
                yield members.uri(group, name), members.member_page(group, name)
    for origin, page in PLACES.items():
        if page != "index.md":
            yield page, moved((ROOT / origin).read_text(), origin, page)
    for picture in (path for kind in ("png", "svg") for path in ROOT.glob(f"experiments/*/*.{kind}")):
        yield f"studies/{picture.parent.name}/{picture.name}", picture.read_bytes()


def moved(text: str, origin: str, page: str) -> str:
    """Return a text of the repository with its links as they are on the site; those to source code become plain."""

    def relinked(match: re.Match[str]) -> str:
        picture, label, target = match.groups()
        if "://" in target or target.startswith("#"):
            return match[0]
        path, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        if path in PLACES:
            place = PLACES[path]
        elif path.startswith("docs/"):
            place = path.removeprefix("docs/")
        elif picture and path.startswith("experiments/"):
            place = path.replace("experiments/", "studies/", 1)
        else:
            return label
        place = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{picture}[{label}]({place}{'#' + anchor if anchor else ''})"

    return LINK.sub(relinked, text)
