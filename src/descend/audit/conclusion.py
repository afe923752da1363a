"""The conclusion of an audit for users of descend: its last line."""

from collections.abc import Iterable, Sequence

from descend.audit.report import AuditReport
from descend.audit.verdict import TRUE, Judged, Mark

MOST_NAMED = 4
"""Of the wrong routes that descend does not take, so many are named."""


def conclusion(reports: Sequence[AuditReport]) -> str:
    """Return the verdicts on the routes that descend itself takes: wrong ones, raising ones, unchecked ones, the rest.

    Nothing is called right in it while something is unchecked. Wrong routes that only others take come last.
    """
    ours = [row for each in reports for row in each.rows if row.ours and row.verdict != Mark.NOT_TAKEN]

    def those(*verdicts: Mark) -> list[Judged]:
        return [row for row in ours if row.verdict in verdicts]

    sentences = []
    if wrong := those(Mark.WRONG):
        accused = [row for report in reports for row in report.first_wrong]
        follow = [row for row in wrong if row not in accused]
        so = f" So is what is made of it: {_named(follow)}." if follow else ""
        sentences.append(f"Wrong, and taken by descend itself: {_named(accused)}.{so}")
    if raises := those(Mark.RAISES):
        sentences.append(f"Raises, where descend would take it: {_named(raises)}.{_meant(raises)}")
    if refused := those(Mark.REFUSED):
        sentences.append(f"Refused, with the reason: {_named(refused)}.")
    if unchecked := those(Mark.UNCHECKED):
        sentences.append(f"Unchecked, for want of a reference that settles: {_named(unchecked)}.")
    if random := those(Mark.RANDOM):
        sentences.append(
            f"Random: the value changes from call to call, so that nothing holds but on one draw: {_named(random)}."
        )
    if agrees := those(Mark.AGREES):
        sentences.append(f"By design held to agree with one another alone, and they do: {_named(agrees)}.")
    rest = _rest(len(ours), those(*TRUE), bool(wrong), bool(unchecked))
    elsewhere = [row for each in reports for row in each.rows if not row.ours and row.verdict == Mark.WRONG]
    return " ".join(filter(None, [*sentences, rest, _wrong_elsewhere(elsewhere)]))


def _rest(looked_at: int, true: list[Judged], wrong: bool, unchecked: bool) -> str:
    if not true:
        return ""
    if unchecked:
        return f"The other {len(true)} of {looked_at} were checked and hold."
    if wrong:
        return f"The other {len(true)} of {looked_at} are right."
    how = {
        Mark.CONSTANTS: "with constants held by detach or no_grad",
        Mark.COARSE: "to the low precision within",
    }
    counted = [f"{n} {how[each]}" for each in how if (n := sum(row.verdict == each for row in true))]
    every = "Every derivative" if len(true) == looked_at else "Every other derivative"
    return f"{every} that descend itself takes is right ({', '.join([f'{len(true)} looked at', *counted])})."


def _wrong_elsewhere(rows: Sequence[Judged]) -> str:
    """A function's own jvp or vmap rule may be at fault, which descend does not call and its user may."""
    names = _names(rows)
    if not names:
        return ""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"Wrong by routes that descend does not take: {', '.join(names[:MOST_NAMED])}{more}."


def _named(rows: Iterable[Judged]) -> str:
    return ", ".join(_names(rows))


def _names(rows: Iterable[Judged]) -> list[str]:
    """Each route once, though several reports may have it."""
    return list(dict.fromkeys(f"{row.route} at order {row.order}" for row in rows))


def _meant(rows: Iterable[Judged]) -> str:
    """The reason that the first of them gives, and what descend does there."""
    said = dict.fromkeys(row.otherwise for row in rows if row.otherwise)
    reason = next((row.remark for row in rows if row.remark), "")
    because = f" It says: {reason.rstrip('.')}." if reason else ""
    return because + "".join(f" So {each}." for each in said)
