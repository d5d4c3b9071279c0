"""The figures at the head of the class page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from statistics import fmean, median

from grader.classroom.page.rows import VERDICTS, duration, shown_points, shown_time
from grader.classroom.types import ClassReport, Grade


@dataclass(frozen=True, slots=True)
class Fact:
    """A number that characterises a class."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the bar of verdicts, in percent of its length."""

    kind: str
    word: str
    count: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """How often a rule came out in which way; the widths are in percent of all that were graded."""

    rule: str
    failed: int
    undecided: int
    graded: int
    failed_width: float
    undecided_width: float


def headline(report: ClassReport) -> str:
    """Return what came of the class, in a few words."""
    handed_in = _handed_in(report)
    passed = sum(grade.verdict == "pass" for grade in report.grades)
    if not report.grades:
        return "No students"
    return f"{passed:,} of {len(handed_in):,} passed" if handed_in else "Nothing handed in"


def segments(report: ClassReport) -> tuple[Segment, ...]:
    """Return how many students have which verdict, as stretches of a bar."""
    found = Counter[str](grade.verdict for grade in report.grades)
    there = [(verdict, found[verdict]) for verdict in VERDICTS if found[verdict]]
    starts = accumulate((count for _, count in there), initial=0)
    return tuple(
        Segment(VERDICTS[verdict].kind, VERDICTS[verdict].word, count, _percent(start, report), _percent(count, report))
        for (verdict, count), start in zip(there, starts, strict=False)
    )


def facts(report: ClassReport) -> tuple[Fact, ...]:
    """Return the numbers of a class."""
    finals = [grade.final for grade in report.grades if grade.final is not None]
    late = [grade for grade in report.grades if grade.late]
    by_hand = sum(grade.override is not None for grade in report.grades)
    seconds = sum(grade.seconds for grade in report.grades)
    students = "1 student" if len(report.grades) == 1 else f"{len(report.grades):,} students"
    found = [Fact("Handed in", f"{len(_handed_in(report)):,}", f"of {students}")]
    if finals and report.max_score:
        found += [
            Fact("Median", shown_points(median(finals)), f"of {report.max_score:g} points"),
            Fact("Mean", f"{fmean(finals):.1f}", f"of {report.max_score:g} points"),
        ]
    if late:
        lost = sum(grade.penalty for grade in late)
        found.append(Fact("Late", f"{len(late):,}", f"{lost:,.10g} points lost in all" if lost else ""))
    if by_hand:
        found.append(Fact("Set by hand", f"{by_hand:,}"))
    if seconds:
        found.append(Fact("Time of grading", duration(seconds), "summed over submissions"))
    return tuple(found)


def terms(report: ClassReport) -> tuple[str, ...]:
    """Return how the class was graded, in words."""
    late = report.late
    found = [
        f"graded {shown_time(report.made, None)}",
        f"{report.rules_file} {report.rules_sha256[:8]}",
        "the best attempt counts" if report.attempt == "best" else "the last attempt counts",
    ]
    if late.per_day:
        grace = f" after {late.grace_minutes:g} min" if late.grace_minutes else ""
        most = f", at most {late.most:g} %" if late.most < 100 else ""
        found.append(f"late work loses {late.per_day:g} % a day{grace}{most}")
    return (*found, f"s5-grade {report.version}")


def bars(report: ClassReport) -> tuple[Bar, ...]:
    """Return for each rule how often it failed and how often it was left undecided, of all that were graded.

    A rule that is skipped wherever something could be graded is skipped; where nothing was graded, there are no bars.
    """
    found: Counter[tuple[str, str]] = Counter()
    for grade in report.grades:
        found.update((rule.id, rule.status) for rule in grade.rules)
    return tuple(_bar(rule, found) for rule in report.rules) if found else ()


def _bar(rule: str, found: Counter[tuple[str, str]]) -> Bar:
    passed, failed, undecided, skipped = (found[rule, status] for status in ("pass", "fail", "error", "skipped"))
    if skipped and not passed and not failed:
        undecided = 0
    graded = passed + failed + undecided
    whole = max(1, graded)
    return Bar(rule, failed, undecided, graded, round(100 * failed / whole, 2), round(100 * undecided / whole, 2))


def _handed_in(report: ClassReport) -> list[Grade]:
    return [grade for grade in report.grades if grade.verdict != "missing"]


def _percent(count: int, report: ClassReport) -> float:
    return round(100 * count / len(report.grades), 2)
