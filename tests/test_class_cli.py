"""`s5-grade class` and `s5-grade gradebook` as an instructor uses them, on a class of four, through real processes."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from grader import cli
from grader.classroom.gradebook import file, reading
from grader.classroom.types import ClassReport, Grade, LatePolicy, Student
from grader.cli.classroom import beside, code_of_class, starting_code

ROOT = Path(__file__).resolve().parents[1]
GOOD = (ROOT / "reference_model" / "model.py").read_text()
NO_DROPOUT = GOOD.replace("nn.Dropout(0.02)", "nn.Identity()").replace("nn.Dropout(", "nn.Identity(")
CLASS = {"ada": GOOD, "bob": NO_DROPOUT, "cyd": "def broken(:\n"}
NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
ROSTER = "id,name\nada,Ada Lovelace\nbob,Bob\ncyd,=Cyd\ndee,Dee\n"
GRADEBOOK_OF_CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Session 5 (123456),Other (7)
Points Possible,,,,,80,10
"Lovelace, Ada",11,ada,ada,One,,9
Bob,12,bob,bob,One,,8
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Grade the class once; return its folder, and the exit code."""
    folder = tmp_path_factory.mktemp("class")
    for name, source in CLASS.items():
        (folder / "submissions" / name).mkdir(parents=True)
        (folder / "submissions" / name / "model.py").write_text(source)
    (folder / "roster.csv").write_text(ROSTER)
    (folder / "canvas.csv").write_text(GRADEBOOK_OF_CANVAS)
    outputs = ["--csv", str(folder / "grades.csv"), "--jsonl", str(folder / "grades.jsonl")]
    outputs += ["--html", str(folder / "pages"), "--canvas", f"{folder / 'canvas.csv'}={folder / 'upload.csv'}"]
    return folder, run(folder, *outputs, "--assignment", "123456")


@pytest.fixture
def folder(graded: tuple[Path, int], tmp_path: Path) -> Path:
    """Return a copy of the graded class, to change at will."""
    return Path(shutil.copytree(graded[0], tmp_path / "class"))


def run(folder: Path, *options: str) -> int:
    roster = ["--roster", str(folder / "roster.csv")]
    return cli.run(["class", str(folder / "submissions"), *roster, "--sandbox", "auto", *options])


def gradebook(folder: Path, *options: str) -> int:
    return cli.run(["gradebook", str(folder / "submissions.gradebook.sqlite"), *options])


