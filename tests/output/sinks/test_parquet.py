"""records.parquet against the frame of the same records."""

import json
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from descend.engine.result import Result
from descend.output.sinks import parquet
from descend.output.sinks.parquet import Parquet
from descend.records import Column, Records, frame


def test_every_scalar_is_kept_whole(tmp_path: Path, records: Records, result: Result) -> None:
    sink = Parquet(tmp_path, {})
    sink.write(records)
    sink.write(Records({"value": Column(np.array([4]), np.array([1e-300]))}))
    sink.close(result)
    table = pl.read_parquet(tmp_path / "records.parquet")
    assert table.schema == {"run": pl.Int64, "step": pl.Int64, "name": pl.String, "value": pl.Float64}
    values = table.filter(pl.col("name") == "value")["value"].to_list()
    np.testing.assert_array_equal(values, [4.0, 1.5, np.nan, np.inf, 1e-300])
    assert table.filter(pl.col("name") == "gradient/norm")["step"].to_list() == [0, 2]
    assert table["name"].n_unique() == 3


def test_nothing_recorded_is_an_empty_table(tmp_path: Path, result: Result) -> None:
    Parquet(tmp_path, {}).close(result)
    table = pl.read_parquet(tmp_path / "records.parquet")
    assert (table.shape, table.columns) == ((0, 4), ["run", "step", "name", "value"])


def test_the_settings_travel_with_the_numbers(tmp_path: Path, result: Result) -> None:
    Parquet(tmp_path, {"optimizer": {"lr": 0.1}, "seed": 3}).close(result)
    metadata = pl.read_parquet_metadata(tmp_path / "records.parquet")
    assert json.loads(metadata["config"]) == {"optimizer": {"lr": 0.1}, "seed": 3}


def test_memory_is_bounded_by_parts_that_are_joined_at_the_end(
    tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_IN_MEMORY", 100)
    sink = Parquet(tmp_path, {"seed": 3})
    blocks = []
    for start in range(0, 1000, 70):
        steps = np.arange(start, start + 70)
        blocks.append(Records({name: Column(steps, steps * 0.5) for name in ("a", "b")}))
        sink.write(blocks[-1])
        assert sum(len(c.steps) for block in sink._blocks for c in block.scalars.values()) <= 100
    assert not (tmp_path / "records.parquet").exists()
    sink.close(result)
    assert [path.name for path in tmp_path.iterdir()] == ["records.parquet"]
    assert_frame_equal(pl.read_parquet(tmp_path / "records.parquet"), frame(blocks))
    assert json.loads(pl.read_parquet_metadata(tmp_path / "records.parquet")["config"]) == {"seed": 3}


def test_a_failure_leaves_neither_half_a_table_nor_litter(
    tmp_path: Path, records: Records, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Parquet(tmp_path, {})
    sink.write(records)

    def fail(self: pl.DataFrame, file: IO[bytes], **options: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail)
    with pytest.raises(OSError, match="No space left"):
        sink.close(result)
    assert list(tmp_path.iterdir()) == []


def written(folder: Path, numbers: range, save: bool) -> Parquet:
    sink = Parquet(folder, {})
    for step in numbers:
        sink.write(Records({"value": Column(np.array([step]), np.array([step * 0.5]))}))
        if save:
            sink.save()
    return sink


def steps(path: Path | str) -> list[int]:
    return pl.read_parquet(path)["step"].to_list()


def test_what_is_saved_of_a_run_that_goes_on_can_be_read(tmp_path: Path, result: Result) -> None:
    sink = written(tmp_path, range(12), save=True)
    sink.write(Records({"value": Column(np.array([12]), np.array([0.0]))}))
    assert steps(tmp_path / "records/*.parquet") == list(range(12))
    sink.save()
    sink.save()
    assert steps(tmp_path / "records/*.parquet") == list(range(13))
    sink.close(result)
    assert steps(tmp_path / "records.parquet") == list(range(13))
    assert [path.name for path in tmp_path.iterdir()] == ["records.parquet"]


@pytest.mark.parametrize("save", [False, True])
@pytest.mark.parametrize("ended", [False, True])
def test_a_new_run_takes_nothing_from_an_older_one_in_its_folder(
    tmp_path: Path, result: Result, save: bool, ended: bool
) -> None:
    older = written(tmp_path, range(9), save=True)
    if ended:
        older.close(result)
    written(tmp_path, range(4), save).close(result)
    assert steps(tmp_path / "records.parquet") == list(range(4))
    written(tmp_path, range(9), save=True)
    written(tmp_path, range(4), save=True)
    again = Parquet(tmp_path, {})
    again.restore(3)
    again.close(result)
    assert steps(tmp_path / "records.parquet") == [0, 1, 2]


def test_a_failure_at_the_end_keeps_what_was_saved(
    tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = written(tmp_path, range(5), save=True)

    def fail(self: pl.LazyFrame, file: IO[bytes], **options: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.LazyFrame, "sink_parquet", fail)
    with pytest.raises(OSError, match="No space left"):
        sink.close(result)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["records"]
    again = Parquet(tmp_path, {})
    again.restore(4)
    again.close(result)
    assert steps(tmp_path / "records.parquet") == [0, 1, 2, 3]


def test_a_part_after_the_checkpoint_need_not_be_readable(tmp_path: Path, result: Result) -> None:
    written(tmp_path, range(5), save=True)
    last = max((tmp_path / "records").iterdir())
    last.write_bytes(last.read_bytes()[:30])
    again = Parquet(tmp_path, {})
    again.restore(4)
    again.close(result)
    assert steps(tmp_path / "records.parquet") == [0, 1, 2, 3]
