"""Fields of YAML held against the annotations of a class."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from descend.errors import ConfigurationError
from descend.menu.fields import check_fields, fits, spelled, unknown

if TYPE_CHECKING:
    from nowhere import Known  # type: ignore[import-not-found]  # hints that cannot be resolved


@dataclass
class Part:
    rate: float = 0.1
    count: int | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    widths: Sequence[int] = ()
    name: str = ""
    on: bool = False
    anything: Any = None
    made: int = field(default=0, init=False)


FITTING: dict[Any, list[Any]] = {
    float: [1, 1.5, -2],
    int: [0, 7],
    bool: [True, False],
    str: ["", "x"],
    int | None: [None, 3],
    str | int: ["auto", 4],
    tuple[float, float]: [[0.9, 1], (0, 0)],
    tuple[int, ...]: [[], [1, 2, 3]],
    Sequence[int]: [[], [3, 4]],
    list[float]: [[1, 2.5]],
    Any: [None, {}, "x"],
}
NOT_FITTING: dict[Any, list[Any]] = {
    float: [True, "1", None, [1.0]],
    int: [1.0, True, "1"],
    bool: [0, 1, "true", None],
    str: [1, None, ["x"]],
    int | None: ["none", 1.5],
    str | int: [1.5, None],
    tuple[float, float]: [[0.9], [0.9, 1, 1], ["a", 1], 0.9, "ab"],
    tuple[int, ...]: [[1.5], 3],
    Sequence[int]: [["x"], "12", 3],
    list[float]: [["x"], {}],
}


@pytest.mark.parametrize(("hint", "value"), [(hint, value) for hint, values in FITTING.items() for value in values])
def test_fits(hint: Any, value: Any) -> None:
    assert fits(value, hint)


@pytest.mark.parametrize(("hint", "value"), [(hint, value) for hint, values in NOT_FITTING.items() for value in values])
def test_does_not_fit(hint: Any, value: Any) -> None:
    assert not fits(value, hint)


def test_types_are_told_in_words() -> None:
    assert spelled(int | None) == "a whole number or null"
    assert spelled(tuple[float, float]) == "a list of 2: a number, a number"
    assert spelled(Sequence[int]) == "a list with a whole number in each place"
    assert spelled(str | int) == "text or a whole number"


def test_a_field_that_exists_and_fits() -> None:
    check_fields("part", Part, {"rate": 1, "count": None, "pair": [0, 1], "widths": [3], "on": True, "anything": {}})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rat": 1}, r"part.rat does not exist: Part has the fields .*Did you mean 'rate'\?"),
        ({"made": 1}, r"part.made does not exist"),
        ({"rate": "x"}, r"part.rate is 'x', but Part expects a number there"),
        ({"widths": 3}, r"part.widths is 3, but Part expects a list with a whole number in each place there"),
    ],
)
def test_a_field_that_does_not(given: dict, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        check_fields("part", Part, given)


def test_functions_and_plain_classes_are_checked_by_their_parameters() -> None:
    class Plain:
        def __init__(self, size: int, label: str = "") -> None:
            pass

    def function(size: int) -> None:
        pass

    for target in (Plain, function):
        check_fields("it", target, {"size": 3})
        with pytest.raises(ConfigurationError, match=r"it.size is 'x', but"):
            check_fields("it", target, {"size": "x"})
        with pytest.raises(ConfigurationError, match=r"Did you mean 'size'"):
            check_fields("it", target, {"sice": 3})


def test_what_cannot_be_known_is_let_through() -> None:
    def takes_all(**options: Any) -> None:
        pass

    class ForCheckersOnly:
        def __init__(self, part: "Known") -> None:
            pass

    check_fields("it", takes_all, {"whatever": 3})
    check_fields("it", dict.fromkeys, {})
    check_fields("it", ForCheckersOnly, {"part": 3})
    with pytest.raises(ConfigurationError, match="Did you mean 'part'"):
        check_fields("it", ForCheckersOnly, {"prt": 3})


def test_the_nearest_name_only_where_one_is_near() -> None:
    assert unknown("a.b", "zzz", ["rate", "count"], "a has") == "a.b does not exist: a has count, rate."
    assert unknown("a.b", "cuont", ["rate", "count"], "a has").endswith("Did you mean 'count'?")
    assert unknown("a.b", "x", [], "a has") == "a.b does not exist: nothing can be set there."
