"""What a class is made of, and what grading it comes to: frozen plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from grader.finding import Status
from grader.likeness import Likeness
from grader.manifest import Submission
from grader.report import Report
from grader.rules import Rules
from grader.settings import Settings

TimeSource = Literal["", "roster", "platform", "archive", "file"]


class Student(msgspec.Struct, frozen=True):
    """One student: `id` is what the whole gradebook knows them by, from the roster or from the submission's name.

    `due` is when the submission is due, with its time zone. `platform` holds what learning platforms call the student:
    'canvas', 'sis', 'login', 'moodle'. Students of one `group` hand in together: each has all attempts of the group,
    and is late by their own due time.
    """

    id: str
    name: str = ""
    email: str = ""
    section: str = ""
    due: datetime | None = None
    platform: dict[str, str] = {}
    group: str = ""


class Readable(Protocol):
    """Where a submission lies: in a folder, an archive, a checkout."""

    def read(self) -> Submission:
        """Return its bytes, with the paths that the student knows; raise SubmissionError."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission of one student; `number` counts from 1 in the order of submission.

    `path` is where it lies, for the instructor to find. `submitted` is when it was handed in, where that is known from
    `time_source`; `late` is what the platform says of it, None where it says nothing.
    """

    student: str
    number: int
    path: str
    source: Readable
    submitted: datetime | None = None
    time_source: TimeSource = ""
    late: bool | None = None


class Unmatched(msgspec.Struct, frozen=True):
    """A file or folder that belongs to no student, and why."""

    path: str
    reason: str


class Alias(msgspec.Struct, frozen=True):
    """Submissions under several names that may be one student's, or one group's, in the order of `paths`.

    Where they were `joined` they are attempts of all these `students`, else each belongs to another of them. `why` says
    by what rule.
    """

    students: tuple[str, ...]
    paths: tuple[str, ...]
    why: str
    joined: bool


@dataclass(frozen=True, slots=True)
class Class:
    """What was found to grade: `layout` tells in words how the folder was read."""

    layout: str
    students: tuple[Student, ...]
    attempts: tuple[Attempt, ...]
    unmatched: tuple[Unmatched, ...] = ()
    aliases: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """How a whole class is graded."""

    rules: Rules
    settings: Settings


class Job(msgspec.Struct, frozen=True):
    """One submission to grade under a key of its own; `train` says whether its model is trained as well."""

    key: str
    submission: Submission
    train: bool = False


class Done(msgspec.Struct, frozen=True):
    """What came of a job, and how many seconds it took on its worker."""

    key: str
    report: Report
    seconds: float
    likeness: Likeness | None = None


class Engine(Protocol):
    """Grades jobs, several at a time."""

    @property
    def shown(self) -> str:
        """What it is, in words: '2 at a time on this machine'."""

    def grade(self, jobs: Iterator[Job]) -> Iterator[Done]:
        """Yield what comes of each job as it ends, in any order.

        Jobs are taken from the iterator one by one, in the thread that asks for results (a gradebook belongs to one
        thread), and no more of them than are about to be graded. A fault of the machine or of the grader is a report
        with the error 'internal', and stops no other job.
        """


class LatePolicy(msgspec.Struct, frozen=True):
    """What a late submission loses: `per_day` percent of the score for each day begun, after `grace_minutes`.

    Never more than `most` percent.
    """

    per_day: float = 0.0
    grace_minutes: float = 0.0
    most: float = 100.0


class Override(msgspec.Struct, frozen=True):
    """A score that a person gave, beside the computed one; `points` is None where it takes an earlier one back."""

    points: float | None
    reason: str
    author: str
    at: datetime


class RuleOutcome(msgspec.Struct, frozen=True):
    """One rule in the gradebook."""

    id: str
    status: Status
    points: float
    max_points: float
    message: str


class Grade(msgspec.Struct, frozen=True):
    """One row of the gradebook: a student, the attempt that counts, and what it comes to.

    `verdict` is 'missing' where nothing was handed in, 'waiting' where it has not been graded yet. `score` is computed
    by the rules, `penalty` the points that lateness costs, `final` what counts: the override, else the score less the
    penalty; None where there is none. `headline` says in a line what came of it. `key` is that of the full report,
    `error` the code of what kept the submission from being graded. `late` is known from the due time, or else from what
    the platform says: then `late_seconds` is 0, as is the penalty. `earlier` marks a result from before a run that was
    to grade this submission, and has not, or not yet; `untrained` one without the training that the run is to do.
    """

    student: Student
    verdict: Literal["pass", "fail", "error", "missing", "waiting"]
    score: float | None = None
    max_score: float | None = None
    penalty: float = 0.0
    late_seconds: float = 0.0
    final: float | None = None
    override: Override | None = None
    headline: str = ""
    rules: tuple[RuleOutcome, ...] = ()
    attempt: int = 0
    attempts: int = 0
    path: str = ""
    submitted: datetime | None = None
    time_source: TimeSource = ""
    key: str = ""
    sha256: str = ""
    error: str = ""
    parameters: int | None = None
    accuracy: float | None = None
    seconds: float = 0.0
    late: bool | None = None
    earlier: bool = False
    untrained: bool = False


class AlikeGroup(msgspec.Struct, frozen=True):
    """Students whose submissions are alike: a hint to look, never a verdict.

    `kind` is 'same' where the graphs are the same up to names and source text, 'near' where they are within the
    documented distance; `distance` is the largest inside the group, from 0 to 1. `members` are ids of students, in
    order; `why` says in words what they share.
    """

    kind: Literal["same", "near"]
    members: tuple[str, ...]
    distance: float
    why: str


class ClassReport(msgspec.Struct, frozen=True):
    """A whole gradebook as every form of it is written from: `grades` in the order of names.

    `rules` are the ids in the order of the rules file. `made` is when the class was last graded. `starter` says what
    kept the assignment's starting code from being graded, '' where nothing did.
    """

    title: str
    rules_file: str
    rules_sha256: str
    version: str
    made: datetime
    attempt: Literal["latest", "best"]
    late: LatePolicy
    max_score: float
    rules: tuple[str, ...]
    grades: tuple[Grade, ...]
    unmatched: tuple[Unmatched, ...] = ()
    alike: tuple[AlikeGroup, ...] = ()
    aliases: tuple[Alias, ...] = ()
    starter: str = ""
