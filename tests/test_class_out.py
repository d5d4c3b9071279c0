"""The gradebook in the forms of others: Canvas, Moodle, a table, JSON lines."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.out import canvas, jsonl, moodle
from grader.classroom.out import csv as table
from grader.classroom.out.amounts import amount, decimal_mark
from grader.classroom.out.form import FormError, listed
from grader.classroom.out.inert import inert
from grader.classroom.out.pairing import plain_name
from grader.classroom.out.sheet import read_sheet
from grader.classroom.types import ClassReport, Grade, LatePolicy, Override, RuleOutcome, Student

MADE = datetime(2026, 11, 26, 9, 40, tzinfo=timezone.utc)
RULES = (
    RuleOutcome("dropout", "fail", 0, 20, "dropout with p=0 <drops> nothing"),
    RuleOutcome("linear", "pass", 20, 20, "no linear layer"),
)


def student(id: str, name: str = "", email: str = "", **platform: str) -> Student:
    return Student(id, name, email, platform=platform)


def grade(whose: Student, final: float | None, **rest: Any) -> Grade:
    return Grade(whose, "missing" if final is None else "fail", final, 80, final=final, **rest)


def report(*grades: Grade, max_score: float = 80, title: str = "Session 5") -> ClassReport:
    rules = ("dropout", "linear")
    return ClassReport(title, "rules.yaml", "ab" * 32, "1", MADE, "latest", LatePolicy(), max_score, rules, grades)


CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Quiz 1 (11),"Session 5, MNIST (12)",Current Score,Final Score (2026)
,,,,,,Manual Posting,,
    Points Possible,,,,,10.00,100.00,(read only),(read only)
"Doe, Jane",101,S1,jane,A,7.50,,75.0,75.0
"-Roe, Max",102,S2,max@x.example,A,,12.00,,
"Poe, ""Ed"" =1+1",103,S3,ed,B,3.00,EX,,
"Zed, Ann",104,S4,ann,B,,N/A,,
"Lee, Bo",105,S5,bo,B,,,,
"Nil, Una",106,S6,una,B,,41.00,,
"Student, Test",107,,0f3a,A,,,,
"""


def canvas_class() -> ClassReport:
    return report(
        grade(student("doejane", canvas="101"), 60),
        grade(student("x9", "Somebody Else", sis="S2"), 33.335),
        grade(student("ed", login="ED"), 50),
        grade(student("ann", email="ann@x.example", canvas="104"), 50),
        grade(student("u5", "Bo Lee"), 80),
        grade(student("una", canvas="106"), None),
        grade(student("gone", "Gone Away"), 10),
    )


def test_canvas_gradebook_gets_one_column_and_keeps_the_rest() -> None:
    found = canvas.filled(CANVAS.encode(), canvas_class(), file="g.csv")
    expected = CANVAS.replace("A,7.50,,75", "A,7.50,60.00,75").replace(",12.00,", ",33.34,")
    assert found.data.decode() == expected.replace("bo,B,,,,", "bo,B,,80.00,,")
    assert found.changed == 3
    assert found.notes == (
        "the column is Session 5, MNIST (12)",
        "found by their name alone, please check: Bo Lee (u5)",
        "in the class, but not in g.csv: Gone Away (gone)",
        "without points, left as they were: una",
        "rounded to 2 decimals, halves up",
        'excused or not assigned, left as they were: Poe, "Ed" =1+1; Zed, Ann',
        "Canvas gives 100.00 points and the rules 80: nothing was scaled",
    )


def test_canvas_points_are_scaled_to_those_of_the_assignment() -> None:
    found = canvas.filled(CANVAS.encode(), canvas_class(), "12", scale=True)
    rows = list(csv.reader(io.StringIO(found.data.decode())))
    assert [row[6] for row in rows] == [
        "Session 5, MNIST (12)",
        "Manual Posting",
        "100.00",
        "75.00",
        "41.67",
        "EX",
        "N/A",
        "100.00",
        "41.00",
        "",
    ]
    assert "scaled: the rules' 80 points are 100.00" in found.notes


