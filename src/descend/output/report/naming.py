"""Runs and settings are called by what differs: `rmsprop lr=0.01 seed=3`."""

from collections.abc import Mapping, Sequence
from typing import Any


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return for each key the shortest end of its path that no other has: `optimizer.lr` as `lr`."""
    parts = {key: key.removeprefix("swept.").split(".") for key in keys}

    def shortest(key: str) -> str:
        own = parts[key]
        for length in range(1, len(own) + 1):
            if sum(own[-length:] == other[-length:] for other in parts.values()) == 1:
                return ".".join(own[-length:])
        return ".".join(own)

    return {key: shortest(key) for key in keys}


def called(settings: Mapping[str, Any]) -> str:
    """Return the name of a run or setting: choices of whole groups by themselves, all else as `name=value`.

    Args:
        settings: what differs, by its key: `{"optimizer": "rmsprop", "optimizer.lr": 0.01, "seed": 3}`; None
            where that is not known.
    """
    names = short_names(list(settings))
    return " ".join(text_of(key, names[key], value) for key, value in settings.items() if value is not None)


def text_of(key: str, name: str, value: Any) -> str:
    """Return one part of a name."""
    text = shown_value(value)
    choice = "." not in key and "@" not in key and isinstance(value, str) and not is_number(text)
    return text if choice else f"{name}={text}"


def shown_value(value: Any) -> str:
    """Return a setting's value as a person writes it; six digits of a number."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
