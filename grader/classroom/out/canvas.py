"""The gradebook of Canvas, filled in: what Canvas lets one export is what it imports again.

The form is that of Canvas's own code (instructure/canvas-lms, lib/gradebook_exporter.rb and lib/gradebook_importer.rb):
a heading that begins with Student (or LastName, FirstName) and ID, names Section last of what is about the student, and
then assignments as 'Title (id)'; a row 'Manual Posting' or 'Muted' where scores are hidden; a row 'Points Possible', in
which '(read only)' marks what an import ignores; then a row a student, the Test Student last. A score has two decimals,
with the comma where the course's language has one; EX is excused, N/A somebody to whom the assignment is not assigned.

Only cells of the assignment's column are changed. All others are the platform's and stay as they are, to the byte:
a name that begins with '-' or '=' too, since Canvas would otherwise look for somebody of another name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from grader.classroom.out.amounts import amount, decimal_mark
from grader.classroom.out.filling import Scoring, factor_of, graded_rows, notes_of, point_cells
from grader.classroom.out.form import Filled, FormError, listed
from grader.classroom.out.pairing import Way, Who, folded, pair, plain_name
from grader.classroom.out.sheet import Row, Sheet, read_sheet
from grader.classroom.types import ClassReport

PLACES = 2
EXPORT = "Export it in Canvas: Grades, Export, Export Entire Gradebook."

# Columns that no import changes, by any part of their name (NON_ASSIGNMENT_COLUMN_HEADERS).
_COMPUTED = re.compile(r"(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)")
_ASSIGNMENT = re.compile(r"(.*)\s\((\d+)\)", re.DOTALL | re.ASCII)
_HIDDEN = re.compile(r"(Muted|Manual Posting.*)?", re.IGNORECASE)
_READ_ONLY = re.compile(r"read\s+only")
KEPT = ("EX", "N/A")

WAYS = (
    Way("Canvas ID", lambda student: student.platform.get("canvas", ""), binding=True),
    Way("SIS id", lambda student: student.platform.get("sis", ""), binding=True),
    Way("login", lambda student: folded(student.platform.get("login", ""))),
    Way("id in the class, which is their SIS id", lambda student: student.id),
    Way("id in the class, which is their login", lambda student: folded(student.id)),
    Way("address, which is their login", lambda student: folded(student.email)),
    Way("name", lambda student: plain_name(student.name), told=True),
)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a gradebook says who a student is; None where it does not."""

    names: tuple[int, ...]
    id: int
    sis: int | None
    login: int | None
    section: int


@dataclass(frozen=True, slots=True)
class _Assignment:
    column: int
    name: str
    id: str

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.id})"


def filled(
    downloaded: bytes,
    report: ClassReport,
    assignment: str | None = None,
    *,
    scale: bool = False,
    file: str = "the gradebook",
) -> Filled:
    """Return an exported gradebook with the grades of a class in the column of one assignment.

    `assignment` is its name or its id in Canvas; without, the one that is called as the rules are. With `scale`, all
    points of the rules are all of 'Points Possible'. Points have two decimals, halves rounded up. `file` is what
    messages call the gradebook. Raises FormError.
    """
    sheet = read_sheet(downloaded, file)
    columns = _columns(sheet)
    points = next((row for row in sheet.rows[1:] if "Points Possible" in row.text(0)), None)
    found = list(_assignments(sheet, columns, points))
    chosen = _chosen(found, assignment, report.title, file)
    rows = {number: sheet.rows[number] for number in _student_rows(sheet, chosen.column)}
    pairing = pair(
        [grade.student for grade in report.grades],
        {number: _who(row, columns) for number, row in rows.items()},
        WAYS,
        file,
    )
    if rows and report.grades and not pairing.students:
        fix = "Is it the gradebook of another course? A roster with the ids of Canvas ties the two together."
        raise FormError(file, 0, "it names no student of the class", fix)
    graded = graded_rows(pairing, report)
    kept = [row for row in graded if rows[row].text(chosen.column).upper() in KEPT]
    whole = points.text(chosen.column) if points is not None else ""
    cells = [row.text(column.column) for row in sheet.rows[1:] for column in found]
    factor = factor_of(amount(whole), report, "Points Possible", file) if scale else Decimal(1)
    scoring = Scoring(factor, PLACES, decimal_mark(cells))
    written = {row: grade for row, grade in graded.items() if row not in kept}
    changes = point_cells(sheet, chosen.column, written, scoring)
    strangers = [row.text(0) for number, row in rows.items() if number not in graded and not _is_test(row, columns)]
    notes = [
        f"the column is {listed([chosen.shown])}",
        *pairing.notes,
        *notes_of(written, scoring, report),
        *_told("excused or not assigned, left as they were", [rows[row].text(0) for row in kept]),
        *_told(f"in {file}, but not in the class", strangers),
    ]
    if not scale and whole and amount(whole) != Decimal(str(report.max_score)):
        notes.append(f"Canvas gives {listed([whole])} points and the rules {report.max_score:g}: nothing was scaled")
    return Filled(sheet.with_cells(changes), len(changes), tuple(notes))


