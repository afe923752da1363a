"""A sweep's folder: what is done is on disk, chunk by chunk, whatever happens next."""

import fcntl
import json
import re
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import polars as pl
from polars.exceptions import PolarsError

from descend.atomic import whole
from descend.errors import ConfigurationError
from descend.output.report.naming import called
from descend.output.report.sources import column_of, flattened
from descend.output.report.summary import with_sum
from descend.records import SCHEMA
from descend.sweeps.job import Chunk, Job, as_typed, swept_columns

CHECKPOINTS = "checkpoints"
"""The folder in which chunks leave their state while they are made."""

PARTS = "parts"
"""The folder in which other processes leave chunks for the one that holds the index."""

LONGEST_FOLDER = 60

TABLES = """
create table if not exists sweep (overrides text not null);
create table if not exists runs (run integer primary key, chunk integer, status text not null, result text not null);
create table if not exists asked (setting integer primary key, trial integer, texts text not null);
create table if not exists rungs (rung integer, run integer, result text not null, primary key (rung, run));
"""


Row = tuple[int, int, str, str]
"""A run's row of the index: run, chunk, status, result.json."""


class Store:
    """The folder of one sweep.

    A chunk's curves are written first, then its rows are committed to `sweep.db` (SQLite in WAL mode): a kill at any
    moment loses at most the chunk that was being computed. `sweep.parquet` is made of the index on closing.

    Args:
        folder: made where it does not exist.
        jobs: all jobs of the sweep, or those known so far.
        named: the texts that tell it from another, of each job; a folder that holds another sweep is refused. None: the
            jobs' overrides.

    Raises:
        ConfigurationError: the folder belongs to another sweep, is being written by another process, or its index is
            damaged.
    """

    def __init__(self, folder: Path, jobs: Sequence[Job], named: Sequence[Sequence[str]] | None = None) -> None:
        self.folder, self._jobs = folder, jobs
        self._named = [list(texts) for texts in ([job.overrides for job in jobs] if named is None else named)]
        self._table: pl.DataFrame | None = None
        folder.mkdir(parents=True, exist_ok=True)
        new = [path for path in (folder / ".lock", folder / "sweep.db") if not path.exists()]
        try:
            with ExitStack() as opened:  # a folder that is refused is let go at once
                self._lock(opened)
                self._index = self._open(opened)
                (folder / "curves").mkdir(exist_ok=True)
                self.gather()
                self._drop_orphans()
                self._drop_damaged()
                self._opened = opened.pop_all()
        except ConfigurationError:
            for path in new:
                path.unlink(missing_ok=True)
            raise

    def _lock(self, opened: ExitStack) -> None:
        lock = opened.enter_context((self.folder / ".lock").open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"{self.folder} is being written by another process; wait for it to end, or choose another folder."
            ) from error

    def _open(self, opened: ExitStack) -> sqlite3.Connection:
        path = self.folder / "sweep.db"
        overrides = json.dumps(self._named)
        known = None
        try:
            index = opened.enter_context(closing(sqlite3.connect(path)))
            index.execute("pragma journal_mode=wal")
            if index.execute("pragma quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its pages do not fit together")
            index.executescript(TABLES)
            known = index.execute("select overrides from sweep").fetchone()
            if known is None:
                index.execute("insert into sweep values (?)", (overrides,))
                index.commit()
        except sqlite3.OperationalError as error:
            raise ConfigurationError(
                f"The index {path} cannot be written ({error}); check the disk and the permissions of its folder."
            ) from error
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(
                f"The index {path} is damaged ({error}); the sweep cannot be resumed: start it again in another folder."
            ) from error
        if known is not None and known[0] != overrides:
            raise ConfigurationError(difference(self.folder, json.loads(known[0]), self._named))
        return index

    def done(self) -> set[int]:
        """Return the indices of the runs that are complete; failed ones are not, so that resuming tries them again."""
        return {run for (run,) in self._index.execute("select run from runs where status != 'failed'")}

    def complete(self) -> pl.DataFrame:
        """Return the rows of the complete runs in the table."""
        table = self.table()
        return table.filter(pl.col("status") != "failed") if len(table) else table

    def add(self, chunk: Chunk) -> None:
        """Keep a chunk: all of it, or, after a kill, nothing."""
        self._insert(write_curves(chunk, self.folder))

    def gather(self) -> None:
        """Take into the index the chunks that other processes left."""
        for path in sorted((self.folder / PARTS).glob("*.json")):
            self._insert(json.loads(path.read_text()))
            path.unlink()

    def _drop_orphans(self) -> None:
        """Remove curves whose rows a kill prevented: the next chunks may hold these runs again, in other groups."""
        known = {chunk for (chunk,) in self._index.execute("select distinct chunk from runs")}
        for number, path in curve_files(self.folder):
            if number not in known:
                path.unlink()

    def _drop_damaged(self) -> None:
        """Forget the runs whose curves are gone or cannot be read, so that they are run again, and say so."""
        files = dict(curve_files(self.folder))
        kept = {chunk for (chunk,) in self._index.execute("select distinct chunk from runs")}
        bad = [chunk for chunk in sorted(kept) if chunk not in files or not is_readable(files[chunk])]
        for chunk in bad:
            with self._index:
                rows = self._index.execute("delete from runs where chunk = ? returning run", (chunk,)).fetchall()
            if chunk in files:
                files[chunk].unlink()
            which = ", ".join(str(run) for (run,) in sorted(rows)[:10]) + (", …" if len(rows) > 10 else "")
            print(
                f"descend: curves in {self.folder} are missing or damaged, so these runs are made again: {which}.",
                file=sys.stderr,
            )

    def _insert(self, rows: Sequence[Row]) -> None:
        self._table = None
        with self._index:
            self._index.executemany("insert or replace into runs values (?, ?, ?, ?)", rows)

    def table(self) -> pl.DataFrame:
        """Return one row per run that has ended, in the order of the sweep: swept values, and the result's fields."""
        if self._table is None:
            self._table = table_of(self._jobs, self.results())
        return self._table

    def curves(self) -> pl.LazyFrame:
        """Return every run's records in long form."""
        paths = [path for _, path in curve_files(self.folder)]
        return pl.scan_parquet(paths) if paths else pl.LazyFrame(schema=SCHEMA)

    def results(self) -> dict[int, dict[str, Any]]:
        """Return the content of result.json for each run that has ended, in the order of the sweep."""
        return {run: json.loads(text) for run, text in self._index.execute("select run, result from runs order by run")}

    def asked(self) -> list[tuple[int, dict[str, str]]]:
        """Return the settings that were asked for, in their order: the number of the trial of each, and its texts."""
        found = self._index.execute("select trial, texts from asked order by setting")
        return [(trial, json.loads(texts)) for trial, texts in found]

    def ask(self, settings: Sequence[tuple[int, Mapping[str, str]]]) -> None:
        """Keep settings that were asked for: all of them, or, after a kill, none."""
        rows = [(trial, json.dumps(texts)) for trial, texts in settings]
        with self._index:
            self._index.executemany("insert into asked (trial, texts) values (?, ?)", rows)

    def know(self, jobs: Sequence[Job]) -> None:
        """Take in all jobs that are known by now."""
        self._jobs, self._table = jobs, None

    def add_rung(self, number: int, chunk: Chunk) -> None:
        """Keep how the runs of a chunk stand at a rung."""
        pairs = zip(chunk.jobs, chunk.results, strict=True)
        rows = [(number, job.index, result.json()) for job, result in pairs]
        with self._index:
            self._index.executemany("insert or replace into rungs values (?, ?, ?)", rows)

    def rung(self, number: int) -> dict[int, dict[str, Any]]:
        """Return how runs stood at a rung, as `results` does; those that were complete before are not among them."""
        found = self._index.execute("select run, result from rungs where rung = ? order by run", (number,))
        return {run: json.loads(text) for run, text in found}

    def close(self) -> None:
        """Write sweep.parquet and let go of the folder."""
        table = self.table()
        if len(table):
            with whole(self.folder / "sweep.parquet") as file:
                table.write_parquet(file)
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def table_of(jobs: Sequence[Job], results: Mapping[int, Mapping[str, Any]]) -> pl.DataFrame:
    """Return one row for each result: the values swept of its job, and its fields."""
    swept = swept_columns(jobs)
    rows = [
        {"run": run, **{column_of(key): x[run] for key, x in swept.items()}, **flattened(result)}
        for run, result in results.items()
    ]
    return with_sum(pl.DataFrame(rows, infer_schema_length=None))


