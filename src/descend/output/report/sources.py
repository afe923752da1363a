"""Reading the results that runs and sweeps left, one's own or other people's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from polars.exceptions import PolarsError

from descend.engine.result import Result
from descend.errors import ConfigurationError
from descend.records import SCHEMA

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

RESULT = {each.name for each in fields(Result)}
PARTS_OF_RESULT = ("losses", "metrics", "values", "evaluations")
"""Fields of a result that have a column for each of their names."""


@dataclass(frozen=True)
class RunsInFolder:
    """The runs of one folder: a sweep's, or the one of a run alone.

    Attributes:
        folder: as it was named.
        table: a row for each run, as in sweep.parquet; `seed` is always there.
        swept: the columns of its keys that differ from run to run.
        curves: run, step, name, value.
        fixed: the settings that all its runs were given, by key.
        config: the configuration that they were made of.
        choices: the choice of each group in it.
        notes: what of the folder could not be read, in sentences.
    """

    folder: Path
    table: pl.DataFrame
    swept: tuple[str, ...]
    curves: pl.LazyFrame
    fixed: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_folder(folder: Path) -> RunsInFolder:
    """Return what a folder holds.

    Raises:
        ConfigurationError: no results, or none that can be read; the sentence says what was found.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder} is no folder; name one that a run or a sweep left, as outputs/<day>/<time>."
        )
    if (folder / "sweep.parquet").exists():
        return read_sweep(folder)
    if (folder / "result.json").exists():
        return read_run(folder)
    if (folder / "sweep.db").exists():
        raise ConfigurationError(
            f"{folder} holds a sweep that has not ended; finish it with its own command and sweep.resume={folder}."
        )
    inside = [
        path for path in folder.glob("*/") if (path / "sweep.parquet").exists() or (path / "result.json").exists()
    ]
    advice = f"name those inside it: {folder}/*" if inside else "name a folder that a run or a sweep left"
    raise ConfigurationError(f"{folder} holds no results: neither sweep.parquet nor result.json; {advice}.")


def read_sweep(folder: Path) -> RunsInFolder:
    """Return a sweep's runs.

    Raises:
        ConfigurationError: its table cannot be read.
    """
    path = folder / "sweep.parquet"
    try:
        table = pl.read_parquet(path)
        swept = swept_in(table)
    except (PolarsError, OSError, ValueError) as error:
        reason = (str(error).splitlines() or ["it has no runs"])[0]
        raise ConfigurationError(
            f"{path} cannot be read: {reason}; the sweep's own command with sweep.resume={folder} makes it again."
        ) from error
    node = read_yaml(folder / "multirun.yaml")
    hydra = node.pop("hydra", {})
    given = dict(text.lstrip("+").split("=", 1) for text in overrides_in(hydra) if "=" in text)
    fixed = {key: text for key, text in given.items() if key not in swept and f"swept.{key}" not in swept}
    curves, notes = curves_in(folder)
    return RunsInFolder(folder, with_seed(table), swept, curves, fixed, node, choices_in(hydra), notes)


def swept_in(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns of the swept keys: those between the number of the run and how it ended.

    Raises:
        ValueError: the table is no sweep's.
    """
    return tuple(table.columns[table.columns.index("run") + 1 : table.columns.index("status")])


def read_run(folder: Path) -> RunsInFolder:
    """Return the one run of a folder.

    Raises:
        ConfigurationError: its result cannot be read.
    """
    path = folder / "result.json"
    try:
        result = json.loads(path.read_text())
        row = {"run": 0, **flattened(result)}
        table = pl.DataFrame([row], infer_schema_length=None)
        missing = {"status", "value", "steps"} - set(table.columns)
        if missing:
            raise ValueError(f"it has no {', '.join(sorted(missing))}")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}; make the run again.") from error
    given = read_yaml(folder / ".hydra" / "overrides.yaml")
    fixed = dict(text.lstrip("+").split("=", 1) for text in given if "=" in text) if isinstance(given, list) else {}
    hydra = read_yaml(folder / ".hydra" / "hydra.yaml").get("hydra", {})
    config = read_yaml(folder / ".hydra" / "config.yaml")
    curves, notes = curves_in(folder)
    curves = curves.with_columns(pl.lit(0, pl.Int64).alias("run"))  # a sweep's kept run has its number there
    return RunsInFolder(folder, with_seed(table), (), curves, fixed, config, choices_in(hydra), notes)


def flattened(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result's fields as columns: `losses.cross_entropy`, `metrics.accuracy`; parameters as JSON text."""
    flat: dict[str, Any] = {}
    for name, value in result.items():
        if name in PARTS_OF_RESULT:
            flat |= {f"{name}.{key}": item for key, item in value.items()}
        elif name == "parameters":
            flat[name] = None if value is None else json.dumps(value)
        elif name == "provenance":
            flat |= {f"provenance.{key}": value.get(key) for key in ("parameters", "device", "dtype", "seed", "commit")}
        else:
            flat[name] = value
    return flat


def column_of(key: str) -> str:
    """Return the column of a swept key: its own name, save where a column of the results has it (`steps`)."""
    taken = key in RESULT or key.startswith(tuple(f"{part}." for part in PARTS_OF_RESULT))
    return f"swept.{key}" if taken else key


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; an empty node where there is none that can be read."""
    try:
        return yaml.load(path.read_text(), LOADER) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}


def overrides_in(hydra: Mapping[str, Any]) -> list[str]:
    """Return the overrides that Hydra noted."""
    return list(hydra.get("overrides", {}).get("task") or [])


def choices_in(hydra: Mapping[str, Any]) -> dict[str, str]:
    """Return the choice of each group that Hydra noted."""
    return dict(hydra.get("runtime", {}).get("choices") or {})


def with_seed(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table of runs with the seed of each as a column; a run that failed at once may not have told it."""
    if "seed" in table.columns:
        return table
    if "provenance.seed" not in table.columns:
        return table.with_columns(pl.col("run").alias("seed"))
    return table.with_columns(pl.col("provenance.seed").fill_null(pl.col("run")).alias("seed"))


def curves_in(folder: Path) -> tuple[pl.LazyFrame, tuple[str, ...]]:
    """Return the records of a folder's runs, and a sentence on each file that cannot be read."""
    paths = [path for path in (folder / "curves").glob("*.parquet") if path.stem.isdecimal()]
    paths = sorted(paths) or sorted(folder.glob("records.parquet"))
    whole = [path for path in paths if can_be_opened(path)]
    notes = tuple(f"{path} cannot be read; the curves in it are left out" for path in paths if path not in whole)
    return (pl.scan_parquet(whole) if whole else pl.LazyFrame(schema=SCHEMA)), notes


def can_be_opened(path: Path) -> bool:
    """Tell whether a file of records can be opened."""
    try:
        return set(pl.read_parquet_schema(path)) == set(SCHEMA)
    except (PolarsError, OSError):
        return False
