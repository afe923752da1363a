"""The cells of the notebooks in `examples/` run, and what they show is there."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))
SHOWN = ("_repr_html_", "_repr_png_")


def cells(notebook: Path) -> list[str]:
    return ["".join(x["source"]) for x in json.loads(notebook.read_text())["cells"] if x["cell_type"] == "code"]


def computed(cell: str, names: dict[str, Any]) -> object:
    """Run a cell as a notebook does, and return the value of the expression that it ends with."""
    *before, last = ast.parse(cell).body
    assert isinstance(last, ast.Expr)
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def rich(value: object) -> dict[str, str | bytes]:
    """What a notebook shows of a value, by its kind."""
    found = {name: getattr(value, name)() for name in SHOWN if hasattr(value, name)}
    return {name: content for name, content in found.items() if content is not None}


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_shows_a_table_or_a_picture(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells(notebook):
        shown = rich(computed(cell, names))
        assert shown, cell
        for content in shown.values():
            assert content.startswith(b"\x89PNG") if isinstance(content, bytes) else "<table" in content, cell
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_reader_sees_the_outputs_of_every_cell(notebook: Path) -> None:
    outputs = [x["outputs"] for x in json.loads(notebook.read_text())["cells"] if x["cell_type"] == "code"]
    assert all(outputs)
    assert not [each for cell in outputs for each in cell if each["output_type"] in ("error", "stream")]
