"""The offline grading worksheet of a Moodle assignment, filled in: grades, and a line of feedback.

The form is that of Moodle's own code (moodle/moodle, mod/assign/gradingtable.php writes it and
mod/assign/feedback/offline/ reads it): an identifier such as 'Participant 123' first, in between what the site shows of
a participant, then the grade, directly after it the maximum grade, perhaps a workflow state, 'Grade can be changed',
the dates, and the feedback comments. Headings are in the language of whoever downloaded it, and an upload has to be in
the same one; so columns are found by their English headings, or else by their order and by what stands in them.

Only the cells of grades and of feedback are changed; all others are the platform's and stay as they are, to the byte.
Moodle takes feedback as HTML, so it is escaped; only feedback that is empty or begins as ours does is replaced.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from grader.classroom.out.amounts import amount, decimal_mark, decimals
from grader.classroom.out.filling import Changes, Scoring, factor_of, graded_rows, notes_of, point_cells
from grader.classroom.out.form import Filled, FormError, listed
from grader.classroom.out.pairing import Way, Who, folded, named, pair, plain_name
from grader.classroom.out.sheet import Row, Sheet, read_sheet
from grader.classroom.out.worksheet import Columns, columns_of, is_locked
from grader.classroom.types import ClassReport, Grade
from grader.render.escape import shortened, visible

SIGNED = "s5-grade: "  # how feedback of ours begins, by which it is known later
FEEDBACK = 1_000  # code points
MESSAGE = 160  # code points of what a rule has to say

WAYS = (
    Way("Moodle id", lambda student: student.platform.get("moodle", ""), binding=True),
    Way("ID number", lambda student: student.platform.get("sis", "")),
    Way("address", lambda student: folded(student.email)),
    Way("id in the class, which is their ID number", lambda student: student.id),
    Way("id in the class, which is their address", lambda student: folded(student.id)),
    Way("name", lambda student: plain_name(student.name), told=True),
)


def filled(
    downloaded: bytes,
    report: ClassReport,
    *,
    scale: bool = False,
    comments: bool = True,
    file: str = "the worksheet",
) -> Filled:
    """Return a grading worksheet with the grades of a class, and with a line of feedback where `comments` are wanted.

    With `scale`, all points of the rules are all of the maximum grade. Points have as many decimals as the maximum
    grade, two at least, halves rounded up. `file` is what messages call the worksheet. Raises FormError.
    """
    sheet = read_sheet(downloaded, file)
    rows = {number: row for number, row in enumerate(sheet.rows[1:], 1) if not row.blank}
    columns = columns_of(sheet, list(rows.values()))
    who = {number: _who(row, columns) for number, row in rows.items()}
    pairing = pair([grade.student for grade in report.grades], who, WAYS, file)
    if rows and report.grades and not pairing.students:
        fix = "Is it the worksheet of another course? A roster with addresses or Moodle's ids ties the two together."
        raise FormError(file, 0, "it names no student of the class", fix)
    graded = graded_rows(pairing, report)
    locked = [row for row in graded if is_locked(rows[row], columns)]
    open_rows = {row: grade for row, grade in graded.items() if row not in locked}
    scoring = _scoring(sheet, rows, columns, report, scale)
    changes = point_cells(sheet, columns.grade, open_rows, scoring)
    told, kept = _feedback(rows, columns, open_rows, scoring, comments)
    changes |= told
    notes = [
        *pairing.notes,
        *notes_of(open_rows, scoring, report),
        *_about("Moodle says that their grade can't be changed, left as they were", locked, graded),
        *_about("feedback of a person stands there, and was left", kept, graded),
        *_beyond(rows, columns, open_rows, scoring),
        *_missing_comments(columns, comments),
        *_strangers(rows, graded, columns, file),
    ]
    return Filled(sheet.with_cells(changes), len({row for row, _ in changes}), tuple(notes))


def feedback_of(grade: Grade) -> str:
    """Return what a student is told, as text of HTML: points, failed rules, lateness; no word about anyone else."""
    failed = [rule for rule in grade.rules if rule.status == "fail"]
    # The headline of a failure is what its rules say.
    result = "not passed" if failed and grade.verdict == "fail" else grade.headline
    parts = [visible(shortened(result, MESSAGE))] if result else []
    parts += [f"{visible(rule.id)}: {visible(shortened(rule.message, MESSAGE))}" for rule in failed]
    if grade.penalty:
        parts.append(f"handed in late: {grade.penalty:g} points less")
    if grade.override is not None:
        parts.append("the points were set by hand")
    return html.escape(shortened(SIGNED + "; ".join(parts), FEEDBACK), quote=False)


def _scoring(sheet: Sheet, rows: Mapping[int, Row], columns: Columns, report: ClassReport, scale: bool) -> Scoring:
    texts = [row.text(column) for row in rows.values() for column in (columns.grade, columns.maximum)]
    whole = next((amount(row.text(columns.maximum)) for row in rows.values()), None)
    places = max([2, *(decimals(row.text(columns.maximum)) for row in rows.values())])
    factor = factor_of(whole, report, sheet.heading[columns.maximum], sheet.file) if scale else Decimal(1)
    return Scoring(factor, places, decimal_mark(texts))


def _feedback(
    rows: Mapping[int, Row], columns: Columns, graded: Mapping[int, Grade], scoring: Scoring, comments: bool
) -> tuple[Changes, list[int]]:
    """Return the cells of feedback, and the rows in which a person's stands."""
    changes: Changes = {}
    kept: list[int] = []
    if not comments or columns.feedback is None:
        return changes, kept
    for row, grade in graded.items():
        stands = rows[row].text(columns.feedback)
        text = feedback_of(grade)
        if grade.final is None or stands == text:
            continue
        if stands and not stands.startswith(SIGNED):
            kept.append(row)
        else:
            changes[row, columns.feedback] = text
    return changes, kept


def _who(row: Row, columns: Columns) -> Who:
    """Return what a row says of its participant, in the order of WAYS."""
    number = re.search(r"\d+\Z", row.text(columns.id), re.ASCII)
    known, address = row.text(columns.number), folded(row.text(columns.email))
    return number[0] if number else "", known, address, known, address, plain_name(row.text(columns.name))


def _about(what: str, at: Sequence[int], graded: Mapping[int, Grade]) -> Iterator[str]:
    if at:
        yield f"{what}: {listed([named(graded[row].student) for row in at])}"


def _beyond(rows: Mapping[int, Row], columns: Columns, graded: Mapping[int, Grade], scoring: Scoring) -> Iterator[str]:
    """Tell of points above the maximum, which an upload leaves out without a word."""
    beyond = []
    for row, grade in graded.items():
        whole = amount(rows[row].text(columns.maximum))
        if grade.final is not None and whole is not None and scoring.points(grade.final) > whole:
            beyond.append(row)
    yield from _about("more than the maximum grade, which Moodle will not take: ask for scaling", beyond, graded)


def _missing_comments(columns: Columns, comments: bool) -> Iterator[str]:
    if comments and columns.feedback is None:
        yield (
            "no column for feedback was recognised, so there is none: switch on 'Feedback comments' in the assignment, "
            "or download the worksheet with Moodle in English"
        )


def _strangers(rows: Mapping[int, Row], graded: Mapping[int, Grade], columns: Columns, file: str) -> Iterator[str]:
    names = [row.text(columns.name) or row.text(columns.id) for number, row in rows.items() if number not in graded]
    if names:
        yield f"in {file}, but not in the class: {listed(names)}"
