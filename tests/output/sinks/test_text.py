"""What stands on the Text page, read back by TensorBoard's own reader."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from descend.engine.result import Result
from descend.output.sinks.tensorboard import TensorBoard
from descend.output.sinks.text import markdown_table
from descend.records import Records

CONFIG = {"optimizer": {"_target_": "descend.optimizers.adam.Adam", "lr": 0.5}, "steps": 3, "note": "a|b\nc"}


def texts(folder: Path) -> dict[str, list[str]]:
    found = EventAccumulator(str(folder)).Reload()
    tags = found.PluginTagToContent("text")
    return {tag: [event.tensor_proto.string_val[0].decode() for event in found.Tensors(tag)] for tag in tags}


def test_a_run_tells_its_settings_and_its_end(tmp_path: Path, result: Result) -> None:
    result.provenance = {"seed": 7, "command": ["run.py", "objective=my bowl"], "commit": None}
    TensorBoard(tmp_path, CONFIG).close(result)
    found = texts(tmp_path)
    assert found["configuration"] == [
        "| setting | value |\n| --- | --- |\n| optimizer | Adam |\n| optimizer.lr | 0.5 |\n| steps | 3 |\n"
        "| note | a\\|b c |"
    ]
    [ending] = found["result"]
    assert ending.startswith("**finished**: all 3 steps were made")
    for line in ("| loss penalty | 0.05 |", "| accuracy | 0.975 |", "| seed | 7 |", "| command | run.py 'objective=my"):
        assert line in ending, line
    assert "commit" not in ending


def test_a_run_made_longer_tells_its_new_settings_alone(tmp_path: Path, records: Records, result: Result) -> None:
    first = TensorBoard(tmp_path, CONFIG)
    first.write(records)
    first.close(result)
    second = TensorBoard(tmp_path, CONFIG | {"steps": 9})
    second.restore(3)
    [settings] = texts(tmp_path)["configuration"]
    assert "| steps | 9 |" in settings
    assert "result" not in texts(tmp_path)
    second.close(result)
    assert len(texts(tmp_path)["result"]) == 1


@pytest.mark.parametrize("lines", [[], [["1", "2"]]])
def test_a_table_is_ruled_below_its_headings(lines: list[list[str]]) -> None:
    assert markdown_table(["a", "b"], lines).split("\n") == ["| a | b |", "| --- | --- |", *["| 1 | 2 |"] * len(lines)]