class ChunkFiles:
    """The chunks of a process that does not hold the index, a file each; without locks, for any shared file system.

    Args:
        folder: of the sweep.
        done: the runs that are complete already.
    """

    def __init__(self, folder: Path, done: set[int]) -> None:
        self.folder, self._done = folder, done
        (folder / PARTS).mkdir(exist_ok=True)

    def done(self) -> set[int]:
        """Return the indices of the runs that are complete."""
        return self._done

    def complete(self) -> pl.DataFrame:
        """Return no rows: only the process that holds the index knows the complete runs."""
        return pl.DataFrame()

    def add(self, chunk: Chunk) -> None:
        """Leave a chunk: all of it, or, after a kill, nothing."""
        rows = write_curves(chunk, self.folder)
        path = self.folder / PARTS / f"{rows[0][1]:07}.json"
        with whole(path) as file:
            file.write(json.dumps(rows).encode())


def curve_files(folder: Path) -> list[tuple[int, Path]]:
    """Return the files of a sweep's curves by the number of their chunk; other files are ignored."""
    found = ((path.stem, path) for path in (folder / "curves").glob("*.parquet"))
    return sorted((int(stem), path) for stem, path in found if stem.isdecimal())


def is_readable(path: Path) -> bool:
    """Tell whether a file of curves can be read to its end."""
    try:
        return set(pl.read_parquet(path).columns) == set(SCHEMA)
    except (PolarsError, OSError):
        return False


