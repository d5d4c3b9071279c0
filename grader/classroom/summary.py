"""What a class came to, as text for a terminal: the numbers first, then what a person has to look at."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from grader.classroom.gradebook import Change, Comparison
from grader.classroom.mates import with_mates
from grader.classroom.names import called, joint
from grader.classroom.types import ClassReport, Grade
from grader.render.escape import shortened, visible

SHOWN = 10  # of each list; the gradebook and its forms hold them all
LENGTH = 400  # code points of one line of a list
VERDICTS = {
    "pass": "passed",
    "fail": "failed",
    "error": "could not be graded",
    "missing": "handed in nothing",
    "waiting": "not graded yet",
}
STATUSES = ("pass", "fail", "error", "skipped")


def summary(report: ClassReport, width: int = 100, strays: Sequence[str] = ()) -> str:
    """Return the text, lines no longer than `width` columns where that can be.

    `strays` are ids that have an override and are no student's of the class.
    """
    parts = [
        _headline(report),
        _rules(report),
        _listed("Could not be graded", _troubled(report), width),
        _listed(
            "Have a result from before: they were to be graded again, and were not yet",
            _who(report, lambda grade: grade.earlier),
            width,
        ),
        _listed(
            "Have points without training, which is to come, or was kept from ending",
            _who(report, lambda grade: grade.untrained),
            width,
        ),
        _listed("Lost points by the time of a file, which copying may change", _late_by_file(report), width),
        _listed("Late by the platform's word, which costs nothing", _late_untimed(report), width),
        _untimed(report, width),
        _listed("Have points that a person gave", _given(report), width),
        _listed("Have an override, but are not in the class", strays, width),
        _listed("Belong to no student", _unmatched(report), width),
        _listed("Lie under several names, taken for attempts of one", _aliases(report, joined=True), width),
        _listed("Are called nearly the same, and graded apart", _aliases(report, joined=False), width),
        _listed("Alike: a hint to look, no verdict", _alike(report), width),
        _starter(report, width),
    ]
    return "\n".join(part for part in parts if part)


def counts(grades: Iterable[Grade]) -> Counter[str]:
    """Return how many students each verdict was given."""
    return Counter(grade.verdict for grade in grades)


def _headline(report: ClassReport) -> str:
    found = counts(report.grades)
    students = len(report.grades)
    told = ", ".join(f"{found[verdict]:,} {words}" for verdict, words in VERDICTS.items() if found[verdict])
    title = visible(report.title)
    return f"{title}: {students:,} student{'' if students == 1 else 's'}" + (f", {told}\n" if told else "\n")


def _rules(report: ClassReport) -> str:
    """Return a table of the rules: how many passed and failed each."""
    outcomes = {rule: Counter[str]() for rule in report.rules}
    for grade in report.grades:
        for outcome in grade.rules:
            if outcome.id in outcomes:
                outcomes[outcome.id][outcome.status] += 1
    if not any(outcomes.values()):
        return ""
    broad = max(len("rule"), *map(len, outcomes))
    rows = [
        f"  {rule:{broad}}" + "".join(f"{found[status]:>12,}" for status in STATUSES)
        for rule, found in outcomes.items()
    ]
    head = f"  {'rule':{broad}}" + "".join(f"{name:>12}" for name in ("passed", "failed", "not judged", "skipped"))
    return "\n".join([head, *rows]) + "\n"


def _troubled(report: ClassReport) -> Iterator[str]:
    names = _names(report)
    for grade in report.grades:
        if grade.verdict == "error":
            yield f"{names[grade.student.id]}: {grade.headline}"


def _late_by_file(report: ClassReport) -> Iterator[str]:
    """Yield who is late by a time that is neither the roster's nor the platform's."""
    names = _names(report)
    for grade in report.grades:
        counts = grade.penalty > 0 and grade.override is None
        if counts and grade.submitted is not None and grade.time_source in ("file", "archive"):
            when = f"{grade.submitted:%Y-%m-%d %H:%M}"
            yield f"{names[grade.student.id]}: {grade.penalty:g} points, {when}"


def _late_untimed(report: ClassReport) -> Iterator[str]:
    """Yield who is late, nobody knows by how much, where that would cost points."""
    if report.late.per_day:
        yield from _who(report, lambda grade: bool(grade.late) and not grade.late_seconds)


def _untimed(report: ClassReport, width: int) -> str:
    """Say so where a late policy can cost nobody anything."""
    handed_in = [grade for grade in report.grades if grade.attempt]
    known = any(grade.student.due is not None and grade.submitted is not None for grade in handed_in)
    if known or not handed_in or not report.late.per_day:
        return ""
    words = (
        "Being late costs nobody anything: of no submission is it known both when it was due and when it was handed in."
        " The columns 'due' and 'submitted' of a roster say so."
    )
    return textwrap.fill(words, max(20, width)) + "\n"


def _given(report: ClassReport) -> Iterator[str]:
    names = _names(report)
    for grade in report.grades:
        if grade.override is not None:
            given = grade.override
            score = "none" if grade.score is None else f"{grade.score:g}"
            who = f"{given.author}, {given.at:%Y-%m-%d}: {given.reason}"
            yield f"{names[grade.student.id]}: {given.points:g}, by the rules {score} ({who})"


def _starter(report: ClassReport, width: int) -> str:
    if not report.starter:
        return ""
    words = f"The starting code was compared by its text alone, as it could not be graded: {report.starter}"
    return textwrap.fill(shortened(visible(words), LENGTH), max(20, width)) + "\n"


def _who(report: ClassReport, is_one: Callable[[Grade], bool]) -> Iterator[str]:
    names = _names(report)
    yield from (names[grade.student.id] for grade in report.grades if is_one(grade))


def _unmatched(report: ClassReport) -> Iterator[str]:
    """Yield what belongs to nobody, what is rare first: what a row of the roster misses, before all who are in none."""
    often = Counter(item.reason for item in report.unmatched)
    for item in sorted(report.unmatched, key=lambda item: often[item.reason]):
        yield f"{item.path}: {item.reason}"


def _aliases(report: ClassReport, *, joined: bool) -> Iterator[str]:
    names = _names(report)
    for alias in report.aliases:
        if alias.joined == joined:
            students = [names.get(student, student) for student in alias.students]
            yield f"{joint(students).join(students)}: {', '.join(alias.paths)}; {alias.why}"


def _names(report: ClassReport) -> dict[str, str]:
    return called(grade.student for grade in report.grades)


def _alike(report: ClassReport) -> Iterator[str]:
    names = _names(report)
    for group in report.alike:
        members = [names.get(member, member) for member in with_mates(report, group.members)]
        rest = f" and {len(members) - SHOWN:,} more" if len(members) > SHOWN else ""
        yield f"{joint(members).join(members[:SHOWN])}{rest}: {group.why}"


def _listed(title: str, lines: Iterable[str], width: int) -> str:
    """Return the first lines of a list under its title, '' where it has none; long lines go on below."""
    found = list(lines)
    if not found:
        return ""
    shown = [_indented(line, width) for line in found[:SHOWN]]
    rest = [f"  … and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else []
    return "\n".join([f"{title} ({len(found):,}):", *shown, *rest]) + "\n"


def _indented(line: str, width: int) -> str:
    shown = shortened(visible(line), LENGTH)
    return textwrap.fill(shown, max(20, width), initial_indent="  ", subsequent_indent="    ")


_KINDS = {"better": "better", "worse": "worse", "other": "changed", "came": "new", "went": "gone"}


def difference(found: Comparison, width: int = 100) -> str:
    """Return whose grade changed between two gradebooks, from what to what, and why."""
    both = found.changed + found.unchanged
    numbers = f"{found.changed:,} of {both:,} students have another grade"
    other = found.changed - found.better - found.worse
    otherwise = f", {other:,} neither" if other else ""
    kinds = f"{found.better:,} better, {found.worse:,} worse{otherwise}; {found.came:,} came, {found.went:,} went"
    names = called(change.student for change in found.changes)
    changes = "".join(f"\n{_changed(change, names[change.student.id], width)}" for change in found.changes)
    return f"{numbers}: {kinds}\n{changes}"


def _changed(change: Change, name: str, width: int) -> str:
    who = visible(name)
    head = f"{_KINDS[change.kind]}: {who}, {_points(change.before)} → {_points(change.after)}\n"
    return head + "".join(f"{_indented(reason.text, width)}\n" for reason in change.reasons)


def _points(grade: Grade | None) -> str:
    if grade is None:
        return "not in the class"
    whole = f" of {grade.max_score:g}" if grade.max_score is not None else ""
    points = "no" if grade.final is None else f"{grade.final:g}{whole}"
    return f"{VERDICTS[grade.verdict]} with {points} points"
