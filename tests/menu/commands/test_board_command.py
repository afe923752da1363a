"""`descend board` shows a folder until Ctrl-C, and refuses what it cannot show in a sentence."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import Command

from descend.menu.commands import board
from descend.output.sinks.event_file import EventFile

ROOT = Path(__file__).parents[3]


@pytest.fixture
def outputs(here: Path) -> Path:
    folder = here / "outputs" / "day" / "time"
    folder.mkdir(parents=True)
    EventFile(folder).close()
    return here / "outputs"


def test_it_serves_on_this_machine_alone_until_ctrl_c(outputs: Path) -> None:
    command = [sys.executable, str(ROOT / "run.py"), "board", "port=0"]
    with subprocess.Popen(command, cwd=outputs.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"outputs is shown at (http://127\.0\.0\.1:\d+/) until Ctrl-C\n", line)
        assert found, line
        with urllib.request.urlopen(f"{found[1]}data/plugins_listing", timeout=60) as reply:
            assert {"scalars", "hparams", "text", "custom_scalars"} <= set(json.load(reply))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0


def test_a_port_that_is_taken_is_refused(outputs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, str(ROOT / "run.py"), "board", f"port={port}"]
        done = subprocess.run(command, cwd=outputs.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["empty"], "holds no event file"),
        (["outputs", "empty"], "one folder"),
        (["--port", "1"], "one folder"),
        (["port=http"], "port is 'http'"),
        (["port=65536"], "from 0 to 65535"),
        (["port=-1"], "from 0 to 65535"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(descend: Command, outputs: Path, arguments: list[str], said: str) -> None:
    (outputs.parent / "empty").mkdir()
    done = descend("board", *arguments)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_missing_tensorboard_is_told(descend: Command, outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "raise_open_files", lambda: None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = descend("board")
    assert done.code == 2
    assert "pip install tensorboard" in done.err


def test_help(descend: Command) -> None:
    done = descend("board", "--help")
    assert (done.code, done.out.strip()) == (0, board.USAGE.strip())