def write_curves(chunk: Chunk, folder: Path) -> list[Row]:
    """Write a chunk's curves and return its rows for the index."""
    number = chunk.jobs[0].index
    with whole(folder / "curves" / f"{number:07}.parquet") as file:
        chunk.curves.write_parquet(file, compression="lz4")  # a third faster to write than the default, a third larger
    return [
        (job.index, number, result.status, result.json()) for job, result in zip(chunk.jobs, chunk.results, strict=True)
    ]


def difference(folder: Path, there: Sequence[Sequence[str]], here: Sequence[Sequence[str]]) -> str:
    """Return a sentence on how two sweeps differ."""
    only = [
        sorted({o for job in a for o in job} - {o for job in b for o in job}) for a, b in ((there, here), (here, there))
    ]
    parts = [
        f"only {where}: {', '.join(found[:5])}" for where, found in zip(("there", "here"), only, strict=True) if found
    ]
    if len(there) != len(here):
        parts.insert(0, f"{len(there)} runs there, {len(here)} here")
    how = "; ".join(parts) or "in another order"
    return f"{folder} holds another sweep ({how}); resume it with its own command."


def folder_name(job: Job) -> str:
    """Return the name of a run's own folder: its index, which makes it unique, and what it is called.

    Whatever a shell, a path or a URL may take for something else becomes a dash.
    """
    name = called({column_of(key): as_typed(text) for key, text in job.swept.items()})
    plain = re.sub(r"[^\w.=+-]+", "-", name, flags=re.ASCII)[:LONGEST_FOLDER].strip("-.")
    return f"{job.index:05}-{plain or 'run'}"