def test_canvas_gradebook_that_says_it_already_does_not_change() -> None:
    once = canvas.filled(CANVAS.encode(), canvas_class())
    again = canvas.filled(once.data, canvas_class())
    assert (again.data, again.changed) == (once.data, 0)


def test_points_of_before_and_those_without_training_are_told_where_they_are_written() -> None:
    found = canvas.filled(CANVAS.encode(), report(grade(student("doejane", canvas="101"), 60, earlier=True)))
    assert "with a result from before, as they were not graded again yet: doejane" in found.notes
    found = canvas.filled(CANVAS.encode(), report(grade(student("doejane", canvas="101"), 60, untrained=True)))
    assert "with the points of a model that was not trained yet: doejane" in found.notes


def test_canvas_form_is_kept_to_the_byte() -> None:
    rows = (
        "LastName;FirstName;ID;SIS Login ID;Section;Session 5 (12)",
        '    Points Possible;;;;;"80,00"',
        'Doe;Jane;101;j;A;"1,50"',
    )
    data = b"\xef\xbb\xbf" + "\r\n".join(rows).encode()
    found = canvas.filled(data, report(grade(student("j", "Jane Doe"), 7.5)))
    assert found.data == data.replace(b"1,50", b"7,50")


@pytest.mark.parametrize(
    ("assignment", "title", "column"),
    [
        ("11", "", 5),
        ("quiz 1", "", 5),
        ("Quiz 1 (11)", "", 5),
        ("MNIST", "", 6),
        (None, "Session 5", 6),
        (None, "quiz", 5),
    ],
)
def test_canvas_assignment_is_found(assignment: str | None, title: str, column: int) -> None:
    found = canvas.filled(CANVAS.encode(), report(grade(student("j", canvas="101"), 1), title=title), assignment)
    rows = list(csv.reader(io.StringIO(found.data.decode())))
    assert rows[3][column] == "1.00"


HEAD = "Student,ID,SIS Login ID,Section,Session 5 (12),Session 5 b (13),Session 50 (14)\n"


@pytest.mark.parametrize(
    ("text", "options", "line", "message", "fix"),
    [
        ("", {}, 0, "it is empty", "Download it again"),
        ("a,b\n1,2\n", {}, 1, "its heading is not that of a gradebook of Canvas", "Export it in Canvas"),
        (HEAD, {"assignment": "Session"}, 1, "3 assignments are called 'Session'", "Session 5 (12), Session 5 b (13)"),
        (HEAD, {"assignment": "13 b"}, 1, "no assignment is called '13 b'", "Session 50 (14)"),
        (HEAD + "Doe,1\n", {}, 2, "the row has 2 cells and the heading 7", "Export it in Canvas"),
        (HEAD + "Doe,9,x,A,,,\n", {}, 0, "it names no student of the class", "another course"),
        (HEAD + 'Doe,"1,x,A,,,\n', {}, 2, "a quote opens and does not close", "Download it again"),
        (HEAD + "J,1,x,A,,,\n", {"scale": True}, 0, "there is no number of points to scale to", "without scaling"),
        (HEAD + "J\xe9,1,x,A,,,\n", {}, 2, "it is not UTF-8", "CSV UTF-8"),
    ],
)
def test_canvas_file_that_is_none_is_told(
    text: str, options: dict[str, Any], line: int, message: str, fix: str
) -> None:
    with pytest.raises(FormError) as found:
        canvas.filled(text.encode("latin-1"), report(grade(student("j", canvas="1"), 1)), file="g.csv", **options)
    assert (found.value.file, found.value.line) == ("g.csv", line)
    assert message in found.value.message
    assert fix in found.value.fix
    assert str(found.value).startswith(f"g.csv:{line}: " if line else "g.csv: ")


