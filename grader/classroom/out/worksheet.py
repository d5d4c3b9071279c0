"""Which column of a Moodle worksheet is which, in whatever language its headings are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from grader.classroom.out.amounts import amount
from grader.classroom.out.form import FormError
from grader.classroom.out.sheet import Row, Sheet

DOWNLOAD = "In Moodle: the assignment, Submissions, Download grading worksheet."
ENGLISH = f"Download it with Moodle set to English. {DOWNLOAD}"

# What 'Grade can be changed' may say, in languages that write with these letters; others are asked for in English.
NO = frozenset("no nein non não nee nej nei ei ne nie nem nu нет ні не いいえ 否 아니오 لا".split())
YES = frozenset("yes ja oui sí si sì sim kyllä jah jā taip ano áno tak igen bai да так はい 是 예 نعم".split())
_IDENTIFIER = re.compile(r"\D*\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that matter; None for one that is not there."""

    id: int
    grade: int
    maximum: int
    changeable: int | None
    name: int | None
    email: int | None
    number: int | None
    feedback: int | None


def columns_of(sheet: Sheet, rows: Sequence[Row]) -> Columns:
    """Find the columns by their English headings, or else by what stands in them. Raises FormError."""
    headings = [heading.casefold() for heading in sheet.heading]
    for row in rows:
        if len(row.cells) != len(headings):
            message = f"the row has {len(row.cells)} cells and the heading {len(headings)}"
            raise FormError(sheet.file, row.line, message, DOWNLOAD)
    if not rows:
        raise FormError(sheet.file, 0, "it has no row of a participant", DOWNLOAD)
    found = _in_english(headings, rows) if {"identifier", "grade"} <= set(headings) else _by_content(rows)
    if found is None:
        fix = "Grade in points. A scale has no place for them." if "scale" in headings else ENGLISH
        raise FormError(sheet.file, sheet.rows[0].line, "the columns of a grading worksheet are not recognised", fix)
    for row in rows:
        if not _IDENTIFIER.fullmatch(row.text(found.id)):
            raise FormError(sheet.file, row.line, "the identifier has no number, as in 'Participant 123'", DOWNLOAD)
        if found.changeable is not None and row.text(found.changeable).casefold() not in YES | NO:
            raise FormError(sheet.file, row.line, "it is not clear whether the grade can be changed", ENGLISH)
    return found


def is_locked(row: Row, columns: Columns) -> bool:
    """Tell whether Moodle says that a grade can't be changed."""
    return row.text(columns.changeable).casefold() in NO


def _in_english(headings: Sequence[str], rows: Sequence[Row]) -> Columns | None:
    at = {heading: number for number, heading in enumerate(headings)}
    if "maximum grade" not in at:
        return None
    return Columns(
        at["identifier"],
        at["grade"],
        at["maximum grade"],
        at.get("grade can be changed"),
        at.get("full name"),
        _addresses(rows),
        at.get("id number"),
        at.get("feedback comments"),
    )


def _by_content(rows: Sequence[Row]) -> Columns | None:
    """Find the grade by its neighbours: the same maximum in each row after it, then one yes or no in each."""
    width = len(rows[0].cells)
    columns = [[row.text(column) for row in rows] for column in range(width)]
    found = []
    for maximum in range(2, width - 1):
        numbers = {amount(text) for text in columns[maximum]}
        grades = all(text == "" or amount(text) is not None for text in columns[maximum - 1])
        changeable = next((c for c in (maximum + 1, maximum + 2) if c < width and _yes_or_no(columns[c])), None)
        if len(numbers) == 1 and None not in numbers and grades and changeable is not None:
            found.append((maximum, changeable))
    if len(found) != 1:
        return None
    maximum, changeable = found[0]
    name = 1 if maximum > 3 else None  # names are left out where marking is blind
    return Columns(0, maximum - 1, maximum, changeable, name, _addresses(rows), None, _comments(columns, changeable))


def _yes_or_no(texts: Sequence[str]) -> bool:
    return {text.casefold() for text in texts} <= YES | NO


def _addresses(rows: Sequence[Row]) -> int | None:
    """Return the first column that holds nothing but addresses."""
    for column in range(1, len(rows[0].cells)):
        texts = [text for text in (row.text(column) for row in rows) if text]
        if texts and all(re.fullmatch(r"[^@\s]+@[^@\s]+", text) for text in texts):
            return column
    return None


def _comments(columns: Sequence[Sequence[str]], changeable: int) -> int | None:
    """Return the last column, if it can be that of feedback: with room in it, after one that is full, that of dates."""
    last = len(columns) - 1
    return last if last - 1 > changeable and "" in columns[last] and "" not in columns[last - 1] else None
