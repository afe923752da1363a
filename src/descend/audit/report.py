"""The findings of an audit, and their table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Self

from descend.audit.known_faults import KnownFault
from descend.audit.verdict import Judged, Mark


@dataclass(frozen=True)
class AuditReport:
    """Every route at every order, why the right ones are believed, and what is known of the operations used.

    Attributes:
        rows: one for each order and route: the worst verdict and the greatest error over all points.
        sentences: which references were believed and why, and the known faults and shortcomings that concern it.
    """

    rows: tuple[Judged, ...]
    sentences: tuple[str, ...]

    @classmethod
    def of(cls, judged: Sequence[Judged], faults: Sequence[KnownFault], remarks: Sequence[str]) -> Self:
        """Gather the verdicts at the single points."""
        rows = [_explained(_worst(same), faults) for same in _gathered(judged)]
        orders = [list(found) for _, found in groupby(rows, lambda row: row.order)]
        reasons = [sentence for found in orders for sentence in _reasons(found)]
        return cls(tuple(rows), (*reasons, *remarks, *map(str, faults)))

    @property
    def exit_code(self) -> int:
        """1 if a route that descend itself takes is wrong, else 0."""
        return int(any(row.ours and row.verdict == Mark.WRONG for row in self.rows))

    @property
    def first_wrong(self) -> tuple[Judged, ...]:
        """Return the wrong routes of descend's own that are made of no other wrong one: where to look for the fault."""
        wrong = {(row.order, row.route) for row in self.rows if row.verdict == Mark.WRONG}
        own = [row for row in self.rows if row.ours and row.verdict == Mark.WRONG]
        return tuple(row for row in own if not wrong & {(row.order, name) for name in row.made_of})

    def table(self) -> str:
        """The rows in aligned columns, `*` before the routes that descend takes; then the sentences."""
        lines = [("order", "route (* descend's own)", "max rel. error", "verdict", "remark")]
        for row in self.rows:
            error = "" if row.error is None else f"{row.error:.1e}"
            lines.append((str(row.order), f"{'*' if row.ours else ' '} {row.route}", error, row.verdict, row.remark))
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        aligned = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        return "\n".join([*aligned, *(f"\n{sentence}" for sentence in self.sentences)])


def _gathered(judged: Sequence[Judged]) -> list[list[Judged]]:
    """The verdicts on each route at each order, over the points: orders ascending, routes as first met."""
    found: dict[tuple[int, str], list[Judged]] = {}
    for each in sorted(judged, key=lambda each: each.order):
        found.setdefault((each.order, each.route), []).append(each)
    return list(found.values())


def _worst(same: list[Judged]) -> Judged:
    worst = max(same, key=lambda each: (each.verdict.severity, each.error or 0.0))
    errors = [each.error for each in same if each.error is not None]
    return replace(worst, error=max(errors, default=None))


def _explained(row: Judged, faults: Sequence[KnownFault]) -> Judged:
    known = next((fault for fault in faults if fault.explains(row)), None)
    return row if known is None or not known.source else replace(row, remark=f"{known.source} {row.remark}".rstrip())


def _reasons(rows: list[Judged]) -> list[str]:
    """What the routes are judged by; where they disagree, which are right, and why that is believed."""
    wrong = [row for row in rows if row.verdict == Mark.WRONG]
    if not wrong:
        held = next((row.believed for row in rows if row.believed), "")
        return [f"Order {rows[0].order} is held to {held}; no route is off."] if held else []
    believed = wrong[0].believed
    right = [row.route for row in rows if row.verdict == Mark.RIGHT]
    return [
        f"Order {rows[0].order}: wrong are {', '.join(row.route for row in wrong)}. They are held to {believed}, "
        f"{'with which agree ' + ', '.join(right) if right else 'with which nothing else agrees'}."
    ]