@pytest.mark.parametrize(
    ("students", "note"),
    [
        ([student("a", "Jane Doe"), student("b", "jane  doe")], "left out, as more than one row or student"),
        ([student("a", canvas="1"), student("b", canvas="1")], "left out, as more than one row or student"),
        ([student("a", canvas="1"), student("b", sis="S1")], "left out, as more than one row or student"),
        ([student("a", "Jane Doe", canvas="99")], None),  # a namesake
        ([student("a", "Ann Twin")], "left out, as more than one row or student"),
    ],
)
def test_nobody_gets_a_grade_that_could_be_anothers(students: list[Student], note: str | None) -> None:
    text = (
        'Student,ID,SIS User ID,SIS Login ID,Section,Session 5 (12)\n"Doe, Jane",1,S1,j,A,\n'
        '"Twin, Ann",2,S2,k,A,\n"Twin, Ann",3,S3,l,A,\n"Sure, Ly",4,S4,m,A,\n'
    )
    sure = grade(student("sure", canvas="4"), 5)
    found = canvas.filled(text.encode(), report(sure, *(grade(one, 70) for one in students)))
    assert found.data.decode() == text.replace("m,A,", "m,A,5.00")
    assert [one for one in found.notes if one.startswith("left out")] == [
        one for one in found.notes if note and note in one
    ]


MOODLE = """\
Identifier,"Full name","Email address",Status,Grade,"Maximum Grade","Grade can be changed",\
"Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 11","Jane Doe",jane@x.example,"Submitted for grading",,100.00,Yes,"Monday, 1 June 2026, 9:00 AM",-,
"Participant 12","=Max Roe",max@x.example,"Submitted for grading",5.00,100.00,No,-,-,
"Participant 13","Ed Poe",ed@x.example,"Submitted for grading",,100.00,Yes,-,-,"<p>come, see me</p>"
"Participant 14","Ann Zed",ann@x.example,"No submission",,100.00,Yes,-,-,
"""
TOLD = "s5-grade: not passed; dropout: dropout with p=0 &lt;drops&gt; nothing"


def moodle_class() -> ClassReport:
    return report(
        grade(student("j", moodle="11"), 60, headline="dropout with p=0 <drops> nothing", rules=RULES),
        grade(student("m", email="MAX@x.example"), 70),
        grade(student("ed", "Ed Poe"), 33),
        grade(student("ann", moodle="14"), None),
    )


def test_moodle_worksheet_gets_grades_and_feedback() -> None:
    found = moodle.filled(MOODLE.encode(), moodle_class(), file="w.csv")
    expected = MOODLE.replace('grading",,100.00,Yes,"Mon', 'grading",60.00,100.00,Yes,"Mon')
    expected = expected.replace('9:00 AM",-,\n', f'9:00 AM",-,{TOLD}\n')
    assert found.data.decode() == expected.replace('grading",,100.00,Yes,-', 'grading",33.00,100.00,Yes,-')
    assert found.notes == (
        "found by their name alone, please check: Ed Poe (ed)",
        "without points, left as they were: ann",
        "Moodle says that their grade can't be changed, left as they were: m",
        "feedback of a person stands there, and was left: Ed Poe (ed)",
    )
    again = moodle.filled(found.data, moodle_class())
    assert (again.data, again.changed) == (found.data, 0)


def test_moodle_feedback_of_ours_is_replaced_and_can_be_left_out() -> None:
    stale = MOODLE.replace('9:00 AM",-,', '9:00 AM",-,"s5-grade: old"')
    assert f'-,"{TOLD}"' in moodle.filled(stale.encode(), moodle_class()).data.decode()
    assert "s5-grade" not in moodle.filled(MOODLE.encode(), moodle_class(), comments=False).data.decode()