def _columns(sheet: Sheet) -> _Columns:
    heading = sheet.heading
    names = 2 if heading[:2] == ("LastName", "FirstName") else 1
    section = heading.index("Section") if "Section" in heading else 0
    if section <= names or heading[names] != "ID" or not (names == 2 or "Student" in heading[0]):
        raise FormError(sheet.file, sheet.rows[0].line, "its heading is not that of a gradebook of Canvas", EXPORT)
    at = {name: number for number, name in enumerate(heading[:section])}
    return _Columns(tuple(range(names)), names, at.get("SIS User ID"), at.get("SIS Login ID"), section)


def _assignments(sheet: Sheet, columns: _Columns, points: Row | None) -> Iterator[_Assignment]:
    """Yield the columns whose scores an import reads."""
    for column, title in enumerate(sheet.heading):
        found = _ASSIGNMENT.fullmatch(title)
        computed = _COMPUTED.search(title) or (points is not None and _READ_ONLY.search(points.text(column)))
        if column > columns.section and found and not computed:
            yield _Assignment(column, found[1], found[2])


def _chosen(found: Sequence[_Assignment], wanted: str | None, title: str, file: str) -> _Assignment:
    """Return the assignment that is meant: by its id or its whole name, else by its name within a longer one."""
    asked = (title if wanted is None else wanted).strip()
    within = re.compile(rf"(?<!\w){re.escape(asked.casefold())}(?!\w)")
    tests: tuple[Sequence[_Assignment], ...] = (
        [one for one in found if asked in (one.id, one.shown)],
        [one for one in found if asked.casefold() == one.name.strip().casefold()],
        [one for one in found if asked and within.search(one.name.casefold())],
    )
    meant = next(filter(None, tests), ())
    if len(meant) == 1:
        return meant[0]
    if not found:
        raise FormError(file, 1, "it has no column of an assignment that an import reads", EXPORT)
    names = listed([one.shown for one in meant or found])
    problem = f"{len(meant)} assignments are called" if meant else "no assignment is called"
    raise FormError(file, 1, f"{problem} {listed([asked])!r}", f"Name the one that is meant, or its id, of: {names}.")


def _student_rows(sheet: Sheet, column: int) -> Iterator[int]:
    """Yield the indices of the rows that are about students."""
    for number, row in enumerate(sheet.rows[1:], 1):
        about_assignments = "Points Possible" in row.text(0) or all(
            _HIDDEN.fullmatch(c.text.strip()) for c in row.cells
        )
        if about_assignments:
            continue
        if len(row.cells) <= column:
            message = f"the row has {len(row.cells)} cells and the heading {len(sheet.heading)}"
            raise FormError(sheet.file, row.line, message, EXPORT)
        yield number


def _who(row: Row, columns: _Columns) -> Who:
    """Return what a row says of its student, in the order of WAYS."""
    sis, login = row.text(columns.sis), folded(row.text(columns.login))
    return row.text(columns.id), sis, login, sis, login, login, plain_name(_name(row, columns))


def _name(row: Row, columns: _Columns) -> str:
    return ", ".join(row.text(column) for column in columns.names)


def _is_test(row: Row, columns: _Columns) -> bool:
    """Tell whether a row is that of the Test Student, whom Canvas gives every course."""
    return plain_name(_name(row, columns)) == "test student" and not row.text(columns.sis)


def _told(what: str, names: Sequence[str]) -> tuple[str, ...]:
    return (f"{what}: {listed(names)}",) if names else ()
