"""Folders of runs are called by what differs, whatever that is."""

from hypothesis import given
from hypothesis import strategies as st

from descend.sweeps.job import Job
from descend.sweeps.store import folder_name


def named(**swept: str) -> str:
    return folder_name(Job(23, (), {key.replace("_", "."): text for key, text in swept.items()}))


def test_names_say_what_differs() -> None:
    assert (
        named(optimizer="rmsprop", optimizer_lr="0.0026826957952797246", seed="3")
        == "00023-rmsprop-lr=0.0026827-seed=3"
    )
    assert named(steps="200") == "00023-steps=200"
    assert named() == "00023-run"


@given(st.dictionaries(st.sampled_from(["optimizer", "objective.start", "seed"]), st.text(max_size=200)))
def test_any_text_makes_a_short_and_safe_name(swept: dict[str, str]) -> None:
    name = folder_name(Job(7, (), swept))
    assert name.startswith("00007-")
    assert len(name) <= 66
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.=+-")
    assert not name.endswith((".", "-"))