def test_moodle_worksheet_of_another_language_is_known_by_what_stands_in_it() -> None:
    text = (
        "\ufeffID;Vollständiger Name;E-Mail-Adresse;Status;Bewertung;Bestwertung;Bewertung kann geändert werden;"
        "Zuletzt geändert (Abgabe);Zuletzt geändert (Bewertung);Feedback als Kommentar\n"
        "Teilnehmer/in11;Jane Doe;jane@x.example;Abgegeben;;10,00;Ja;-;-;\n"
        "Teilnehmer/in12;Max Roe;max@x.example;Abgegeben;1,50;10,00;Nein;-;-;\n"
    )
    found = moodle.filled(text.encode(), moodle_class(), scale=True)
    assert found.data.decode() == text.replace(";;10,00;Ja;-;-;", f';7,50;10,00;Ja;-;-;"{TOLD}"')
    assert "scaled: the rules' 80 points are 10.00" in found.notes


def test_moodle_grade_above_the_maximum_is_told() -> None:
    found = moodle.filled(MOODLE.replace("100.00", "50.00").encode(), moodle_class())
    assert "more than the maximum grade, which Moodle will not take: ask for scaling: j" in found.notes


@pytest.mark.parametrize(
    ("text", "line", "message", "fix"),
    [
        (MOODLE.splitlines()[0], 0, "no row of a participant", "Download grading worksheet"),
        (MOODLE.replace("Maximum Grade", "Scale"), 1, "not recognised", "Grade in points"),
        (MOODLE.replace("Participant 12", "Max"), 3, "the identifier has no number", "Download"),
        (MOODLE.replace(",No,", ",vielleicht,"), 3, "whether the grade can be changed", "Moodle set to English"),
        (MOODLE.replace("Grade,", "Note,").replace("100.00", "?"), 1, "not recognised", "Moodle set to English"),
        (MOODLE + "Participant 15,x\n", 6, "the row has 2 cells and the heading 10", "Download"),
        (MOODLE.replace("@x.", "@y.").replace("pant 1", "pant 2").replace("Ed Poe", "E"), 0, "no student", "another"),
    ],
)
def test_moodle_file_that_is_none_is_told(text: str, line: int, message: str, fix: str) -> None:
    with pytest.raises(FormError) as found:
        moodle.filled(text.encode(), moodle_class(), file="w.csv")
    assert (found.value.file, found.value.line) == ("w.csv", line)
    assert message in found.value.message
    assert fix in found.value.fix


def test_moodle_feedback_names_no_reason_of_the_course() -> None:
    override = Override(70, "copied from Bob", "G. Hopper", MADE)
    text = moodle.feedback_of(grade(student("j"), 70, penalty=8, override=override, headline="<b>\x1b[31m"))
    assert text == "s5-grade: &lt;b&gt;\\x1b[31m; handed in late: 8 points less; the points were set by hand"


