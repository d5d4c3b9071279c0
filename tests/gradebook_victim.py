"""Grades a played class into a gradebook, in processes that a test kills: python gradebook_victim.py GRADEBOOK.

Each line of its input is a run, done by a child: 'begin' or 'go-on', then the numbers of the students whose results it
records. A child tells its process, and each number once it is recorded; 'ended' says that it is gone, however.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta, timezone

from two_rules import RULES, report, ungraded

from grader.classroom.gradebook import Gradebook
from grader.classroom.types import Attempt, Class, Course, Done, LatePolicy, Student
from grader.manifest import Submission
from grader.settings import Settings

STUDENTS = 40
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
COURSE = Course(RULES, Settings())
REPORTS = (report(), report(drop="fail"), report("fail", "fail", count=27_242), ungraded())


class Nowhere:
    """A source that nobody reads in these tests."""

    def read(self) -> Submission:
        raise AssertionError


def attempt(student: str, number: int = 1, hours: float | None = None, *, late: bool | None = None) -> Attempt:
    """Return an attempt handed in so many hours after NOW."""
    submitted = None if hours is None else NOW + timedelta(hours=hours)
    return Attempt(student, number, f"{student}/{number}", Nowhere(), submitted, "platform" if submitted else "", late)


def played_class() -> Class:
    ids = [f"s{number:02}" for number in range(STUDENTS)]
    students = tuple(Student(id, due=NOW) for id in ids)
    return Class("played", students, tuple(attempt(id, hours=number) for number, id in enumerate(ids)))


def begin(gradebook: Gradebook) -> None:
    gradebook.begin(played_class(), COURSE, attempt="latest", late=LatePolicy(10.0), now=NOW)


def key(number: int) -> str:
    return f"key {number}"


def record(gradebook: Gradebook, number: int) -> None:
    gradebook.submitted(f"s{number:02}", 1, key(number), f"sha {number}")
    gradebook.record(Done(key(number), REPORTS[number % len(REPORTS)], number / 10))


def _tell(word: object) -> None:
    os.write(1, f"{word}\n".encode())


def _run(path: str, words: list[str]) -> None:
    _tell(os.getpid())
    with Gradebook.open(path) as gradebook:
        if words[0] == "begin":
            begin(gradebook)
        for word in words[1:]:
            record(gradebook, int(word))
            _tell(word)


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                _run(sys.argv[1], line.split())
            finally:
                os._exit(1)  # whatever happened: the loop is its parent's
        os.waitpid(child, 0)
        _tell("ended")
