"""Files that are whole or not there."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from descend.atomic import clear_temporaries, remove, sync_names, whole


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced and renamed, in order: `file`, `folder`, `rename`."""
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def watched_sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def watched_replace(*arguments: Any) -> None:
        done.append("rename")
        replace(*arguments)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(os, "replace", watched_replace)
    return done


def test_the_content_then_the_name_reach_the_disk(tmp_path: Path, synced: list[str]) -> None:
    with whole(tmp_path / "file") as file:
        file.write(b"all")
    assert synced == ["file", "rename", "folder"]
    assert (tmp_path / "file").read_bytes() == b"all"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def interrupted() -> None:
        with whole(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_tensorboard_does_not_take_what_is_half_written_for_an_event_file(tmp_path: Path) -> None:
    with whole(tmp_path / "events.out.tfevents.1") as file:
        file.write(b"half")
        assert not [path.name for path in tmp_path.iterdir() if "tfevents" in path.name]


def test_a_removed_file_stays_removed(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "file").touch()
    remove(tmp_path / "file")
    assert synced == ["folder"]
    assert list(tmp_path.iterdir()) == []
    remove(tmp_path / "file")


def test_temporary_files_of_the_dead_are_swept_and_no_others(tmp_path: Path) -> None:
    for name in (".hidden", ".descend", "file.tmp"):
        (tmp_path / name).touch()
    writing = whole(tmp_path / "file")
    writing.__enter__()  # as a process does that is killed before it is done
    assert len(list(tmp_path.iterdir())) == 4
    clear_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {".hidden", ".descend", "file.tmp"}
    with pytest.raises(FileNotFoundError):
        writing.__exit__(None, None, None)


def test_syncing_the_names_closes_the_folder(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    sync_names(tmp_path)
    assert not before or len(os.listdir("/proc/self/fd")) == before
