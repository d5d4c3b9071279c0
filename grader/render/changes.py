"""What changed from one report on a submission to the next: what was fixed, what is new, how the numbers moved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from grader.finding import Status
from grader.render import Options
from grader.render.escape import shortened, visible
from grader.render.excerpt import wrapped
from grader.render.prose import prose_width, to_text
from grader.report import ErrorReport, FindingReport, Report, RuleReport

Kind = Literal["better", "worse", "other"]

MESSAGE_CAP = 120  # code points of a finding's message
CHECK = "parameters"  # the check whose number is shown once for the whole model
STYLES: dict[Kind, str] = {"better": "green", "worse": "red", "other": ""}

# What a rule has become, in one word; a rule that was not there before is new to its reader in any case.
WORDS: dict[Status, tuple[str, Kind]] = {
    "pass": ("passed", "better"),
    "fail": ("new", "worse"),
    "error": ("undecided", "worse"),
    "skipped": ("skipped", "other"),
}
_NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is no longer as it was: `text` is a line that names it, safe for a terminal."""

    kind: Kind
    text: str


def changes(before: Report, after: Report, graded: Report | None = None) -> tuple[Change, ...]:
    """Return what changed; where `before` could not be graded, rules and numbers are compared with `graded`."""
    return tuple(_changes(before, after, graded))


def render(found: tuple[Change, ...], options: Options) -> str:
    """Return changes as text, a line or more for each."""
    return to_text(_lines(found, options), options)


def _lines(found: tuple[Change, ...], options: Options) -> Iterator[Text]:
    if not found:
        yield Text("since the last save: no change in the report")
        return
    yield Text("since the last save:", style="bold")
    for change in found:
        for number, line in enumerate(wrapped(change.text, prose_width(options) - 4)):
            yield Text(f"    {line}" if number else f"  {line}", style=STYLES[change.kind])


def _changes(before: Report, after: Report, graded: Report | None) -> Iterator[Change]:
    yield from _obstacles(before.error, after.error)
    base = before if before.error is None else graded
    if after.error is not None or base is None:
        return
    rules = {rule.id: rule for rule in base.rules}
    for rule in after.rules:
        yield from _rule(rules.pop(rule.id, None), rule)
    yield from (Change("other", f"gone: {visible(name)}") for name in rules)
    yield from _numbers(base, after)


def _obstacles(before: ErrorReport | None, after: ErrorReport | None) -> Iterator[Change]:
    """Tell of what stands in the way of grading, where it is another than before."""
    if before is not None and after is None:
        yield Change("better", f"fixed: {visible(before.code)}")
    if after is not None and (before is None or (after.code, after.message) != (before.code, before.message)):
        yield Change("worse", f"new: {visible(after.code)}: {_short(after.message)}")


def _rule(before: RuleReport | None, after: RuleReport) -> Iterator[Change]:
    name = visible(after.id)
    if before is not None and before.status == after.status:
        yield from _findings(name, before.findings, after.findings)
        return
    word, kind = WORDS[after.status]
    if before is not None and (before.status, after.status) == ("fail", "pass"):
        word = "fixed"
    yield Change(kind, f"{word}: {name}")


def _findings(name: str, before: tuple[FindingReport, ...], after: tuple[FindingReport, ...]) -> Iterator[Change]:
    """Tell of findings that came or went; one that only moved, or has another number, did neither."""
    yield from (Change("better", f"fixed: {name}: {message}") for message in _missing(before, after))
    yield from (Change("worse", f"new: {name}: {message}") for message in _missing(after, before))


def _missing(findings: tuple[FindingReport, ...], others: tuple[FindingReport, ...]) -> Iterator[str]:
    """Yield the messages of findings that have no counterpart among others."""
    counterparts = Counter(map(_gist, others))
    for finding in findings:
        counterparts[_gist(finding)] -= 1
        if counterparts[_gist(finding)] < 0:
            yield _short(finding.message)


def _gist(finding: FindingReport) -> tuple[str, str, str]:
    return finding.level, finding.check, _NUMBER.sub("0", finding.message)


def _numbers(before: Report, after: Report) -> Iterator[Change]:
    if before.model is not None and after.model is not None:
        if before.model.class_name != after.model.class_name:
            yield Change("other", f"class {visible(before.model.class_name)} → {visible(after.model.class_name)}")
        was, now = before.model.parameters, after.model.parameters
        if was != now:
            yield Change("other", f"parameters {was:,} → {now:,} ({_signed(now - was)})")
    measured = {rule.id: rule.measured for rule in before.rules}
    for rule in after.rules:
        was_measured = measured.get(rule.id)
        if rule.check == CHECK and after.model is not None and rule.measured == after.model.parameters:
            continue
        if rule.measured is not None and was_measured is not None and rule.measured != was_measured:
            yield Change("other", f"{visible(rule.id)} {was_measured:,} → {rule.measured:,}")
    if (before.score, before.max_score) != (after.score, after.max_score):
        better: Kind = "better" if after.score > before.score else "worse" if after.score < before.score else "other"
        yield Change(better, f"score {_score(before, after)} → {_score(after, before)}")


def _score(report: Report, other: Report) -> str:
    return f"{report.score:g}" if report.max_score == other.max_score else f"{report.score:g} of {report.max_score:g}"


def _signed(difference: int) -> str:
    return f"{'+' if difference > 0 else '−'}{abs(difference):,}"


def _short(message: str) -> str:
    return shortened(visible(message), MESSAGE_CAP)
