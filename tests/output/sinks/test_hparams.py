"""What the HParams page is told, read back by TensorBoard's own plugin."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from descend.engine.result import Result
from descend.output.sinks import hparams
from descend.output.sinks.tensorboard import TensorBoard
from descend.sweeps.job import Typed

CONFIG = {
    "optimizer": {"_target_": "descend.optimizers.adam.Adam", "lr": 0.5, "betas": [0.9, 0.99]},
    "objective": {"_target_": "a.b.Net", "data": {"_target_": "a.b.Digits", "flip": True}},
    "steps": 10,
    "device": "auto",
    "op": None,
}


def test_a_configuration_is_flattened_under_dotted_names() -> None:
    assert hparams.flatten(CONFIG) == {
        "optimizer": "Adam",
        "optimizer.lr": 0.5,
        "optimizer.betas": "[0.9, 0.99]",
        "objective": "Net",
        "objective.data": "Digits",
        "objective.data.flip": True,
        "steps": 10,
        "device": "auto",
        "op": "None",
    }


def contents(folder: Path) -> dict[str, bytes]:
    return EventAccumulator(str(folder)).Reload().PluginTagToContent("hparams")


def test_settings_keep_their_types(tmp_path: Path, result: Result) -> None:
    TensorBoard(tmp_path, CONFIG).close(result)
    content = contents(tmp_path)[metadata.SESSION_START_INFO_TAG]
    info = metadata.parse_session_start_info_plugin_data(content)
    kinds = {name: value.WhichOneof("kind") for name, value in info.hparams.items()}
    assert kinds["objective.data.flip"] == "bool_value"
    assert kinds["optimizer.lr"] == kinds["steps"] == "number_value"
    assert kinds["device"] == "string_value"
    assert info.hparams["optimizer.lr"].number_value == 0.5
    assert info.group_name == tmp_path.name


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("converged", api_pb2.STATUS_SUCCESS),
        ("finished", api_pb2.STATUS_SUCCESS),
        ("diverged", api_pb2.STATUS_FAILURE),
        ("interrupted", api_pb2.STATUS_FAILURE),
        ("failed", api_pb2.STATUS_FAILURE),
    ],
)
def test_the_end_says_how_it_went(tmp_path: Path, result: Result, status: str, code: int) -> None:
    result.status = status
    TensorBoard(tmp_path, CONFIG).close(result)
    content = contents(tmp_path)[metadata.SESSION_END_INFO_TAG]
    assert metadata.parse_session_end_info_plugin_data(content).status == code


def test_a_run_that_goes_on_has_no_end(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, CONFIG)
    sink.save()
    assert set(contents(tmp_path)) == {metadata.SESSION_START_INFO_TAG}
    sink.close(result)
    assert set(contents(tmp_path)) == {metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG}


def test_a_sweep_is_described_by_its_settings_and_metrics() -> None:
    settings: dict[str, Typed] = {
        "optimizer": ["SGD", "Adam", "SGD"],
        "optimizer.lr": [0.1, 0.2],
        "flag": [True, False],
        "seed": [1],
    }
    value = hparams.experiment(settings, ["result/value", "result/accuracy"])
    assert value.tag == metadata.EXPERIMENT_TAG
    found = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
    assert [(info.name, info.type) for info in found.hparam_infos] == [
        ("optimizer", api_pb2.DATA_TYPE_STRING),
        ("optimizer.lr", api_pb2.DATA_TYPE_FLOAT64),
        ("flag", api_pb2.DATA_TYPE_BOOL),
        ("seed", api_pb2.DATA_TYPE_FLOAT64),
    ]
    assert [value.string_value for value in found.hparam_infos[0].domain_discrete.values] == ["Adam", "SGD"]
    assert [info.name.tag for info in found.metric_infos] == ["result/value", "result/accuracy"]