HOSTILE = ("=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "a\x00b\x1b[31m", "\u202eevil")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_a_formula(text: str) -> None:
    assert inert(text)[0] not in "=+-@\t\r\n"
    assert inert(text).isprintable()


def test_inert_leaves_text_that_is_harmless() -> None:
    assert [inert(text) for text in ("", "Zoë", "2+2", "a=b", "007")] == ["", "Zoë", "2+2", "a=b", "007"]


def test_table_holds_numbers_as_numbers_and_texts_inert() -> None:
    override = Override(70, "=oral", "@me", MADE)
    one = grade(
        Student("-5", "=cmd|' /C calc'!A0", "a@x.example", "A", group="=7"), 70.25, override=override, penalty=1.5,
        rules=RULES, headline="a,\nb", attempt=2, attempts=3, submitted=MADE, late_seconds=60.0, parameters=8932,
        accuracy=99.21, sha256="ab", path="+x/model.py", earlier=True, late=True, untrained=True,
    )  # fmt: skip
    data = table.render(report(one, grade(student("b"), None)))
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert rows[0] == {
        "id": "'-5",
        "name": "'=cmd|' /C calc'!A0",
        "email": "a@x.example",
        "section": "A",
        "group": "'=7",
        "verdict": "fail",
        "score": "70.25",
        "penalty": "1.5",
        "final": "70.25",
        "max": "80",
        "override": "70",
        "override_reason": "'=oral",
        "override_author": "'@me",
        "override_at": "2026-11-26T09:40:00+00:00",
        "headline": "a,\\x0ab",
        "attempt": "2",
        "attempts": "3",
        "submitted": "2026-11-26T09:40:00+00:00",
        "late": "yes",
        "late_seconds": "60",
        "untrained": "yes",
        "from_before": "yes",
        "parameters": "8932",
        "accuracy": "99.21",
        "sha256": "ab",
        "path": "'+x/model.py",
        "rule dropout": "fail",
        "rule linear": "pass",
    }
    assert [rows[1][name] for name in ("id", "verdict", "final", "override", "rule linear")] == [
        "b",
        "missing",
        "",
        "",
        "",
    ]


def test_json_lines_hold_what_is_documented() -> None:
    lines = jsonl.render(
        report(grade(student("j", "x\n\u2028\x1b", sis="S1"), 60, rules=RULES), grade(student("b"), None))
    )
    assert lines.isascii()
    assert lines.count("\n") == 2
    first, second = map(json.loads, lines.splitlines())
    docs = Path(__file__).resolve().parents[1] / "docs" / "class-outputs.md"
    rows = [row for row in (jsonl.__doc__ or "").splitlines() if row.startswith("| ")]
    assert not docs.exists() or [row for row in rows if row not in docs.read_text("utf-8")] == []
    documented = [word.strip("`") for row in (jsonl.__doc__ or "").splitlines() if row.startswith("| `")
                  for word in row.split("|")[1].replace(",", " ").split()]  # fmt: skip
    assert sorted(first) == sorted(second) == sorted(documented)
    assert (first["name"], first["platform"], first["final"]) == ("x\n\u2028\x1b", {"sis": "S1"}, 60)
    assert first["rules"]["dropout"] == {
        "status": "fail", "points": 0, "max_points": 20, "message": "dropout with p=0 <drops> nothing"
    }  # fmt: skip
    assert (second["final"], second["override"]) == (None, None)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=2, max_size=3)))
def test_any_sheet_comes_back_as_it_was(rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    sheet = read_sheet(buffer.getvalue().encode(), "f")
    assert [[cell.text for cell in row.cells] for row in sheet.rows] == [["a", "b"], *rows]
    assert sheet.with_cells({}) == buffer.getvalue().encode()
    assert [row.line for row in sheet.rows][:2] == [1, 2][: len(sheet.rows)]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_file_is_read_or_refused(text: str) -> None:
    try:
        sheet = read_sheet(text.encode(), "f")
    except FormError:
        return
    assert sheet.with_cells({}).decode("utf-8-sig") == text.removeprefix("\ufeff")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_a_cell_that_is_written_is_read_again(text: str) -> None:
    sheet = read_sheet(b"a,b\nc,d\n", "f")
    again = read_sheet(sheet.with_cells({(1, 1): text}), "f")
    assert [[cell.text for cell in row.cells] for row in again.rows] == [["a", "b"], ["c", text]]


def test_numbers_are_read_with_either_mark() -> None:
    assert [str(amount(text)) for text in ("1", "1.50", "-1,5", "1,000.5", "", "٣")] == [
        "1",
        "1.50",
        "-1.5",
        *["None"] * 3,
    ]
    assert [decimal_mark(texts) for texts in (["1,5", "a"], ["1.5"], [])] == [",", ".", "."]


def test_names_are_compared_however_they_are_written() -> None:
    assert {plain_name(name) for name in ("Doe, Jane", "jane  DOE", "Jane Doe")} == {"jane doe"}


def test_long_lists_of_names_are_cut() -> None:
    assert listed([f"n{number}\n" for number in range(100)]).endswith("n59\\x0a and 40 more")
