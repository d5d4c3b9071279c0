"""The gradebook: what counts, what it costs to be late, and that no kill, no restart and no other program harms it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gradebook_victim import COURSE, NOW, STUDENTS, Nowhere, attempt, begin, key, record
from reports import PASSED, graded_as, trained
from samples import result, rule, rules, training
from two_rules import RULES, report, ungraded

from grader.classroom.gradebook import Gradebook, GradebookError, file, reading
from grader.classroom.gradebook.errors import DAMAGED, FOREIGN, UNWRITABLE, explained
from grader.classroom.gradebook.file import connect
from grader.classroom.gradebook.forms import class_form
from grader.classroom.gradebook.late import late_seconds, penalty
from grader.classroom.gradebook.schema import APPLICATION, MIGRATIONS, version_of
from grader.classroom.mates import with_mates
from grader.classroom.types import (
    AlikeGroup,
    Attempt,
    Class,
    ClassReport,
    Course,
    Done,
    Grade,
    LatePolicy,
    Override,
    RuleOutcome,
    Student,
    Unmatched,
)
from grader.likeness import Likeness
from grader.obstacles import INTERNAL
from grader.report import Report
from grader.settings import Settings

UNMET = graded_as(*PASSED[:3], result("dropout", "fail", "no dropout"))  # which is a warning in that course
HERE = Path(__file__).resolve().parent
ANNA, BO = Student("anna", "Anna Berg", due=NOW), Student("bo", "bo Dahl", "bo@example.org", due=NOW)
CY = Student("cy", "Cy Ek", platform={"moodle": "7"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "class.s5db"


@pytest.fixture
def book(path: Path) -> Iterator[Gradebook]:
    with Gradebook.open(path) as gradebook:
        yield gradebook


def begun(book: Gradebook, *attempts: Attempt, students: tuple[Student, ...] = (ANNA, BO), **options: Any) -> Gradebook:
    given = {"attempt": "latest", "late": LatePolicy(), "now": NOW, **options}
    book.begin(Class("a folder each", students, attempts), COURSE, **given)
    return book


def graded(book: Gradebook, student: str, number: int, of: Report, name: str = "", **done: Any) -> None:
    """Tie a result to an attempt, and record it."""
    name = name or f"{student}{number}"
    book.submitted(student, number, name, f"sha {name}")
    book.record(Done(name, of, 1.5, **done))


def grades(book: Gradebook) -> dict[str, Grade]:
    return {grade.student.id: grade for grade in book.class_report().grades}


# What a report of the class says


def test_every_field_of_a_class_report(book: Gradebook) -> None:
    found = Class("a folder each", (CY, BO, ANNA), (attempt("anna", 1, -1), attempt("bo", 1)), (Unmatched("x", "odd"),))
    book.begin(found, COURSE, attempt="latest", late=LatePolicy(10), now=NOW)
    graded(book, "anna", 1, report("fail", count=27_242))
    book.submitted("bo", 1, "bo1", "sha bo1")
    row = Grade(
        ANNA,
        "fail",
        score=20,
        max_score=40,
        final=20,
        headline="parameters is fail",
        rules=(
            RuleOutcome("size", "fail", 0, 20, "parameters is fail"),
            RuleOutcome("drop", "pass", 20, 20, "dropout is pass"),
        ),
        attempt=1,
        attempts=1,
        path="anna/1",
        submitted=NOW - timedelta(hours=1),
        time_source="platform",
        key="anna1",
        sha256="sha anna1",
        parameters=27_242,
        seconds=1.5,
        late=False,
    )
    waiting = Grade(
        BO, "waiting", headline="not graded yet", attempt=1, attempts=1, path="bo/1", key="bo1", sha256="sha bo1"
    )
    missing = Grade(CY, "missing", headline="nothing was handed in")
    made = book.class_report()
    assert made == ClassReport(
        title="Session 5",
        rules_file="rules.yaml",
        rules_sha256=RULES.sha256,
        version=made.version,
        made=NOW,
        attempt="latest",
        late=LatePolicy(10),
        max_score=40,
        rules=("size", "drop"),
        grades=(row, waiting, missing),
        unmatched=(Unmatched("x", "odd"),),
    )
    assert made.version


def test_students_stand_in_the_order_of_names_whatever_their_case(book: Gradebook) -> None:
    students = (Student("z", "anna"), Student("b", "Bo"), Student("y"), Student("a", "Anna"), Student("x"))
    begun(book, students=students)
    assert [grade.student.id for grade in book.class_report().grades] == ["x", "y", "a", "z", "b"]


@pytest.mark.parametrize(
    ("of", "headline", "verdict", "score"),
    [
        (report(), "passed", "pass", 40),
        (report("fail", "fail"), "parameters is fail; dropout is fail", "fail", 0),
        (report("fail", "error"), "parameters is fail", "fail", 0),
        (report("error"), "parameters is error", "error", 20),
        (UNMET, "passed; no dropout", "pass", 40),
        (ungraded(message="forward raised\n  RuntimeError"), "forward raised RuntimeError", "error", None),
    ],
)
def test_a_headline_is_one_line_and_what_was_not_judged_has_no_score(
    book: Gradebook, of: Report, headline: str, verdict: str, score: float | None
) -> None:
    graded(begun(book, attempt("anna")), "anna", 1, of)
    row = grades(book)["anna"]
    assert (row.headline, row.verdict, row.score, row.final) == (headline, verdict, score, score)


def test_the_accuracy_of_a_training_is_told(book: Gradebook) -> None:
    graded(begun(book, attempt("anna")), "anna", 1, msgspec.structs.replace(report(), training=training()))
    assert grades(book)["anna"].accuracy == 99.21


def test_a_grade_without_the_training_that_is_to_come_says_so(book: Gradebook) -> None:
    for train in (False, True):
        course = Course(COURSE.rules, Settings(train=train))
        found = Class("a folder each", (ANNA,), (attempt("anna"),))
        book.begin(found, course, attempt="latest", late=LatePolicy(), now=NOW)
        graded(book, "anna", 1, graded_as(*PASSED), "static")
        assert grades(book)["anna"].untrained is train
    graded(book, "anna", 1, ungraded(INTERNAL), "trained")
    assert grades(book)["anna"].untrained
    graded(book, "anna", 1, trained(), "trained")
    assert not grades(book)["anna"].untrained


@pytest.mark.parametrize(("train", "most"), [(False, 50), (True, 95)])
def test_the_highest_score_leaves_out_rules_that_only_training_decides(train: bool, most: float) -> None:
    course = rules(
        rule("size", "parameters", points=20),
        rule("either", "parameters", "accuracy", needs="any", points=30),
        rule("both", "parameters", "accuracy", points=40),
        rule("trained", "accuracy", needs="any", points=5),
    )
    form = class_form(Class("", (), ()), Course(course, Settings(train=train)), "latest", LatePolicy(), NOW)
    assert form.max_score == most


def test_a_gradebook_without_a_class_says_so(book: Gradebook, path: Path) -> None:
    with pytest.raises(GradebookError, match="holds no class yet: grade one with s5-grade class") as caught:
        book.class_report()
    assert str(caught.value).startswith(str(path))


# The attempt that counts


def test_the_latest_attempt_counts_even_while_it_waits(book: Gradebook) -> None:
    begun(book, attempt("anna", 1), attempt("anna", 2), attempt("anna", 10))
    graded(book, "anna", 2, report())
    assert [(row.attempt, row.verdict, row.attempts) for row in grades(book).values()] == [
        (10, "waiting", 3),
        (0, "missing", 0),
    ]


@pytest.mark.parametrize(
    ("outcomes", "hours", "counting"),
    [
        ((report("fail"), report()), (0, 0), 2),
        ((report(), report("fail")), (0, 0), 1),
        ((report(), report()), (0, 0), 1),
        ((report("fail"), report()), (0, 25), 2),  # 20, and 40 less 20 percent
        ((report("fail"), report()), (0, 24 * 6), 1),  # 20, and 40 less 60 percent
        ((None, report("fail", "fail")), (0, 0), 2),
        ((report("fail", "fail"), None), (0, 0), 1),
        ((ungraded(), report("fail", "fail")), (0, 0), 2),
        ((ungraded(), ungraded()), (0, 0), 1),
        ((None, None), (0, 0), 2),
    ],
)
def test_the_best_attempt_is_the_highest_after_the_penalty_and_the_earliest_of_equals(
    book: Gradebook, outcomes: tuple[Report | None, ...], hours: tuple[float, ...], counting: int
) -> None:
    begun(
        book,
        *(attempt("anna", number, late) for number, late in enumerate(hours, 1)),
        attempt="best",
        late=LatePolicy(10),
    )
    for number, outcome in enumerate(outcomes, 1):
        if outcome is not None:
            graded(book, "anna", number, outcome)
    assert grades(book)["anna"].attempt == counting


def test_a_static_result_counts_until_the_trained_one_is_there(book: Gradebook) -> None:
    begun(book, attempt("anna"))
    graded(book, "anna", 1, report("fail"), "static")
    book.submitted("anna", 1, "trained", "sha")
    assert grades(book)["anna"].key == "static"
    graded(book, "anna", 1, ungraded(INTERNAL), "trained")
    assert grades(book)["anna"].key == "static"
    graded(book, "anna", 1, report(), "trained")
    assert grades(book)["anna"].key == "trained"
    begun(book, attempt("anna"))  # without training, this time
    book.submitted("anna", 1, "static", "sha")
    assert grades(book)["anna"].key == "static"


# Results


def test_a_report_comes_back_whole(book: Gradebook) -> None:
    for number, of in enumerate((report(), ungraded(message="\x1b[31m\u202e <b>"))):
        book.record(Done(f"{number}", of, 1.0))
        assert (book.knows(f"{number}"), book.report(f"{number}")) == (True, of)
    assert (book.knows("other"), book.report("other")) == (False, None)


def test_a_fault_of_the_grader_is_kept_but_tried_again_and_never_replaces_a_result(book: Gradebook) -> None:
    fault = ungraded(INTERNAL, "a worker died")
    graded(begun(book, attempt("anna")), "anna", 1, fault, "key")
    assert (book.knows("key"), book.report("key")) == (False, fault)
    assert (grades(book)["anna"].verdict, grades(book)["anna"].headline) == ("error", "a worker died")
    for of, kept in ((report("fail"), report("fail")), (fault, report("fail")), (report(), report())):
        book.record(Done("key", of, 1.0))
        assert (book.knows("key"), book.report("key")) == (True, kept)


def test_equal_bytes_are_one_result_for_all_who_handed_them_in(book: Gradebook) -> None:
    begun(book, attempt("anna"), attempt("bo"))
    book.submitted("anna", 1, "same", "sha")
    graded(book, "bo", 1, report(), "same")
    assert [(row.verdict, row.key) for row in book.class_report().grades] == [("pass", "same"), ("pass", "same")]


def test_a_new_run_replaces_what_was_found_and_keeps_results_and_overrides(book: Gradebook) -> None:
    graded(begun(book, attempt("anna"), attempt("bo")), "anna", 1, report())
    book.alike([AlikeGroup("same", ("anna", "bo"), 0.0, "all")])
    book.override("bo", 7, "was ill", "EL", NOW)
    later = NOW + timedelta(days=1)
    begun(book, attempt("cy"), students=(CY,), now=later)
    made = book.class_report()
    assert (made.made, made.alike, made.grades) == (
        later,
        (),
        (Grade(CY, "waiting", headline="not graded yet", attempt=1, attempts=1, path="cy/1"),),
    )
    assert book.knows("anna1")
    begun(book, attempt("anna"), attempt("bo"))
    book.submitted("anna", 1, "anna1", "sha")
    assert {id: row.final for id, row in grades(book).items()} == {"anna": 40, "bo": 7}


def test_likenesses_are_those_of_the_attempts_that_count(book: Gradebook) -> None:
    one, other = Likeness("1" * 64, {"conv2d": 2}), Likeness("2" * 64)
    begun(book, attempt("anna", 1), attempt("anna", 2), attempt("bo"), students=(ANNA, BO, CY), attempt="best")
    graded(book, "anna", 1, report(), likeness=one)
    graded(book, "anna", 2, report("fail"), likeness=other)
    graded(book, "bo", 1, ungraded())
    assert list(book.likenesses()) == [("anna", one)]
    groups = (AlikeGroup("near", ("anna", "bo"), 0.1, "three layers"),)
    book.alike(groups)
    assert book.class_report().alike == groups


def test_a_group_is_one_to_look_alikes_and_each_of_it_is_late_by_their_own_due_time(book: Gradebook) -> None:
    one = Likeness("1" * 64, {"conv2d": 2})
    anna = msgspec.structs.replace(ANNA, group="Pair 1")
    bo = msgspec.structs.replace(BO, group="Pair 1", due=NOW - timedelta(hours=30))
    shared = [Attempt(id, 1, "pair-1", Nowhere(), NOW, "platform") for id in ("anna", "bo")]
    begun(book, *shared, attempt("cy"), students=(anna, bo, CY), late=LatePolicy(10))
    for student in ("anna", "bo"):
        book.submitted(student, 1, "pair", "sha pair")
    graded(book, "cy", 1, report(), likeness=one)
    book.record(Done("pair", report(), 1.0, likeness=one))
    book.override("anna", 5, "oral exam", "EL", NOW)
    assert list(book.likenesses()) == [("anna", one), ("cy", one)]
    made = book.class_report()
    assert {row.student.id: (row.score, row.penalty, row.final) for row in made.grades} == {
        "anna": (40, 0, 5),
        "bo": (40, 8, 32),
        "cy": (40, 0, 40),
    }
    assert with_mates(made, ("cy", "anna")) == ("cy", "anna", "bo")


# Lateness


@pytest.mark.parametrize(
    ("hours", "policy", "cost"),
    [
        (-1, LatePolicy(10), 0),
        (0, LatePolicy(10), 0),
        (0.01, LatePolicy(10), 4),
        (24, LatePolicy(10), 4),
        (24.01, LatePolicy(10), 8),
        (0.5, LatePolicy(10, grace_minutes=30), 0),
        (0.51, LatePolicy(10, grace_minutes=30), 4),
        (24.5, LatePolicy(10, grace_minutes=30), 4),  # days are counted from the end of the grace
        (24 * 400, LatePolicy(10), 40),
        (24 * 400, LatePolicy(10, most=50), 20),
        (24 * 400, LatePolicy(), 0),
        (1, LatePolicy(100 / 3), 13.3333),
    ],
)
def test_a_penalty_is_a_share_of_the_score_for_each_day_that_began(
    book: Gradebook, hours: float, policy: LatePolicy, cost: float
) -> None:
    graded(begun(book, attempt("anna", 1, hours), late=policy), "anna", 1, report())
    row = grades(book)["anna"]
    assert (row.score, row.penalty, row.final) == (40, cost, 40 - cost)
    assert (row.late_seconds, row.late) == (max(0.0, hours * 3600), hours > 0)


def test_points_are_no_binary_fractions() -> None:
    assert penalty(20.1, late_seconds(NOW, NOW + timedelta(hours=1)), LatePolicy(10)) == 2.01


@pytest.mark.parametrize(
    ("student", "hours", "told", "late"),
    [
        (CY, 1, True, True),  # without a due time
        (CY, 1, None, None),
        (ANNA, None, True, True),  # without a time of submission
        (ANNA, -1, True, False),  # the due time of the roster outdoes the platform's: it may be an extension
        (ANNA, 1, False, True),
    ],
)
def test_a_platforms_word_for_late_is_told_where_no_times_are_and_costs_nothing(
    book: Gradebook, student: Student, hours: float | None, told: bool | None, late: bool | None
) -> None:
    begun(book, attempt(student.id, 1, hours, late=told), students=(student,), late=LatePolicy(10))
    graded(book, student.id, 1, report())
    row = grades(book)[student.id]
    assert (row.late, row.penalty) == (late, 4 if late and student is ANNA and hours else 0)


# Overrides


def test_an_override_stands_beside_the_grade_and_its_history_is_kept(book: Gradebook) -> None:
    graded(begun(book, attempt("anna", 1, 1), late=LatePolicy(10)), "anna", 1, report())
    given = [
        Override(55.5, "a bonus", "EL", NOW),
        Override(30.0, "less of it", "BK", NOW - timedelta(days=1)),  # the last one given, whatever its clock said
        Override(None, "a mistake", "EL", NOW),
        Override(0.0, "copied", "EL", NOW),
    ]
    for override, final in zip(given, (55.5, 30.0, 36.0, 0.0), strict=True):
        book.override("anna", override.points, override.reason, override.author, override.at)
        row = grades(book)["anna"]
        assert (row.verdict, row.score, row.penalty, row.final) == ("pass", 40, 4, final)
        assert row.override == (override if override.points is not None else None)
    assert (book.history("anna"), book.history("bo")) == (tuple(given), ())


def test_who_handed_in_nothing_can_be_given_points(book: Gradebook) -> None:
    begun(book)
    book.override("bo", 12, "on paper", "EL", NOW)
    row = grades(book)["bo"]
    assert (row.verdict, row.score, row.final) == ("missing", None, 12)


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        ("ana", "did you mean 'anna' (Anna Berg)?"),
        ("BERG", "did you mean 'anna' (Anna Berg)?"),
        ("bo dall", "did you mean 'bo' (bo Dahl)?"),
        ("nobody\x1b", "name one by the id that the gradebook shows"),
        ("", "name one by the id that the gradebook shows"),
    ],
)
def test_who_asks_for_a_stranger_is_told_whom_they_may_have_meant(
    book: Gradebook, path: Path, asked: str, advice: str
) -> None:
    begun(book)
    for ask in (lambda: book.override(asked, 1, "", "", NOW), lambda: book.history(asked)):
        with pytest.raises(GradebookError) as caught:
            ask()
        assert str(caught.value) == f"{path} has no student {asked!r}: {advice}"


def test_overrides_of_who_left_the_class_are_kept_and_told(book: Gradebook) -> None:
    begun(book)
    for id, points in (("anna", 1), ("bo", 2), ("bo", None)):
        book.override(id, points, "", "", NOW)
    assert book.strays() == ()
    begun(book, students=(Student("eve"),))
    assert book.strays() == ("anna",)  # that of bo was taken back
    assert grades(begun(book))["anna"].final == 1


def test_a_name_that_is_suggested_cannot_write_to_the_terminal(book: Gradebook) -> None:
    begun(book, students=(Student("eve", "Eve\x1b[2J"),))
    with pytest.raises(GradebookError) as caught:
        book.override("ev", 1, "", "", NOW)
    assert str(caught.value).endswith("did you mean 'eve' (Eve\\x1b[2J)?")


@pytest.mark.parametrize("points", [-1, float("nan"), float("inf")])
def test_an_override_is_a_number_of_points(book: Gradebook, points: float) -> None:
    with pytest.raises(GradebookError, match=r"points cannot be given: name a number from 0$"):
        begun(book).override("anna", points, "", "", NOW)


# The file


def test_a_gradebook_is_its_owners_and_leaves_no_other_file(path: Path, tmp_path: Path) -> None:
    with Gradebook.open(path) as book:
        begun(book)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_whose_maker_was_killed_at_once_is_a_new_gradebook(path: Path) -> None:
    path.touch()
    with Gradebook.open(path) as book:
        assert begun(book).class_report().rules == ("size", "drop")


def refused(path: Path, *, create: bool = True) -> str:
    with pytest.raises(GradebookError) as caught:
        Gradebook.open(path, create=create)
    return str(caught.value)


def test_what_is_no_gradebook_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    path.write_text("id,points\n" * 200)
    for odd in (path, other):
        before = odd.read_bytes()
        assert refused(odd) == f"{odd} {FOREIGN}"
        assert odd.read_bytes() == before
    assert refused(tmp_path) == f"{tmp_path} is a folder: name a file"
    nowhere = tmp_path / "none" / "class.s5db"
    assert refused(nowhere) == f"there is no folder {tmp_path / 'none'} for the gradebook class.s5db: make it first"
    assert refused(nowhere, create=False) == f"there is no gradebook {nowhere}"
    below = path / "class.s5db"
    assert refused(below) == f"there is no folder {path} for the gradebook class.s5db: make it first"


def test_a_damaged_gradebook_says_what_can_be_saved(path: Path) -> None:
    with Gradebook.open(path) as book:
        begin(book)
        for number in range(STUDENTS):
            record(book, number)
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:8192] + b"\xff" * 4096 * 20 + whole[8192 + 4096 * 20 :]):
        path.write_bytes(damaged)
        assert refused(path) == f"{path} {DAMAGED}"


@pytest.mark.parametrize("column", ["report", "likeness"])
def test_damage_that_only_a_reader_meets_is_told_too(book: Gradebook, path: Path, column: str) -> None:
    graded(begun(book, attempt("anna")), "anna", 1, report(), likeness=Likeness("1"))
    with sqlite3.connect(path) as other:
        other.execute(f"UPDATE results SET {column} = ?", (b"not compressed",))
    other.close()
    with pytest.raises(GradebookError) as caught:
        list(book.likenesses())
    assert str(caught.value) == f"{path} {DAMAGED}"


def test_a_report_of_another_schema_says_what_to_do(book: Gradebook, path: Path) -> None:
    graded(begun(book, attempt("anna")), "anna", 1, report())
    with sqlite3.connect(path) as other:
        other.execute("UPDATE results SET report = ?", (zlib.compress(b'{"schema": 99}'),))
    other.close()
    for read in (book.class_report, lambda: book.report("anna1")):
        with pytest.raises(GradebookError, match=r"has a report that cannot be read \(.*99.*\): grade the class again"):
            read()


def test_a_full_disk_and_one_that_cannot_be_written_are_told(path: Path) -> None:
    connection = connect(path, create=True)
    for pragma, meaning in (
        ("query_only = ON", UNWRITABLE),
        ("query_only = OFF; PRAGMA max_page_count = 5", "does not"),
    ):
        connection.executescript(f"PRAGMA {pragma}")
        with pytest.raises(GradebookError) as caught, explained(path):
            connection.execute("INSERT INTO results (key, failed, seconds, report) VALUES ('k', 0, 0, zeroblob(90000))")
        assert str(caught.value).startswith(f"{path} {meaning}")
    connection.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_told(path: Path, tmp_path: Path) -> None:
    Gradebook.open(path).close()
    tmp_path.chmod(0o500)
    try:
        assert refused(path) == f"{path} {UNWRITABLE}"
        new = tmp_path / "new.s5db"
        why = "(Permission denied): name a file in a folder that can be written to"
        assert refused(new) == f"{new} cannot be made {why}"
    finally:
        tmp_path.chmod(0o700)


# Other programs


def test_a_second_run_is_refused_with_the_process_of_the_first(book: Gradebook, path: Path) -> None:
    begun(book)
    with Gradebook.open(path) as second:
        with pytest.raises(GradebookError) as caught:
            begun(second)
        assert str(caught.value).startswith(f"{path} is in use: another s5-grade class grades into it (process ")
        assert f"process {os.getpid()} on " in str(caught.value)
        begun(book, attempt("anna"))  # the first may begin again
        assert [row.verdict for row in second.class_report().grades] == ["waiting", "missing"]
        book.close()
        begun(second)


def test_a_run_can_be_watched_and_overridden_by_others(book: Gradebook, path: Path) -> None:
    begun(book, attempt("anna"), attempt("bo"))
    with Gradebook.open(path, create=False) as other:
        graded(book, "anna", 1, report())
        assert {id: row.verdict for id, row in grades(other).items()} == {"anna": "pass", "bo": "waiting"}
        other.override("bo", 3, "", "EL", NOW)
    assert grades(book)["bo"].final == 3


def test_a_program_that_holds_the_file_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.01)
    with Gradebook.open(path) as book:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GradebookError, match="is held by another program: close what has it open, or wait"):
            book.record(Done("key", report(), 1.0))
        other.close()
        book.record(Done("key", report(), 1.0))
        assert book.knows("key")


# Versions of the file

# What a gradebook of version 1 is, for ever: the statements that made it, and what they were filled with.
VERSION_1 = f"""
    CREATE TABLE class (only INTEGER PRIMARY KEY CHECK (only = 1), form TEXT NOT NULL, alike TEXT NOT NULL);
    CREATE TABLE students (id TEXT PRIMARY KEY, form TEXT NOT NULL);
    CREATE TABLE attempts (
        student TEXT NOT NULL REFERENCES students ON DELETE CASCADE, number INTEGER NOT NULL, form TEXT NOT NULL,
        PRIMARY KEY (student, number)
    );
    CREATE TABLE ties (
        place INTEGER PRIMARY KEY, student TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL,
        sha256 TEXT NOT NULL, UNIQUE (student, number, key),
        FOREIGN KEY (student, number) REFERENCES attempts ON DELETE CASCADE
    );
    CREATE TABLE results (
        key TEXT PRIMARY KEY, failed INTEGER NOT NULL, seconds REAL NOT NULL,
        recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), report BLOB NOT NULL, likeness BLOB
    );
    CREATE TABLE overrides (place INTEGER PRIMARY KEY AUTOINCREMENT, student TEXT NOT NULL, form TEXT NOT NULL);
    CREATE INDEX overrides_by_student ON overrides (student);
    INSERT INTO class VALUES (1, '{{"title": "T", "layout": "", "rules_file": "r.yaml", "rules_sha256": "ab",
        "rules": [{{"id": "size", "points": 20}}], "max_score": 20, "settings": {{}}, "version": "0.1.0",
        "made": "2026-03-01T12:00:00Z", "attempt": "latest", "unmatched": [],
        "late": {{"per_day": 0, "grace_minutes": 0, "most": 100}}}}', '[]');
    INSERT INTO students VALUES ('anna', '{{"id": "anna", "name": "Anna Berg", "due": "2026-03-01T12:00:00Z"}}');
    INSERT INTO attempts VALUES ('anna', 1, '{{"path": "a", "submitted": null, "time_source": "", "late": null}}');
    INSERT INTO ties VALUES (1, 'anna', 1, 'key', 'sha');
    INSERT INTO overrides VALUES (1, 'anna',
        '{{"points": 5, "reason": "why", "author": "EL", "at": "2026-03-01T12:00:00Z"}}');
    PRAGMA application_id = {0x53354742};
    PRAGMA user_version = 1;