def rows(folder: Path, name: str = "grades.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_class_is_graded_whatever_is_wrong_with_some(graded: tuple[Path, int]) -> None:
    folder, code = graded
    assert code == 3  # one could not be graded
    found = {row["id"]: (row["name"], row["verdict"], row["final"]) for row in rows(folder)}
    assert found == {
        "ada": ("Ada Lovelace", "pass", "80"),
        "bob": ("Bob", "fail", "60"),
        "cyd": ("'=Cyd", "error", ""),
        "dee": ("Dee", "missing", ""),
    }
    lines = [json.loads(line) for line in (folder / "grades.jsonl").read_text().splitlines()]
    assert {line["id"]: line["parameters"] for line in lines} == {"cyd": None, "ada": 8932, "bob": 8932, "dee": None}
    assert len(list((folder / "pages" / "students").glob("*.html"))) == 3


def test_the_gradebook_of_canvas_has_its_column_filled(graded: tuple[Path, int]) -> None:
    assert (graded[0] / "upload.csv").read_text() == GRADEBOOK_OF_CANVAS.replace("One,,9", "One,80.00,9").replace(
        "One,,8", "One,60.00,8"
    )


def test_a_second_run_grades_nothing_and_tells_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 3
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == "grading: 3 of 3, 1 passed, 1 failed, 1 not gradable, 3 known already"
    assert out.startswith("Session 5")
    assert "4 students, 1 passed, 1 failed, 1 could not be graded, 1 handed in nothing\n" in out


def test_a_changed_submission_changes_one_grade_and_the_difference_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = folder / "submissions.gradebook.sqlite", folder / "after.sqlite"
    shutil.copy(before, after)
    (folder / "submissions" / "bob" / "model.py").write_text(GOOD)
    assert run(folder, "--gradebook", str(after)) == 3
    assert "3 of 3, 2 passed, 0 failed, 1 not gradable, 3 known already" in capsys.readouterr().err  # as ada's is
    assert cli.run(["class", "--diff", str(before), str(after)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == [
        "1 of 4 students have another grade: 1 better, 0 worse; 0 came, 0 went",
        "",
        "better: Bob, failed with 60 of 80 points → passed with 80 of 80 points",
        "  the submitted file is another one",
    ]
    assert cli.run(["class", "--diff", str(after), str(after)]) == 0


def test_a_person_may_decide_otherwise(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decided = ["--override", "bob", "--points", "75", "--reason", "oral exam", "--author", "G. Hopper"]
    assert gradebook(folder, *decided, "--csv", str(folder / "new.csv")) == 0
    found = {row["id"]: (row["score"], row["override"], row["final"]) for row in rows(folder, "new.csv")}
    assert found == {"ada": ("80", "", "80"), "bob": ("60", "75", "75"), "cyd": ("", "", ""), "dee": ("", "", "")}
    assert (
        gradebook(folder, "--override", "bob", "--points", "none", "--reason", "mistake", "--author", "G. Hopper") == 0
    )
    capsys.readouterr()
    assert gradebook(folder, "--history", "bob") == 0
    assert [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "75 points  G. Hopper: oral exam",
        "taken back  G. Hopper: mistake",
    ]
    assert gradebook(folder, "--history", "bib") == 2
    assert "has no student 'bib': did you mean 'bob'" in capsys.readouterr().err


def test_a_gradebook_in_another_programs_hands_is_shown_and_takes_no_override(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (file, reading):
        monkeypatch.setattr(module, "BUSY_SECONDS", 0.01)
    holder = sqlite3.connect(folder / "submissions.gradebook.sqlite", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("UPDATE results SET seconds = 1")
    assert gradebook(folder, "--csv", str(folder / "new.csv")) == 0
    assert {row["id"]: row["final"] for row in rows(folder, "new.csv")} == {
        "ada": "80",
        "bob": "60",
        "cyd": "",
        "dee": "",
    }
    capsys.readouterr()
    assert gradebook(folder, "--override", "bob", "--points", "75", "--reason", "oral", "--author", "G. Hopper") == 2
    assert "The override was not given: " in (told := capsys.readouterr().err)
    assert "is held by another program: close what has it open, or wait and try again" in told
    holder.close()


def test_a_group_has_one_grade_in_the_files_of_both_platforms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "submissions" / "pairone_11_900_model.py"
    place.parent.mkdir()
    place.write_text(GOOD)
    people = "id,name,email,group,canvas\na,Ada Lovelace,a@x.example,Pair One,11\nb,Bob,b@x.example,Pair One,12\n"
    (tmp_path / "roster.csv").write_text(people)
    (tmp_path / "canvas.csv").write_text(GRADEBOOK_OF_CANVAS)
    worksheet = "Identifier,Full name,Email address,Status,Group,Grade,Maximum grade,Grade can be changed\n" + "".join(
        f"Participant {number},{name},{name[0].lower()}@x.example,-,Pair One,{{}},100.00,Yes\n"
        for number, name in ((7, "Ada Lovelace"), (8, "Bob"))
    )
    (tmp_path / "moodle.csv").write_text(worksheet.format("", ""))
    outputs = [f"{tmp_path / name}.csv={tmp_path / name}-up.csv" for name in ("canvas", "moodle")]
    options = ["--canvas", outputs[0], "--assignment", "123456", "--moodle", outputs[1]]
    assert run(tmp_path, *options, "--csv", str(tmp_path / "grades.csv")) == 0
    assert "1 groups" not in (err := capsys.readouterr().err)
    assert "a Canvas download; 1 group hands in together, by the column 'group' of" in err
    canvas = GRADEBOOK_OF_CANVAS.replace("One,,9", "One,80.00,9").replace("One,,8", "One,80.00,8")
    assert (tmp_path / "canvas-up.csv").read_text() == canvas
    assert (tmp_path / "moodle-up.csv").read_text() == worksheet.format("80.00", "80.00")
    assert {row["id"]: (row["group"], row["final"]) for row in rows(tmp_path)} == {
        "a": ("Pair One", "80"),
        "b": ("Pair One", "80"),
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["class"], "Missing argument 'SUBMISSIONS': a folder or a zip archive."),
        (["class", "nowhere"], "nowhere"),
        (
            ["class", ".", "--diff", "a", "b"],
            "--diff compares two gradebooks and does nothing else: leave out SUBMISSIONS.",
        ),
        (
            ["class", "--diff", "a", "b", "--no-train", "--csv", "c"],
            "--diff compares two gradebooks and does nothing else: leave out --train, --csv.",
        ),
        (["class", "--diff", "old.sqlite", "new.sqlite"], "old.sqlite"),
        (["class", ".", "--assignment", "5"], "--assignment names a column of the file that --canvas is given."),
        (["class", ".", "--scale"], "--scale fits points to those of the file that --canvas or --moodle is given."),
        (["class", ".", "--late-most", "50"], "--late-grace and --late-most mean nothing without --late-per-day."),
        (["class", ".", "--canvas", "only-one.csv"], "'only-one.csv' is not IN=OUT"),
        (["class", ".", "--canvas", "none.csv=out.csv"], "none.csv: No such file or directory"),
        (["class", ".", "--csv", "no/such/folder.csv"], "no/such/folder.csv: there is no folder no/such"),
        (["class", ".", "--html", "pages"], "--html pages lies in .: name a folder that is no part of it."),
        (["class", ".", "--late-per-day", "nan"], "nan is not a number."),
        (["class", ".", "--late-grace", "inf"], "inf is not a number."),
        (["class", ".", "--timeout", "inf"], "inf is not a number."),
        (["class", ".", "--budget", "nan"], "nan is not a number."),
        (["class", ".", "--starter", "none.py"], "--starter none.py: there is no file 'none.py'"),
        (["gradebook", "none.sqlite"], "none.sqlite"),
        (
            ["gradebook", "x", "--history", "ada", "--csv", "c"],
            "--history shows the overrides of a student and writes nothing: leave out --csv.",
        ),
        (["gradebook", "x", "--override", "ada"], "--override needs --points, --reason and --author"),
        (["gradebook", "x", "--points", "5"], "belong to --override STUDENT"),
        (
            ["gradebook", "x", "--override", "ada", "--points", "many"],
            "'many' is neither a number of points nor 'none'.",
        ),
    ],
)
def test_a_wrong_command_line_is_told_before_any_work(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(words) == 2
    assert said in capsys.readouterr().err


def test_what_lies_beside_the_starting_code_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "submissions" / "ada").mkdir(parents=True)
    for place in ("starter.py", "solution.py", "submissions/ada/model.py"):
        (tmp_path / place).write_text(GOOD)
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "model.py").write_text(GOOD)
    (tmp_path / "given" / "util.py").write_text("")
    found = [starting_code(str(tmp_path / place), None) for place in ("starter.py", "given")]
    assert [list(code.files) for code in found if code is not None] == [["starter.py"], ["model.py", "util.py"]]


def test_each_folder_has_a_gradebook_of_its_own_and_a_download_that_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "lab.zip").mkdir()
    names = ("lab", "lab/", "lab.1", "lab.2", "2026.11.26", "lab.zip", "download.zip", "download.ZIP")
    assert [Path(beside(str(tmp_path / name))).name for name in names] == [
        "lab.gradebook.sqlite",
        "lab.gradebook.sqlite",
        "lab.1.gradebook.sqlite",
        "lab.2.gradebook.sqlite",
        "2026.11.26.gradebook.sqlite",
        "lab.zip.gradebook.sqlite",
        "download.gradebook.sqlite",
        "download.gradebook.sqlite",
    ]
    assert beside("/") == "/.gradebook.sqlite"


def test_a_platforms_file_that_cannot_be_filled_is_told_before_anything_is_graded(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "submissions.gradebook.sqlite").read_bytes()
    (folder / "submissions" / "ada" / "model.py").write_text(NO_DROPOUT)
    assert run(folder, "--canvas", f"{folder / 'canvas.csv'}={folder / 'new.csv'}", "--assignment", "Sesion 5") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith("Name the one that is meant, or its id, of: Session 5 (123456), Other (7).")
    assert (folder / "submissions.gradebook.sqlite").read_bytes() == before
    assert not (folder / "new.csv").exists()


def test_pages_of_who_is_gone_are_removed_and_that_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "roster.csv").write_text(ROSTER.replace("bob,Bob\n", ""))
    shutil.rmtree(folder / "submissions" / "bob")
    run(folder, "--html", str(folder / "pages"))
    assert capsys.readouterr().out.endswith("/index.html: 1 pages written, 2 kept, 1 removed\n")


def test_a_site_of_ones_own_is_no_place_for_pages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("mine")
    for command in (run, gradebook):
        assert command(folder, "--html", str(folder / "site")) == 2
        assert "index.html is there and was not written by s5-grade" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verdict", "marks", "code"),
    [
        ("fail", {}, 0),
        ("missing", {}, 0),
        ("error", {"error": "syntax"}, 3),
        ("error", {"error": "internal"}, 4),
        ("waiting", {}, 4),
        ("pass", {"earlier": True}, 4),
        ("pass", {"untrained": True}, 4),
    ],
)
def test_the_exit_code_says_whether_all_were_graded_by_this_run(verdict: Any, marks: dict[str, Any], code: int) -> None:
    passed = Grade(Student("ada"), "pass", 20.0)
    grades = (passed, Grade(Student("bob"), verdict, **marks))
    assert code_of_class(ClassReport("", "", "", "", NOW, "latest", LatePolicy(), 20.0, (), grades)) == code


def test_who_interrupts_a_run_is_told_how_it_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("grader.classroom.run.grade_class", interrupted)
    assert run(folder) == 130
    assert capsys.readouterr().err.splitlines()[-3:] == [
        "What is graded is kept: the same command goes on from there.",
        "",
        "s5-grade: interrupted",
    ]


def test_a_full_disk_is_told_with_the_file_that_did_not_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int, *_: object) -> None:
        os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fdopen", full)
    assert gradebook(folder, "--csv", str(folder / "new.csv")) == 4
    assert capsys.readouterr().err == f"s5-grade: No space left on device: {folder / 'new.csv'}\n"
    assert [path.name for path in folder.iterdir() if "new" in path.name] == []
