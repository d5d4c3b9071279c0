"""Which row of a platform's file is which student's: by ids first, by name only where it can't be anyone else."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.classroom.out.form import listed
from grader.classroom.types import Student

Who = tuple[str, ...]  # what a row says of its student, one text for each way


@dataclass(frozen=True, slots=True)
class Way:
    """A way to know a student: what `of` gives is what their row says.

    Where it is `binding`, two sides that say different things are different people. What is found in a way that is
    `told` is for a person to check.
    """

    shown: str
    of: Callable[[Student], str]
    binding: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """Rows with their students, by the index of the row, and what is to be said of it."""

    students: Mapping[int, Student]
    notes: tuple[str, ...]


def pair(students: Sequence[Student], rows: Mapping[int, Who], ways: Sequence[Way], file: str) -> Pairing:
    """Find the row of each student; where more than one student or row could be meant, none is taken."""
    claims: dict[int, list[tuple[Student, Way]]] = defaultdict(list)
    doubted: list[Student] = []
    missed: list[Student] = []
    shared = [Counter(filter(None, map(way.of, students))) for way in ways]
    index = [_index(rows, number) for number in range(len(ways))]
    for student in students:
        found = _found(student, rows, ways, index)
        if found is None:
            missed.append(student)
            continue
        number, at = found
        if len(at) == 1 and shared[number][ways[number].of(student)] == 1:
            claims[at[0]].append((student, ways[number]))
        else:
            doubted.append(student)
    sure = {row: claim[0] for row, claim in claims.items() if len(claim) == 1}
    doubted += [student for claim in claims.values() if len(claim) > 1 for student, _ in claim]
    notes = _notes(doubted, missed, list(sure.values()), file)
    return Pairing({row: student for row, (student, _) in sure.items()}, tuple(notes))


def named(student: Student) -> str:
    """Return a student as a note speaks of them."""
    return f"{student.name} ({student.id})" if student.name not in ("", student.id) else student.id


def plain_name(name: str) -> str:
    """Return a name to compare by: 'Doe, Jane' is 'jane doe'."""
    last, comma, first = name.partition(",")
    words = f"{first} {last}" if comma and "," not in first else name
    return " ".join(unicodedata.normalize("NFC", words).casefold().split())


def folded(text: str) -> str:
    """Return a login or an address to compare by: platforms do not tell upper and lower case apart in these."""
    return text.strip().casefold()


def _index(rows: Mapping[int, Who], number: int) -> dict[str, list[int]]:
    found = defaultdict(list)
    for row, who in rows.items():
        if who[number]:
            found[who[number]].append(row)
    return found


def _found(
    student: Student, rows: Mapping[int, Who], ways: Sequence[Way], index: Sequence[Mapping[str, list[int]]]
) -> tuple[int, list[int]] | None:
    """Return the first way that leads to rows which may be this student's, and these."""
    bound = [(number, way.of(student)) for number, way in enumerate(ways) if way.binding]
    for number, way in enumerate(ways):
        at = [row for row in index[number].get(way.of(student), ()) if not _another(bound, rows[row])]
        if at:
            return number, at
    return None


def _another(bound: Sequence[tuple[int, str]], who: Who) -> bool:
    return any(value and who[number] and value != who[number] for number, value in bound)


def _notes(
    doubted: Sequence[Student], missed: Sequence[Student], sure: Sequence[tuple[Student, Way]], file: str
) -> Iterator[str]:
    if doubted:
        yield f"left out, as more than one row or student could be meant: {listed(list(map(named, doubted)))}"
    for shown in sorted({way.shown for _, way in sure if way.told}):
        names = [named(student) for student, way in sure if way.shown == shown]
        yield f"found by their {shown} alone, please check: {listed(names)}"
    if missed:
        yield f"in the class, but not in {file}: {listed(list(map(named, missed)))}"