"""
PLAYED = (
    *MIGRATIONS,
    ("ALTER TABLE results ADD COLUMN machine TEXT NOT NULL DEFAULT 'unknown'",),
    ("CREATE TABLE passed (key TEXT)", "INSERT INTO passed SELECT key FROM results WHERE NOT failed"),
)


@pytest.fixture
def version_1(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    data = zlib.compress(msgspec.json.encode(report()))
    connection.execute("INSERT INTO results (key, failed, seconds, report) VALUES ('key', 0, 1, ?)", (data,))
    connection.commit()
    connection.close()
    return path


def test_a_gradebook_of_version_1_is_read(version_1: Path) -> None:
    with Gradebook.open(version_1, create=False) as book:
        (row,) = book.class_report().grades
    override = Override(5, "why", "EL", NOW)
    assert (row.student, row.verdict, row.score, row.final, row.override) == (ANNA, "pass", 40, 5, override)


def test_the_version_that_is_written_is_the_newest(path: Path) -> None:
    connection = connect(path, create=True)
    header = connection.execute("SELECT * FROM pragma_application_id, pragma_user_version").fetchone()
    connection.close()
    assert (header, APPLICATION.to_bytes(4, "big")) == ((APPLICATION, len(MIGRATIONS)), b"S5GB")


def test_an_older_gradebook_is_migrated_step_by_step_with_all_that_is_in_it(version_1: Path) -> None:
    connection = connect(version_1, create=False, migrations=PLAYED)
    assert version_of(connection) == len(PLAYED)
    assert connection.execute("SELECT key, machine FROM results").fetchall() == [("key", "unknown")]
    assert connection.execute("SELECT key FROM passed").fetchall() == [("key",)]
    connection.close()
    again = connect(version_1, create=False, migrations=PLAYED)
    assert again.execute("SELECT count(*) FROM passed").fetchone() == (1,)
    again.close()


def test_a_migration_that_fails_changes_nothing(version_1: Path) -> None:
    broken = (*PLAYED, ("CREATE TABLE half (a)", "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(GradebookError, match="cannot be used: no such table: nowhere"):
        connect(version_1, create=False, migrations=broken)
    connection = connect(version_1, create=False)
    assert version_of(connection) == len(MIGRATIONS)
    assert connection.execute("SELECT name FROM sqlite_master WHERE name IN ('passed', 'half')").fetchall() == []
    connection.close()


def test_a_gradebook_of_a_newer_version_is_refused_and_left_alone(version_1: Path) -> None:
    connect(version_1, create=False, migrations=PLAYED).close()
    before = version_1.read_bytes()
    assert refused(version_1) == (
        f"{version_1} is a gradebook of version {len(PLAYED)},"
        f" and this s5-grade knows them up to version {len(MIGRATIONS)}:"
        " use the s5-grade that wrote it, or a newer one"
    )
    assert version_1.read_bytes() == before


# Reading what can't be written, or is in use


class Elsewhere:
    """A folder that everybody may reach, as a gradebook on a medium that nobody writes to is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "class.s5db"

    def locked(self) -> None:
        for entry in self.folder.iterdir():
            entry.chmod(0o444)
        self.folder.chmod(0o555)

    def as_nobody(self, look: Callable[[], object]) -> str:
        """Return what comes of looking without any right to write."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                try:
                    said = repr(look())
                except GradebookError as error:
                    said = str(error)
                os.write(write, said.encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return said


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Elsewhere(Path(folder))
        Path(folder).chmod(0o700)


def verdicts_of(path: Path) -> dict[str, str]:
    with Gradebook.read(path) as book:
        return {grade.student.id: grade.verdict for grade in book.class_report().grades}


def listed(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


LOOKED = {"anna": "pass", "bo": "waiting"}


def looked_at(path: Path) -> None:
    with Gradebook.open(path) as book:
        graded(begun(book, attempt("anna"), attempt("bo")), "anna", 1, report())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_gradebook_where_nothing_can_be_written_is_shown_and_takes_no_override(elsewhere: Elsewhere) -> None:
    looked_at(elsewhere.path)
    elsewhere.locked()
    path = elsewhere.path
    assert elsewhere.as_nobody(lambda: verdicts_of(path)) == repr(LOOKED)
    assert listed(elsewhere.folder) == ["class.s5db"]
    assert elsewhere.as_nobody(lambda: Gradebook.open(path, create=False)) == f"{path} {UNWRITABLE}"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_what_a_killed_run_left_in_its_log_is_shown_too(elsewhere: Elsewhere, tmp_path: Path) -> None:
    book = Gradebook.open(tmp_path / "class.s5db")
    graded(begun(book, attempt("anna"), attempt("bo")), "anna", 1, report())
    for name in ("class.s5db", "class.s5db-wal"):  # as a copy of both to a medium that is read only has them
        shutil.copyfile(tmp_path / name, elsewhere.folder / name)
    book.close()
    elsewhere.locked()
    assert elsewhere.as_nobody(lambda: verdicts_of(elsewhere.path)) == repr(LOOKED)
    assert listed(elsewhere.folder) == ["class.s5db", "class.s5db-wal"]


def test_a_gradebook_is_shown_while_a_run_writes_to_it(book: Gradebook, path: Path) -> None:
    begun(book, attempt("anna"), attempt("bo"))
    assert verdicts_of(path) == {"anna": "waiting", "bo": "waiting"}
    graded(book, "anna", 1, report())
    assert verdicts_of(path) == LOOKED


def test_a_gradebook_that_another_program_keeps_for_itself_is_shown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(reading, "BUSY_SECONDS", 0.01)
    looked_at(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("UPDATE results SET seconds = 2")
    assert verdicts_of(path) == LOOKED
    with Gradebook.read(path) as book:
        assert grades(book)["anna"].seconds == 2
    assert "is held by another program" in refused(path, create=False)
    holder.close()


def test_a_gradebook_that_is_only_looked_at_takes_no_change(path: Path, tmp_path: Path) -> None:
    looked_at(path)
    with Gradebook.read(path) as book, pytest.raises(GradebookError, match="cannot be written to"):
        book.override("anna", 1, "", "EL", NOW)
    assert listed(tmp_path) == [path.name]
    path.write_text("id,points\n" * 200)
    with pytest.raises(GradebookError, match=FOREIGN):
        Gradebook.read(path)
    with pytest.raises(GradebookError, match="there is no gradebook"):
        Gradebook.read(path / "none")


def test_a_gradebook_of_version_1_is_shown_and_left_as_it_is(version_1: Path) -> None:
    before = version_1.read_bytes()
    assert verdicts_of(version_1) == {"anna": "pass"}
    assert version_1.read_bytes() == before


# What stands from before


def standing(book: Gradebook) -> dict[str, tuple[str, bool]]:
    return {id: (grade.verdict, grade.earlier) for id, grade in grades(book).items()}


def test_results_stand_from_before_until_the_run_has_come_to_them(book: Gradebook) -> None:
    both = (attempt("anna"), attempt("bo"))
    graded(begun(book, *both), "anna", 1, report("fail"))
    graded(book, "bo", 1, report())
    assert standing(book) == {"anna": ("fail", False), "bo": ("pass", False)}
    begun(book, *both, again=True)
    assert standing(book) == {"anna": ("fail", True), "bo": ("pass", True)}
    book.submitted("anna", 1, "anna1", "sha anna1")
    assert standing(book)["anna"] == ("fail", True)
    book.record(Done("anna1", report(), 1.0))
    assert standing(book) == {"anna": ("pass", False), "bo": ("pass", True)}
    graded(book, "bo", 1, ungraded("internal"))
    assert standing(book)["bo"] == ("pass", True)  # it was to be graded again, and was not
    begun(book, *both)  # a run that takes what is known
    book.submitted("bo", 1, "bo1", "sha bo1")
    assert standing(book) == {"anna": ("pass", True), "bo": ("pass", False)}


def test_a_result_of_other_bytes_stands_only_until_these_are_read(book: Gradebook) -> None:
    graded(begun(book, attempt("anna")), "anna", 1, report())
    begun(book, attempt("anna"))
    assert standing(book)["anna"] == ("pass", True)
    book.submitted("anna", 1, "other", "sha other")
    assert standing(book)["anna"] == ("waiting", False)


def test_nothing_stands_of_another_place_or_under_other_rules(book: Gradebook) -> None:
    graded(begun(book, attempt("anna")), "anna", 1, report())
    begun(book, Attempt("anna", 1, "elsewhere/model.py", Nowhere()))
    assert standing(book)["anna"] == ("waiting", False)
    graded(book, "anna", 1, report())
    book.begin(
        Class("", (ANNA,), (Attempt("anna", 1, "elsewhere/model.py", Nowhere()),)),
        Course(RULES, Settings(seed=5)),
        attempt="latest",
        late=LatePolicy(),
        now=NOW,
    )
    assert standing(book)["anna"] == ("waiting", False)


# Restarts and kills


def finished(path: Path) -> ClassReport:
    """Return what comes out once a run goes through: it ties all, and records what is not known."""
    with Gradebook.open(path) as book:
        begin(book)
        for number in range(STUDENTS):
            if book.knows(key(number)):
                book.submitted(f"s{number:02}", 1, key(number), f"sha {number}")
            else:
                record(book, number)
        return book.class_report()


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> ClassReport:
    """What comes out of one run that nothing interrupts."""
    made = finished(tmp_path_factory.mktemp("straight") / "class.s5db")
    verdicts = [grade.verdict for grade in made.grades]
    assert verdicts == ["pass", "fail", "fail", "error"] * (STUDENTS // 4)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_results_and_restarts_in_between_change_nothing(
    path: Path, straight: ClassReport, seed: int
) -> None:
    chance = random.Random(seed)
    numbers = [*range(STUDENTS), *chance.choices(range(STUDENTS), k=5)]  # some of them twice
    chance.shuffle(numbers)
    book = Gradebook.open(path)
    begin(book)
    for number in numbers:
        record(book, number)
        if chance.random() < 0.2:
            book.close()
            book = Gradebook.open(path)
    made = book.class_report()
    book.close()
    assert made == straight


class Victim:
    """Processes that record results, and are killed at random moments."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, str(HERE / "gradebook_victim.py"), str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def killed(self, words: list[str], after: int, seconds: float) -> list[int]:
        """Start a run, kill it so long after so many results, and return the numbers that it had told as recorded."""
        assert self._process.stdin is not None
        print(*words, file=self._process.stdin, flush=True)
        child = int(self._line())
        told = []
        while len(told) < after and (line := self._line()) != "ended":
            told.append(int(line))
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        while (line := self._line()) != "ended":
            told.append(int(line))
        return told

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_nothing_that_was_recorded_is_lost_to_kills_at_random_moments(path: Path, straight: ClassReport) -> None:
    chance = random.Random(17)
    recorded: set[int] = set()
    victim = Victim(path)
    for kill in range(60):
        # Without end, so that the kill always comes in the middle; the first few come while the file is being made.
        wanted = [str(number) for number in chance.choices(range(STUDENTS), k=1000)]
        how = "begin" if not recorded or chance.random() < 0.3 else "go-on"
        recorded.update(victim.killed([how, *wanted], kill // 10, chance.random() * 0.01))
        with Gradebook.open(path) as book:
            assert {number for number in recorded if book.report(key(number)) is None} == set()
    victim.close()
    assert len(recorded) > STUDENTS // 2
    assert finished(path) == straight
