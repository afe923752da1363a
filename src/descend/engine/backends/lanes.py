"""What a kernel computes for each run: loops over runs, and between them calls of the math library."""

import re
from collections.abc import Callable, Iterator, Sequence

# Functions of the math library. Each is called in a loop of its own, always the same one, so that it rounds the same
# whatever stands around it: some have a form for whole vectors, which rounds differently from that for one number.
CALLS = re.compile(
    r"\b(acos|acosh|asin|asinh|atan|atan2|atanh|cos|cosh|erf|erfc|exp|exp2|expm1|hypot|log|log10|log1p|log2|pow|sin|sinh"
    r"|tan|tanh)\("
)
NAME = re.compile(r"\b[xvt]\d+\b")
ONE = re.compile(r"\bone_([a-z0-9]+)_(float|double)\b")
OF_TWO = {"atan2", "hypot", "pow"}


class Lanes:
    """What is computed for each run in a step: loops over the runs, and between them calls of the math library.

    Attributes:
        functions: the functions called, each with the type that it computes in.
    """

    def __init__(self) -> None:
        self.functions: set[tuple[str, str]] = set()
        self._segments: list[list[tuple[str, str, str]]] = [[]]  # of statements: a name, its type, and its value
        self._calls: list[str] = []  # one between each segment and the next
        self._temporaries = 0

    def add(self, name: str, type_: str, text: str, computed: str) -> None:
        """Add a value; its calls of functions, in the type `computed`, come before it."""
        value = without_calls(text, lambda f, given: self._call(f, given, computed))
        self._segments[-1].append((name, type_, value))

    def _call(self, function: str, given: Sequence[str], computed: str) -> str:
        names = []
        for text in given:
            self._temporaries += 1
            names.append(f"t{self._temporaries}")
            self._segments[-1].append((names[-1], computed, text))
        self.functions.add((function, computed))
        self._calls.append(f"each_{function}_{computed}({', '.join(names)}, LANES);")
        self._segments.append([])
        return names[0]

    def lines(self, loaded: dict[str, str], kept: Sequence[str]) -> Iterator[str]:
        """Yield the loops.

        Args:
            loaded: for each name of the carry the line that reads it.
            kept: the lines that note the outcome, at the end of the last loop.
        """
        used = [{x for *_, text in part for x in NAME.findall(text)} for part in self._segments]
        used[-1] |= {x for line in kept for x in NAME.findall(line)}
        made = {name: i for i, part in enumerate(self._segments) for name, *_ in part}
        stored = {name for i, names in enumerate(used) for name in names if made.get(name, i) != i}
        stored |= {name for name in made if name.startswith("t")}
        types = {name: type_ for part in self._segments for name, type_, _ in part}
        yield from (f"{types[name]} {name}[LANES];" for name in made if name in stored)

        def placed(text: str) -> str:
            return NAME.sub(lambda m: f"{m[0]}[l]" if m[0] in stored else m[0], text)

        for i, part in enumerate(self._segments):
            yield "for (int l = 0; l < LANES; l++) {"
            yield from (line for name, line in loaded.items() if name in used[i])
            for name, type_, text in part:
                yield f"{name}[l] = {placed(text)};" if name in stored else f"const {type_} {name} = {placed(text)};"
            yield from map(placed, kept if i == len(self._segments) - 1 else ())
            yield "}"
            yield from self._calls[i : i + 1]


def without_calls(text: str, instead: Callable[[str, list[str]], str]) -> str:
    """Return C text with what `instead` returns, given name and arguments, in place of each call; inner ones first."""
    call = CALLS.search(text)
    if call is None:
        return text
    depth, given, begin = 1, [], call.end()
    for at in range(call.end(), len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0 or (depth == 1 and text[at] == ","):
            given.append(text[begin:at].strip())
            begin = at + 1
        if depth == 0:
            break
    found = instead(call.group(1), [without_calls(x, instead) for x in given])
    return text[: call.start()] + found + without_calls(text[at + 1 :], instead)


def call_of_one(type_: str, name: str, given: Sequence[str]) -> str:
    """Return the call of a function of the math library for a number that all runs share."""
    return f"one_{name}_{type_}({', '.join(given)})"
