"""Names say what differs, and tell everything apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from descend.output.report.naming import called, short_names


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"optimizer": "rmsprop", "optimizer.lr": 0.01, "seed": 3}, "rmsprop lr=0.01 seed=3"),
        ({"optimizer": "adam", "optimizer.lr": None}, "adam"),
        ({"swept.steps": 200, "optimizer": "sgd"}, "steps=200 sgd"),
        ({"steps": "10epochs"}, "10epochs"),
        ({"optimizer.lr": 0.0026826957952797246}, "lr=0.0026827"),
        ({"objective.data": "digits", "op": "relu"}, "data=digits relu"),
        ({"optimizer.groups.a.lr": 0.1, "optimizer.groups.b.lr": 0.2}, "a.lr=0.1 b.lr=0.2"),
        ({"optimizer@optimizer.groups.rest.optimizer": "lion"}, "optimizer=lion"),
        ({"compile": True}, "compile=True"),
        ({}, ""),
    ],
)
def test_settings_are_called(settings: dict[str, object], name: str) -> None:
    assert called(settings) == name


KEYS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)


@given(st.sets(KEYS, min_size=1, max_size=8))
def test_short_names_tell_keys_apart(keys: set[str]) -> None:
    names = short_names(sorted(keys))
    assert len(set(names.values())) == len(keys)
    assert all(key == name or key.endswith(f".{name}") for key, name in names.items())
