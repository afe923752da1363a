"""The methods among runs, each with one colour in all figures of a comparison."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import polars as pl

from descend.output.pictures.figure import LineStyle, nth_style
from descend.output.report.naming import called
from descend.output.report.summary import choice_keys


@dataclass(frozen=True)
class Methods:
    """The methods among runs: a method is a combination of choices (an optimizer, say), whatever its numbers are.

    Attributes:
        choices: the swept keys that are not numbers.
        places: the place of each method by its name, in the order of the runs; it decides the colour.
    """

    choices: tuple[str, ...]
    places: Mapping[str, int]

    @classmethod
    def of(cls, table: pl.DataFrame, swept: Sequence[str]) -> Self:
        """Return the methods of all runs of a comparison, of every objective."""
        choices = tuple(choice_keys(table, swept))
        known = table.sort("run").select(choices).unique(maintain_order=True)
        names = [method_called(choices, keys) for keys in known.iter_rows(named=True)]
        return cls(choices, {name: place for place, name in enumerate(dict.fromkeys(names))})

    def name(self, keys: Mapping[str, Any]) -> str:
        """Return what the method of a setting is called, which the swept keys `keys` tell."""
        return method_called(self.choices, keys)

    def styles(self, lines: Sequence[Mapping[str, Any]]) -> list[LineStyle]:
        """Return the style of each line of a figure: the colour of its method, or of its own where there is but one.

        Args:
            lines: the swept keys of each line.
        """
        if len(self.places) < 2:
            return [nth_style(place) for place in range(len(lines))]
        seen: Counter[str] = Counter()
        found = []
        for name in map(self.name, lines):
            found.append(nth_style(self.places[name], seen[name]))
            seen[name] += 1
        return found


def method_called(choices: Sequence[str], keys: Mapping[str, Any]) -> str:
    """Return what a combination of choices is called."""
    return called({key: keys[key] for key in choices}) or "all settings"
