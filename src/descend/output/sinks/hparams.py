"""The messages for TensorBoard's HParams page: a run's settings, its state, and what a sweep compares."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

SUCCESSES = {"converged", "finished"}


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | float | str]:
    """Return the leaves of a nested configuration under dotted names, each a truth value, a number or a text.

    A part's `_target_` becomes the name of its class under the part's own name: `optimizer: Adam`,
    `optimizer.lr: 0.001`.
    """
    flat: dict[str, bool | float | str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        elif key == "_target_":
            flat[prefix.rstrip(".")] = str(value).rpartition(".")[2]
        else:
            flat[name] = value if isinstance(value, bool | int | float) else str(value)
    return flat


def session_start(config: Mapping[str, Any], group: str) -> Summary.Value:
    """Return the announcement of a run: its flattened settings, the time, and the group it is shown in."""
    info = plugin_data_pb2.SessionStartInfo(group_name=group, start_time_secs=time.time())
    for name, value in flatten(config).items():
        field = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
        setattr(info.hparams[name], field, value)
    return _value("_hparams_/session_start_info", session_start_info=info)


def session_end(status: str) -> Summary.Value:
    """Return the end of a run, told apart into success (`converged`, `finished`) and failure."""
    code = api_pb2.STATUS_SUCCESS if status in SUCCESSES else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=code, end_time_secs=time.time())
    return _value("_hparams_/session_end_info", session_end_info=info)


def experiment(settings: Mapping[str, Sequence[bool | float | str]], metrics: Sequence[str]) -> Summary.Value:
    """Return the description of a sweep, of which TensorBoard reads one: put it into one file at the sweep's root.

    Args:
        settings: the swept settings by dotted name with all their values, those of one name being of one type.
        metrics: tags of the scalars to compare, two to five.
    """
    info = api_pb2.Experiment(time_created_secs=time.time())
    for name, values in settings.items():
        entry = info.hparam_infos.add(name=name)
        first = values[0]
        if isinstance(first, bool):
            entry.type = api_pb2.DATA_TYPE_BOOL
        elif isinstance(first, str):
            entry.type = api_pb2.DATA_TYPE_STRING
            entry.domain_discrete.extend(sorted(set(values)))
        else:
            entry.type = api_pb2.DATA_TYPE_FLOAT64
    for tag in metrics:
        info.metric_infos.add(name=api_pb2.MetricName(tag=tag), display_name=tag)
    return _value("_hparams_/experiment", experiment=info)


def _value(tag: str, **content: Any) -> Summary.Value:
    data = plugin_data_pb2.HParamsPluginData(version=0, **content).SerializeToString()
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=data))
    return Summary.Value(tag=tag, metadata=metadata)
