"""What is found in downloads of every layout, whose it is, and all that can be wrong with a class."""

from __future__ import annotations

import io
import os
import random
import stat
import struct
import time
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from grader.classroom.intake import IntakeError, handed, read_class
from grader.classroom.intake.archive import Limits
from grader.classroom.intake.canvas import Part, attempts, names, plain_name
from grader.classroom.intake.times import moment
from grader.classroom.types import Class, Student
from grader.manifest import Submission, SubmissionError

MODEL = b"class Net(nn.Module):\n    pass\n"
HELPER = b"x = 1\n"
UTC = timezone.utc


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC-2")  # two hours ahead
    time.tzset()
    return tmp_path


@pytest.fixture(autouse=True, scope="module")
def _zone_as_before() -> Any:
    yield
    time.tzset()


NO_SUBMISSION = "no Python file, notebook, zip file or folder"


def put(*paths: str, data: bytes = MODEL) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(data)


def zipped(entries: dict[str, bytes] | list[tuple[str | zipfile.ZipInfo, bytes]], method: int = 8) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items() if isinstance(entries, dict) else entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def sheet(*lines: str, file: str = "roster.csv") -> str:
    Path(file).write_text("".join(f"{line}\n" for line in lines))
    return file


def students(found: Class) -> list[tuple[str, str, dict[str, str]]]:
    return [(student.id, student.name, student.platform) for student in found.students]


def handed_in(found: Class) -> list[tuple[str, int, str, str, list[str]]]:
    """Return student, number and path of each attempt, the file with the model or the error, and all files."""
    rows = []
    for attempt in found.attempts:
        try:
            submission = attempt.source.read()
        except SubmissionError as error:
            submission = Submission(error.code, "", error.code, {})
        assert (submission.path, submission.folder) == (submission.entry, "")
        rows.append((attempt.student, attempt.number, attempt.path, submission.entry, sorted(submission.files)))
    return rows


def unmatched(found: Class) -> list[tuple[str, str]]:
    return [(one.path, one.reason) for one in found.unmatched]


def refusal(found: Class, index: int = 0) -> tuple[str, str, str]:
    with pytest.raises(SubmissionError) as caught:
        found.attempts[index].source.read()
    return caught.value.code, caught.value.message, caught.value.fix


def problems(*arguments: str) -> list[str]:
    with pytest.raises(IntakeError) as caught:
        read_class(*arguments)
    return str(caught.value).split("\n")


def of_zip(data: bytes) -> tuple[str, str, str]:
    """Return what is wrong with a student's zip file."""
    put("class/alice.zip", data=data)
    return refusal(read_class("class"))


# Layouts


def test_a_folder_for_each_student() -> None:
    put("class/alice/model.py", "class/bob/src/net.py")
    put("class/bob/src/util.py", "class/bob/notes.txt", data=HELPER)
    found = read_class("class")
    assert found.layout == "a folder for each student"
    assert students(found) == [("alice", "", {}), ("bob", "", {})]
    assert handed_in(found) == [
        ("alice", 1, "class/alice", "model.py", ["model.py"]),
        ("bob", 1, "class/bob", "src/net.py", ["src/net.py", "src/util.py"]),
    ]
    assert unmatched(found) == []


def test_the_same_files_are_the_same_submission_wherever_they_lie() -> None:
    put("class/alice/model.py", "class/bob/model.py")
    put("class/carol.zip", data=zipped({"model.py": MODEL}))
    put("canvas/doe_1_2_model-1.py")
    expected = Submission("model.py", "", "model.py", {"model.py": MODEL})
    assert [attempt.source.read() for attempt in read_class("class").attempts] == [expected] * 3
    assert read_class("canvas").attempts[0].source.read() == expected


def test_attempts_are_subfolders_that_can_be_nothing_else() -> None:
    put(*(f"class/alice/attempt_{number}/model.py" for number in (2, 10)), "class/bob/1/model.py", "class/bob/2/net.py")
    put("class/carol/1/model.py", "class/dave/1/model.py", "class/dave/3/util.py", data=HELPER)
    put("class/carol/1/model.py", "class/dave/1/model.py", "class/erin/v2/model.py", "class/erin/model.py")
    assert handed_in(read_class("class")) == [
        ("alice", 1, "class/alice/attempt_2", "model.py", ["model.py"]),
        ("alice", 2, "class/alice/attempt_10", "model.py", ["model.py"]),
        ("bob", 1, "class/bob/1", "model.py", ["model.py"]),
        ("bob", 2, "class/bob/2", "net.py", ["net.py"]),
        ("carol", 1, "class/carol", "1/model.py", ["1/model.py"]),
        ("dave", 1, "class/dave", "1/model.py", ["1/model.py", "3/util.py"]),
        ("erin", 1, "class/erin", "ambiguous", []),
    ]


def test_a_canvas_download() -> None:
    put("class/doejane_123_1001_model.py", "class/roejohn_LATE_124_1010_my_net-2.py", "class/anon_aB3de_1011_model.py")
    put("class/LATE_anon_xyz12_1012_model.py", "class/müller_77_1013_model.py")
    put("class/doejane_123_1002_utils.py", data=HELPER)
    put("class/smith_125_text.html", "class/smith_LATE_126_link.html", "class/starter/model.py", "class/solution.py")
    found = read_class("class")
    assert found.layout == "a Canvas download"
    assert students(found) == [
        ("anon_aB3de", "", {}),
        ("anon_xyz12", "", {}),
        ("123", "doejane", {"canvas": "123"}),
        ("77", "müller", {"canvas": "77"}),
        ("124", "roejohn", {"canvas": "124"}),
    ]
    assert handed_in(found) == [
        ("anon_aB3de", 1, "class/anon_aB3de_1011_model.py", "model.py", ["model.py"]),
        ("anon_xyz12", 1, "class/LATE_anon_xyz12_1012_model.py", "model.py", ["model.py"]),
        ("123", 1, "class/doejane_123_*", "model.py", ["model.py", "utils.py"]),
        ("77", 1, "class/müller_77_1013_model.py", "model.py", ["model.py"]),
        ("124", 1, "class/roejohn_LATE_124_1010_my_net-2.py", "my_net.py", ["my_net.py"]),
    ]
    assert [attempt.late for attempt in found.attempts] == [False, True, False, False, True]
    assert {(attempt.submitted, attempt.time_source) for attempt in found.attempts} == {(None, "")}
    assert unmatched(found) == [
        ("class/smith_125_text.html", "text that was typed into Canvas, no file"),
        ("class/smith_LATE_126_link.html", "a link, no file"),
        ("class/solution.py", "not named as Canvas names what was handed in"),
        ("class/starter", "not named as Canvas names what was handed in"),
    ]


def part(number: int, name: str) -> Part:
    return Part(f"doe_1_{number}_{name}", "1", "doe", False, number, name)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([(1, "model.py"), (2, "utils.py")], [["model.py", "utils.py"]]),
        ([(1, "model-1.py")], [["model.py"]]),
        ([(1, "model.py"), (90, "model-1.py")], [["model.py"], ["model.py"]]),
        (
            [(1, "model.py"), (2, "a.py"), (90, "b.py"), (91, "model-1.py"), (92, "a-1.py")],
            [["a.py", "model.py"], ["a.py", "b.py", "model.py"]],
        ),
        ([(1, "model.py"), (50, "model-1.py"), (90, "model-2.py")], [["model.py"], ["model.py"], ["model.py"]]),
        ([(1, "task-1.py"), (2, "task-2.py")], [["task-1.py", "task-2.py"]]),
    ],
)
def test_files_of_canvas_are_parted_into_attempts(files: list[tuple[int, str]], expected: list[list[str]]) -> None:
    parts = [part(number, name) for number, name in files]
    assert [sorted(names(attempt)) for attempt in attempts(parts)] == expected


def test_names_that_canvas_changed() -> None:
    uuid = "0b7f3c2a-1d2e-4f50-8a9b-0123456789ab"
    changed = {
        "model-1.py": "model.py",
        f"model-{uuid}.py": "model.py",
        "a-12.tar.gz": "a.tar.gz",
        "net-v1.py": "net-v1.py",
    }
    assert {name: plain_name(name) for name in changed} == changed


def test_a_moodle_download_with_folders() -> None:
    put("class/Jane Doe_11_assignsubmission_file_/model.py", "class/Zoë Roe_12_assignsubmission_file/sub/net.py")
    put(
        "class/Jane Doe_11_assignsubmission_onlinetext_/onlinetext.html",
        "class/Default group_assignsubmission_file_/a.py",
    )
    found = read_class("class")
    assert found.layout == "a Moodle download"
    assert students(found) == [
        ("Default group", "Default group", {}),
        ("11", "Jane Doe", {"moodle": "11"}),
        ("12", "Zoë Roe", {"moodle": "12"}),
    ]
    assert handed_in(found) == [
        ("Default group", 1, "class/Default group_assignsubmission_file_", "a.py", ["a.py"]),
        ("11", 1, "class/Jane Doe_11_assignsubmission_file_", "model.py", ["model.py"]),
        ("12", 1, "class/Zoë Roe_12_assignsubmission_file", "sub/net.py", ["sub/net.py"]),
    ]
    assert unmatched(found) == [
        (
            "class/Jane Doe_11_assignsubmission_onlinetext_",
            "a part of the kind 'onlinetext', which holds no handed-in file",
        )
    ]


def test_a_moodle_download_without_folders() -> None:
    put("class/Jane Doe_11_assignsubmission_file_model.py", "class/Participant_12_assignsubmission_file_my_net.ipynb")
    put("class/Jane Doe_11_assignsubmission_file_my_utils.py", data=HELPER)
    put("class/Jane Doe_11_assignsubmission_onlinetext_onlinetext.html")
    found = read_class("class")
    assert handed_in(found) == [
        ("11", 1, "class/Jane Doe_11_assignsubmission_file_*", "model.py", ["model.py", "my_utils.py"]),
        ("12", 1, "class/Participant_12_assignsubmission_file_my_net.ipynb", "my_net.ipynb", ["my_net.ipynb"]),
    ]
    assert [path for path, _ in unmatched(found)] == ["class/Jane Doe_11_assignsubmission_onlinetext_onlinetext.html"]


def test_checkouts_are_their_working_trees() -> None:
    for name in ("s5-alice", "s5-bo-b"):
        put(f"class/{name}/model.py", f"class/{name}/.git/config", f"class/{name}/.git/hooks/evil.py")
    found = read_class("class")
    assert found.layout == "a git checkout for each student"
    assert handed_in(found) == [
        ("alice", 1, "class/s5-alice", "model.py", ["model.py"]),
        ("bo-b", 1, "class/s5-bo-b", "model.py", ["model.py"]),
    ]
    assert {(attempt.submitted, attempt.time_source) for attempt in found.attempts} == {(None, "")}


@pytest.mark.parametrize("inside", ["", "download/", "s5 submissions/"])
def test_a_download_as_a_zip_file(inside: str) -> None:
    entries = {
        f"{inside}alice/model.py": MODEL,
        f"{inside}bob.zip": zipped({"src/net.py": MODEL}),
        "__MACOSX/._x": b"x",
    }
    if inside == "s5 submissions/":
        entries = {f"{inside}doe_1_2_model.py": MODEL, f"{inside}roe_2_3_hw.zip": zipped({"src/net.py": MODEL})}
    put("download.zip", data=zipped(entries))
    found = read_class("download.zip")
    assert [(row[0], *row[2:]) for row in handed_in(found)] == (
        [
            ("1", f"download.zip/{inside}doe_1_2_model.py", "model.py", ["model.py"]),
            ("2", f"download.zip/{inside}roe_2_3_hw.zip", "src/net.py", ["src/net.py"]),
        ]
        if inside == "s5 submissions/"
        else [
            ("alice", f"download.zip/{inside}alice", "model.py", ["model.py"]),
            ("bob", f"download.zip/{inside}bob.zip", "src/net.py", ["src/net.py"]),
        ]
    )


def test_the_folder_around_a_platform_s_download() -> None:
    put("class/CS5 lab/doe_1_2_model.py", "more/s5-submissions/s5-ann/m.py", "more/s5-submissions/s5-ann/.git/HEAD")
    assert handed_in(read_class("class")) == [("1", 1, "class/CS5 lab/doe_1_2_model.py", "model.py", ["model.py"])]
    assert handed_in(read_class("more")) == [("s5-ann", 1, "more/s5-submissions/s5-ann", "m.py", ["m.py"])]


def test_zip_files_beside_other_files() -> None:
    put("class/alice/hw.zip", data=zipped({"model.py": MODEL, "pack/a.py": HELPER}))
    put("class/alice/util.py", "class/bob/model.py", data=HELPER)
    put("class/bob/hw.zip", data=zipped({"model.py": MODEL}))
    found = read_class("class")
    submission = found.attempts[0].source.read()
    assert submission.files == {"model.py": MODEL, "util.py": HELPER, "pack/a.py": HELPER}
    assert refusal(found, 1) == (
        "ambiguous",
        "model.py is there twice: in the submission and in hw.zip",
        "Hand in one of the two.",
    )


def test_the_file_with_the_model_may_be_named() -> None:
    put("class/alice/one.py", "class/alice/two.py", "class/bob/one.py")
    found = read_class("class", file="two.py")
    assert found.attempts[0].source.read().entry == "two.py"
    assert refusal(found, 1) == ("missing", "there is no file 'two.py' in the submission", "")


def test_a_single_file_is_the_submission_whatever_it_is_called() -> None:
    put("class/a_1_1_test_me.py", "class/b_2_2_report.pdf", "class/c_3_3_hw.rar")
    put("class/d_4_4_model.py", data=b"")
    found = read_class("class")
    assert found.attempts[0].source.read().entry == "test_me.py"
    assert [refusal(found, index) for index in (1, 2, 3)] == [
        ("file-type", "report.pdf is neither a Python file (.py) nor a notebook (.ipynb)", ""),
        (
            "file-type",
            "hw.rar is an archive of a kind that is not opened",
            "Hand in the files themselves, or one zip file of them.",
        ),
        ("empty", "model.py is empty", "Save the file, then grade it again."),
    ]


# What is no submission


def test_what_is_no_submission_is_listed_or_known_to_be_none() -> None:
    put("class/alice/model.py", "class/README.md", "class/.DS_Store", "class/__MACOSX/x.py", "class/Thumbs.db")
    put("class/starter.py", "class/grades.csv", "class/venv/lib.py", "secret/model.py")
    Path("class/empty").mkdir()
    put("class/empty/.keep")
    Path("class/linked").symlink_to(Path("secret").resolve())
    Path("class/alice/more.py").symlink_to(Path("secret/model.py").resolve())
    found = read_class("class")
    assert handed_in(found) == [("alice", 1, "class/alice", "model.py", ["model.py"])]
    assert unmatched(found) == [
        ("class/empty", "a folder with nothing in it that can be seen"),
        ("class/grades.csv", "no Python file, notebook, zip file or folder"),
        ("class/linked", "a symbolic link, which is not followed"),
        ("class/starter.py", "a file by itself: whose it is, a roster can tell"),
        ("class/venv", "a folder of a kind that holds no submission"),
    ]


def test_nothing_to_grade() -> None:
    put("class/model.py", "mixed/doe_1_2_model.py", "mixed/Jane_1_assignsubmission_file_model.py", "file.py")
    Path("none").mkdir()
    looked = (
        "Looked for a folder, a zip file or a git checkout for each student, or names as Canvas and Moodle give them "
        "in a download."
    )
    way_out = (
        "Move each student's files into a folder of their own, or say whose they are in a roster with a column 'path'. "
        "To grade a single submission, leave out 'class'."
    )
    assert problems("none") == [f"none: no submission was found. {looked}", way_out]
    assert problems("class") == [
        f"class: no submission was found. {looked}",
        "Found, but no submission:",
        "  class/model.py: a file by itself: whose it is, a roster can tell",
        way_out,
    ]
    assert problems("mixed") == [
        (
            "names of Canvas (doe_1_2_model.py) and of Moodle (Jane_1_assignsubmission_file_model.py) in one folder. "
            "Put each download into a folder of its own."
        )
    ]
    assert problems("absent") == ["there is no file and no folder 'absent'"]
    assert problems("file.py") == [
        (
            "file.py is damaged, or no zip file; expected a folder or a zip file with submissions. "
            "To grade a single submission, leave out 'class'."
        )
    ]


def test_problems_are_harmless_where_they_are_printed() -> None:
    put("class/\x1b[2J\nfake.py")
    assert problems("class")[2] == "  class/\\x1b[2J\\x0afake.py: a file by itself: whose it is, a roster can tell"
    assert problems("class", sheet("id,due", "a,\x1b[2J"))[0].startswith("roster.csv:2: due: '\\x1b[2J' is no time")


def test_a_folder_in_a_folder_may_be_a_class_or_a_student() -> None:
    put("a/spring/alice/model.py", "a/spring/bob/model.py", "b/alice/src/model.py", "b/alice/tests/test_x.py")
    put("c/alice/attempt_1/model.py", "c/alice/attempt_2/model.py")
    assert problems("a") == [
        (
            "all that can be handed in lies in one folder, 'spring', which holds alice, bob: is that the class, or one "
            "student's work? Name the folder in which each student has one: …/spring"
        )
    ]
    assert [attempt.path for attempt in read_class("b").attempts] == ["b/alice"]
    assert [attempt.path for attempt in read_class("c").attempts] == ["c/alice/attempt_1", "c/alice/attempt_2"]


def test_files_beside_the_folder_of_the_class_are_told_of_and_change_nothing() -> None:
    put("class/s5/hw-ann/m.py", "class/s5/hw-ann/.git/HEAD", "class/s5.gradebook.sqlite", "class/grades.csv")
    put("more/spring/alice/model.py", "more/spring/bob/model.py", "more/notes.pdf")
    beside = [(f"class/{name}", NO_SUBMISSION) for name in ("grades.csv", "s5.gradebook.sqlite")]
    found = read_class("class")
    assert ([row[2] for row in handed_in(found)], unmatched(found)) == (["class/s5/hw-ann"], beside)
    assert problems("more")[0].startswith("all that can be handed in lies in one folder, 'spring'")
    found = read_class("more", sheet("id", "alice", "carol"))
    assert [row[2] for row in handed_in(found)] == ["more/spring/alice"]
    assert unmatched(found) == [("more/notes.pdf", NO_SUBMISSION), ("more/spring/bob", "no student of roster.csv")]


def test_a_folder_with_nothing_but_the_zip_file_of_a_class_is_no_student() -> None:
    put("class/download.zip", data=zipped({"doe_1_2_model.py": MODEL, "roe_3_4_model.py": MODEL}))
    put("class/canvas.csv", "student/hw.zip", data=zipped({"s5-ann/model.py": MODEL, "s5-ann/.git/HEAD": b""}))
    assert problems("class") == [
        "class/download.zip holds the submissions of a whole class: name it in place of its folder"
    ]
    assert [row[0] for row in handed_in(read_class("student"))] == ["hw"]


def test_a_roster_that_names_nobody_who_handed_in_tells_of_its_columns() -> None:
    put("class/ada/model.py")
    told = problems("class", sheet("id,Vollständiger Name", "Teilnehmer/in7,Ada"))
    assert told[-1] == "roster.csv has columns that are not used: 'Vollständiger Name'"


def test_names_that_are_no_text() -> None:
    name = os.fsdecode(b"andr\xe9")
    put(f"class/{name}/model.py", f"canvas/doe_1_2_{name}.py", "class/al\x1b[2Jice/model.py")
    found = read_class("class")
    assert [(row[0], row[2]) for row in handed_in(found)] == [
        ("al\x1b[2Jice", "class/al\x1b[2Jice"),
        ("andr\\xe9", "class/andr\\xe9"),
    ]
    assert handed_in(read_class("canvas")) == [
        ("1", 1, "canvas/doe_1_2_andr\\xe9.py", "andr\\xe9.py", ["andr\\xe9.py"])
    ]


def test_a_folder_of_names_that_do_not_print_is_a_submission_that_says_so() -> None:
    put(os.fsdecode(b"class/ann/mod\xe8\xc2\xa0.py"), "class/bob/model.py")
    found = read_class("class")
    assert refusal(found) == (
        "no-model",
        "the submission holds no Python file and no notebook",
        "Rename mod\\xe8\u00a0.py: its name does not print, so it was passed over.",
    )


# Zip files of strangers


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted() -> bytes:
    data = bytearray(zipped({"model.py": MODEL}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def stated(size: int) -> bytes:
    """Return an archive whose directory states another size for its file."""
    data = bytearray(zipped({"model.py": MODEL}))
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, size)
    return bytes(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_files_that_are_refused() -> None:
    odd = "Zip the folder with the files again."
    out = "its path leads out of the zip file"
    assert of_zip(b"PK\x03\x04 no zip") == (
        "unreadable",
        "alice.zip is damaged, or no zip file",
        "Zip the files again.",
    )
    assert of_zip(b"") == ("unreadable", "alice.zip is damaged, or no zip file", "Zip the files again.")
    for name in ("../model.py", "/model.py", "a/../../model.py", "..\\model.py", "C:\\model.py"):
        shown = name.replace("\\", "/")
        assert of_zip(zipped({name: MODEL})) == ("unreadable", f"alice.zip holds {shown!r}: {out}", odd)
    assert of_zip(zipped({"a/" * 50 + "model.py": MODEL}))[1].endswith("its path is too long")
    assert of_zip(encrypted()) == (
        "unreadable",
        "alice.zip is protected by a password",
        "Hand in a zip file without one.",
    )
    assert of_zip(zipped([("model.py", MODEL), ("./model.py", HELPER)])) == (
        "unreadable",
        "alice.zip holds two files 'model.py'",
        "Zip the files again, into a new file.",
    )
    assert of_zip(zipped({"model.py": MODEL}, zipfile.ZIP_BZIP2)) == (
        "unreadable",
        "alice.zip is packed by a method that is not read here",
        "Make it an ordinary zip file.",
    )
    assert of_zip(stated(1)) == (
        "unreadable",
        "alice.zip is damaged: model.py cannot be unpacked",
        "Zip the files again.",
    )
    assert of_zip(zipped([(link("model.py"), b"/etc/passwd")])) == (
        "no-model",
        "the submission holds no Python file and no notebook",
        "Hand in the file itself: symbolic links are not followed.",
    )
    assert of_zip(zipped({"inner.zip": zipped({"model.py": MODEL})})) == (
        "file-type",
        "inner.zip is a zip file inside a zip file",
        "Hand in the files themselves, or one zip file of them.",
    )


def test_zip_files_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed, "LIMITS", Limits(entries=3, unpacked=5_000_000, free=100_000))
    fix = "Hand in the source alone."
    many = zipped({f"{index}.py": HELPER for index in range(4)})
    assert of_zip(many) == ("too-large", "alice.zip holds too many files", fix)
    assert of_zip(many.replace(b"\4\0\4\0", b"\1\0\1\0")) == (
        "too-large",
        "alice.zip holds 4 files, the limit is 3",
        fix,
    )
    assert of_zip(stated(2**31)) == ("too-large", f"alice.zip unpacks to {2**31:,} bytes, the limit is 5,000,000", fix)
    code, message, _ = of_zip(zipped({"model.py": b"#" * 4_000_000}))
    assert (
        code,
        message.startswith("alice.zip unpacks to "),
        message.endswith(" times its size, the limit is 200 times"),
    ) == (
        "too-large",
        True,
        True,
    )
    monkeypatch.setattr(handed, "LIMITS", Limits(unpacked=2_000_000))
    noise = random.Random(1).randbytes(900_000)
    assert of_zip(zipped({"a.py": noise, "b.py": noise}))[0] == "no-model"  # read within the limit
    monkeypatch.setattr(handed, "ZIP_CAP", 100)
    assert of_zip(zipped({"a.py": noise})) == ("too-large", "alice.zip is larger than the limit of 100 bytes", fix)


def test_no_more_of_a_zip_file_is_unpacked_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handed, "LIMITS", Limits(unpacked=1_700_000))
    monkeypatch.setattr("grader.classroom.intake.archive._check_sizes", lambda *_: None)  # as if sizes were a lie
    noise = random.Random(1).randbytes(900_000)
    assert of_zip(zipped({"a.py": noise, "b.py": noise})) == (
        "too-large",
        "alice.zip unpacks to too much",
        "Hand in the source alone.",
    )


def test_zip_files_that_are_made_in_odd_ways() -> None:
    put(
        "class/alice.zip",
        data=zipped({"src\\model.py": MODEL, "src\\util.py": HELPER, "__MACOSX/src/._model.py": b"x"}),
    )
    flagged = zipped({"modèl.py": MODEL}).replace("è".encode(), b"\xe9\xe9")  # says UTF-8, and is not
    utf8 = zipped({"zzz.py": MODEL}).replace(b"zzz", "é".encode() + b"z")
    put("class/bob.zip", data=utf8)
    put("class/carol.zip", data=zipped({"zzz.py": MODEL}).replace(b"zzz", b"\xe9zz"))
    put("class/dave.zip", data=zipped({"model.py": MODEL}) + b"trailing")
    put("class/erin.zip", data=flagged)
    found = read_class("class")
    assert [attempt.source.read().entry for attempt in found.attempts[:4]] == [
        "src/model.py",
        "éz.py",
        "Θzz.py",
        "model.py",
    ]
    assert refusal(found, 4)[:2] == ("unreadable", "erin.zip is damaged, or no zip file")


def test_any_bytes_are_a_zip_file_or_refused() -> None:
    """A damaged archive is never a crash; what it may be taken for has the form of a submission."""
    chance = random.Random(7)
    good = zipped({"model.py": MODEL * 20, "pack/util.py": HELPER})
    for _ in range(400):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        put("class/alice.zip", data=bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
        try:
            submission = read_class("class").attempts[0].source.read()
        except SubmissionError as error:
            assert error.message.isprintable()
        else:
            assert submission.entry in submission.files


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_download_with_odd_entries_is_read_without_them() -> None:
    entries: list[tuple[str | zipfile.ZipInfo, bytes]] = [
        ("alice/model.py", MODEL),
        ("../evil/model.py", MODEL),
        ("/etc/model.py", MODEL),
        (link("link"), b"/etc"),
        ("bob/model.py", MODEL),
        ("bob/model.py", MODEL),
    ]
    put("class.zip", data=zipped(entries))
    found = read_class("class.zip")
    assert [attempt.student for attempt in found.attempts] == ["alice", "bob"]
    assert refusal(found, 1)[1] == "class.zip holds two files 'bob/model.py'"
    assert unmatched(found) == [
        ("/etc/model.py", "its path leads out of the zip file"),
        ("class.zip/../evil/model.py", "its path leads out of the zip file"),
        ("class.zip/link", "a symbolic link, which is not followed"),
    ]
    assert [path.name for path in Path.cwd().iterdir()] == ["class.zip"]


# Rosters


def test_a_roster_of_one_s_own() -> None:
    put("class/alice/model.py", "class/BOB/model.py", "class/zed/model.py", "class/dora@uni.edu.py", "class/roster.csv")
    roster = sheet(
        "Email;Due;NAME;Section;Student-ID",
        "a@uni.edu;2026-06-10;Ann;A;alice",
        ";2026-06-10T18:00Z;Bob;B;bob",
        ";;Chris;;chris",
        "dora@uni.edu;2026-06-10 18:00:30+0530;Dora;;d1",
        file="class/roster.csv",
    )
    found = read_class("class", roster)
    two, five = timezone(timedelta(hours=2)), timezone(timedelta(hours=5.5))
    assert found.students == (
        Student("alice", "Ann", "a@uni.edu", "A", datetime(2026, 6, 10, 23, 59, 59, tzinfo=two)),
        Student("bob", "Bob", "", "B", datetime(2026, 6, 10, 18, tzinfo=UTC)),
        Student("chris", "Chris"),
        Student("d1", "Dora", "dora@uni.edu", "", datetime(2026, 6, 10, 18, 0, 30, tzinfo=five)),
    )
    assert found.layout == "a folder for each student and a file for each student"
    assert handed_in(found) == [
        ("alice", 1, "class/alice", "model.py", ["model.py"]),
        ("bob", 1, "class/BOB", "model.py", ["model.py"]),
        ("d1", 1, "class/dora@uni.edu.py", "dora@uni.edu.py", ["dora@uni.edu.py"]),
    ]
    assert unmatched(found) == [("class/zed", "no student of class/roster.csv")]


def test_columns_that_mean_nothing_are_told_as_one_may_be_misspelled() -> None:
    put("class/ada/model.py")
    roster = sheet("id,Dew date,full name,name,,\x1b", "ada,2026-06-10,A. Lovelace,Ada,x,", file="roster.csv")
    layout = read_class("class", roster).layout
    words = r"; roster.csv has columns that are not used: 'Dew date', 'full name', '\x1b'"
    assert layout == "a folder for each student" + words


def test_paths_of_a_roster() -> None:
    put("class/one.py", "class/repos/hw-bob/model.py", "class/repos/hw-zed/model.py", "class/try/carol_1.py")
    put(
        "class/try/carol_2.py",
        "class/try/dave_1.py",
        "class/doe_5_50_model.py",
        "class/left/model.py",
        "class/own/net.py",
    )
    put("class/doe_5_51_util.py", "class/own/util.py", data=HELPER)
    roster = sheet(
        "id,path,submitted,name",
        "alice,one.py,2026-06-01T10:00Z,",
        "bob,repos/hw-bob,,Bob",
        "bob,absent,,",
        "carol,try/carol_*.py,,",
        "dave,./try/dave_1.py,,",
        "erin,doe_5_*,,",
        "frank,own/net.py,,",
        "grace,net.py,,",
    )
    found = read_class("class", roster)
    assert found.layout == "paths in roster.csv"
    assert handed_in(found) == [
        ("alice", 1, "class/one.py", "one.py", ["one.py"]),
        ("bob", 1, "class/repos/hw-bob", "model.py", ["model.py"]),
        ("carol", 1, "class/try/carol_1.py", "carol_1.py", ["carol_1.py"]),
        ("carol", 2, "class/try/carol_2.py", "carol_2.py", ["carol_2.py"]),
        ("dave", 1, "class/try/dave_1.py", "dave_1.py", ["dave_1.py"]),
        ("erin", 1, "class/doe_5_*", "model.py", ["model.py", "util.py"]),
        ("frank", 1, "class/own/net.py", "net.py", ["net.py", "util.py"]),
    ]
    assert (found.attempts[0].submitted, found.attempts[0].time_source) == (
        datetime(2026, 6, 1, 10, tzinfo=UTC),
        "roster",
    )
    assert unmatched(found) == [
        ("class/absent", "line 4 of the roster names it for bob, but it is not there"),
        ("class/left", "no student of roster.csv"),
        ("class/net.py", "line 9 of the roster names it for grace, but it is not there"),
        ("class/repos/hw-zed", "no student of roster.csv"),
    ]


def test_several_students_may_share_a_submission() -> None:
    put("class/team/model.py")
    found = read_class("class", sheet("id,path", "alice,team", "bob,team"))
    assert [row[:3] for row in handed_in(found)] == [("alice", 1, "class/team"), ("bob", 1, "class/team")]


def test_attempts_are_in_the_order_of_their_submission() -> None:
    put("class/b/model.py", "class/a/model.py", "class/c/model.py")
    rows = ("x,b,2026-06-03T10:00Z", "x,a,2026-06-04T10:00+02:00", "x,c,2026-06-01T10:00")
    found = read_class("class", sheet("id,path,submitted", *rows))
    assert [(attempt.number, attempt.path) for attempt in found.attempts] == [
        (1, "class/c"),
        (2, "class/b"),
        (3, "class/a"),
    ]


def test_canvas_s_gradebook_is_a_roster() -> None:
    put("class/doejane_123_1_model.py", "class/vandyckjan_124_2_model.py", "class/nobody_555_3_model.py")
    roster = sheet(
        "Student,ID,SIS User ID,SIS Login ID,Section,Lab (77),Current Score",
        ",,,,,Manual Posting,",
        "    Points Possible,,,,,10,(read only)",
        '"Doe, Jane",123,s1,jdoe,"A and B",,',
        '"van Dyck, Jan",124,s2,jan,A,,',
    )
    found = read_class("class", roster)
    assert found.students == (
        Student("123", "Doe, Jane", "", "A and B", None, {"canvas": "123", "sis": "s1", "login": "jdoe"}),
        Student("124", "van Dyck, Jan", "", "A", None, {"canvas": "124", "sis": "s2", "login": "jan"}),
    )
    assert [row[:3] for row in handed_in(found)] == [
        ("123", 1, "class/doejane_123_1_model.py"),
        ("124", 1, "class/vandyckjan_124_2_model.py"),
    ]
    assert unmatched(found) == [("class/nobody_555_3_model.py", f"no student of {roster}")]


@pytest.mark.parametrize(
    "heading",
    ['Student,ID,SIS User ID,Section\n"Student, Test"', "LastName,FirstName,ID,SIS User ID,Section\nStudent,Test"],
)
def test_canvas_s_test_student_is_nobody(heading: str) -> None:
    put("class/doejane_123_1_model.py")
    name = "Doe,Jane" if "LastName" in heading else '"Doe, Jane"'
    roster = sheet(f"{heading},999,,A", f"{name},123,s1,A")
    assert [student.id for student in read_class("class", roster).students] == ["123"]


def test_another_number_of_a_platform_is_another_person_of_that_name() -> None:
    put("canvas/smithjohn_1_10_model.py", "moodle/John Smith_1_assignsubmission_file_/model.py")
    canvas = sheet("Student,ID,SIS Login ID,Section", '"Smith, John",2,js2,A', file="canvas.csv")
    moodle = sheet("Identifier,Full name,Status", "Participant 2,John Smith,-", file="moodle.csv")
    own = sheet("id,name", "js,John Smith", file="own.csv")
    for folder, roster in (("canvas", canvas), ("moodle", moodle)):
        with pytest.raises(IntakeError, match=f"no student of {roster}"):
            read_class(folder, roster)
        assert [attempt.student for attempt in read_class(folder, own).attempts] == ["js"]


def test_two_people_of_one_name_are_not_one_student() -> None:
    for number in ("1", "2"):
        put(f"canvas/smithjohn_{number}_1{number}_model.py", f"moodle/John Smith_{number}_assignsubmission_file_/m.py")
    put("canvas/doejane_3_13_model.py", "moodle/Jane Doe_3_assignsubmission_file_/m.py")
    by_name = sheet("id,name", "js,John Smith", "jd,Jane Doe")
    by_number = sheet("id,name", "2,John Smith", "jd,Jane Doe", file="numbers.csv")
    for folder in ("canvas", "moodle"):
        found = read_class(folder, by_name)
        assert [attempt.student for attempt in found.attempts] == ["jd"]
        assert {reason for _, reason in unmatched(found)} == {"js has the name of more than one person: 1, 2"}
        found = read_class(folder, by_number)
        assert [(attempt.student, "_2_" in attempt.path) for attempt in found.attempts] == [("2", True), ("jd", False)]
        assert {reason for _, reason in unmatched(found)} == {"2 has the name of more than one person: 1, 2"}


def test_a_pattern_does_not_take_what_another_row_names_more_exactly() -> None:
    put("class/ada_x.py", "class/adam_x.py", "class/adamant/model.py", "class/pair/model.py")
    rows = ("ada,ada*", "adam,adam*", "eve,adamant", "p,pair", "q,pair")
    found = read_class("class", sheet("id,path", *rows))
    assert [(attempt.student, attempt.path) for attempt in found.attempts] == [
        ("ada", "class/ada_x.py"),
        ("adam", "class/adam_x.py"),
        ("eve", "class/adamant"),
        ("p", "class/pair"),  # partners may share their work
        ("q", "class/pair"),
    ]
    assert unmatched(found) == []
    found = read_class("class", sheet("id,path", "ada,adam*", "eve,adamant", "adam,adam_x.py"))
    assert [attempt.student for attempt in found.attempts] == ["eve", "adam"]
    reason = "line 2 of the roster names it for ada, but other rows name all of it more exactly"
    assert ("class/adam*", reason) in unmatched(found)


def test_a_pattern_does_not_take_what_is_called_as_another_student() -> None:
    put("class/ada_x/model.py", "class/adam/model.py")
    found = read_class("class", sheet("id,path", "ada,ada*", "adam,"))
    assert [(attempt.student, attempt.path) for attempt in found.attempts] == [
        ("ada", "class/ada_x"),
        ("adam", "class/adam"),
    ]


def test_an_address_and_a_name_are_equally_sure() -> None:
    put("class/bob/model.py", "class/ann/model.py", "class/cyd/model.py")
    roster = sheet("id,name,email", "1,Ann,bob@uni.edu", "2,Bob,b@uni.edu", "3,Cyd,cyd@uni.edu")
    found = read_class("class", roster)
    assert [(attempt.student, attempt.path) for attempt in found.attempts] == [("1", "class/ann"), ("3", "class/cyd")]
    assert unmatched(found) == [("class/bob", f"more than one student of {roster} can be meant: 1, 2")]


def test_a_name_in_canvas_that_ends_as_a_number_takes_nobody_s_place() -> None:
    # Who is called 'x_12' in Canvas, with the id 34, hands in `x_12_34_5_model.py`.
    put("class/ada_12_6_model.py", "class/x_12_34_5_model.py", "class/bob_13_7_1_model.py", "alone/x_12_34_5_model.py")
    found = read_class("class")
    assert handed_in(found) == [
        ("12", 1, "class/ada_12_6_model.py", "model.py", ["model.py"]),
        ("13", 1, "class/bob_13_7_1_model.py", "1_model.py", ["1_model.py"]),
    ]
    assert unmatched(found) == [("class/x_12_34_5_model.py", "it may be 12's, whose other files bear another name")]
    roster = sheet("Student,ID,SIS Login ID,Section", "Ada,12,ada,A", "Bob,13,bob,A")
    assert [attempt.student for attempt in read_class("class", roster).attempts] == ["12", "13"]
    with pytest.raises(IntakeError, match="no student of"):
        read_class("alone", roster)


def test_a_login_is_not_the_end_of_another_one() -> None:
    for name in ("s5-jane-doe", "s5-max", "s5-eve"):
        put(f"class/{name}/model.py", f"class/{name}/.git/config")
    roster = sheet("id,github", "1,doe", "2,max", "3,eve")
    found = read_class("class", roster)
    assert [(attempt.student, attempt.path) for attempt in found.attempts] == [
        ("2", "class/s5-max"),
        ("3", "class/s5-eve"),
    ]
    assert unmatched(found) == [("class/s5-jane-doe", f"no student of {roster}")]


def test_a_model_that_lies_too_deep_is_not_said_to_be_missing() -> None:
    put("class/ada/1/2/3/4/model.py", "class/bob/1/2/3/model.py")
    ada, bob = read_class("class").attempts
    with pytest.raises(SubmissionError, match="no Python file and no notebook within 3 folders of its top") as caught:
        ada.source.read()
    assert caught.value.fix == "Move the file up, or hand in the file itself."
    assert bob.source.read().entry == "1/2/3/model.py"


def test_what_is_called_a_zip_file_and_is_none_is_not_taken_for_one() -> None:
    Path("class/ada").mkdir(parents=True)
    os.mkfifo("class/ada/model.zip")
    put("class/bob/model.py")
    with pytest.raises(SubmissionError, match="holds no Python file and no notebook"):
        read_class("class").attempts[0].source.read()


def test_folders_named_by_login_go_with_canvas_s_gradebook() -> None:
    put("class/JDoe/model.py", "class/s5-jan-d/model.py", "class/s5-jan-d/.git/HEAD")
    roster = sheet("LastName,FirstName,ID,SIS Login ID,Section", "Doe,Jane,1,jdoe@uni.edu,A", "D,Jan,2,jan-d,A")
    roster_login = sheet("Student,ID,SIS Login ID,Section", '"Doe, Jane",1,jdoe,A', '"D, Jan",2,jan-d,A', file="b.csv")
    assert [row[0] for row in handed_in(read_class("class", roster))] == ["2"]
    found = read_class("class", roster_login)
    assert [row[0] for row in handed_in(found)] == ["1", "2"]
    assert found.layout == "a folder for each student and a git checkout for each student"


def test_moodle_s_worksheet_is_a_roster() -> None:
    put("class/Jane O Doe_11_assignsubmission_file_/model.py", "class/Team X_12_assignsubmission_file_/model.py")
    put("class/Max Ray_13_assignsubmission_file/model.py")
    roster = sheet(
        "\ufeffIdentifier,Full name,ID number,Email address,Status,Grade,Due date,Last modified (submission)",
        'Participant 11,"Jane O\'Doe",s1,j@uni.edu,Submitted for grading,,,"Wednesday, 10 June 2026, 12:14 AM"',
        "Participant 12,Kim Lee,,,No submission,,,-",
        'Participant 13,Ray Max,,,Submitted for grading - 3 mins late,,2026-06-10T12:00Z,"June 10, 2026, 2:14 PM"',
    )
    found = read_class("class", roster)
    zone = timezone(timedelta(hours=2))
    assert found.students == (
        Student("11", "Jane O'Doe", "j@uni.edu", "", None, {"moodle": "11", "sis": "s1"}),
        Student("12", "Kim Lee", platform={"moodle": "12"}),
        Student("13", "Ray Max", due=datetime(2026, 6, 10, 12, tzinfo=UTC), platform={"moodle": "13"}),
    )
    assert [(one.student, one.submitted, one.time_source, one.late) for one in found.attempts] == [
        ("11", datetime(2026, 6, 10, 0, 14, tzinfo=zone), "platform", False),
        ("13", datetime(2026, 6, 10, 14, 14, tzinfo=zone), "platform", True),
    ]
    assert unmatched(found) == [("class/Team X_12_assignsubmission_file_", "no student of roster.csv")]


def test_a_worksheet_without_names_goes_with_a_download_without_them() -> None:
    put("class/Teilnehmer_in_11_assignsubmission_file_/model.py")
    roster = sheet("Identifier,Status,Grade,Last modified (grade)", "Teilnehmer/in 11,,,")
    assert [row[0] for row in handed_in(read_class("class", roster))] == ["11"]


def test_who_can_be_meant_must_be_one() -> None:
    put("class/doejane_5_6_model.py", "class/sam/model.py")
    roster = sheet("id,name,login", "a,Jane Doe,sam", 'b,"Doe, Jane",', "c,,SAM")
    assert problems("class", roster)[2:4] == [
        "  class/doejane_5_6_model.py: more than one student of roster.csv can be meant: a, b",
        "  class/sam: more than one student of roster.csv can be meant: a, c",
    ]


def test_a_roster_looks_into_the_folder_around_the_class() -> None:
    put("class/spring/alice/model.py", "class/spring/bob/model.py", "one/alice/bob/model.py", "one/alice/carol/x.py")
    roster = sheet("id", "alice", "bob")
    assert [row[2] for row in handed_in(read_class("class", roster))] == ["class/spring/alice", "class/spring/bob"]
    assert [attempt.path for attempt in read_class("one", roster).attempts] == ["one/alice"]


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("utf-16-le", "\t"), ("utf-16-be", ";")],
)
def test_rosters_as_spreadsheets_write_them(encoding: str, delimiter: str) -> None:
    put("class/alice/model.py")
    text = "sep=;\r\n" * (delimiter == ";") + '"id"D"name"\r\nD\r\naliceD"Zoë, ""Z""\r\nRoe"\r\n'.replace(
        "D", delimiter
    )
    Path("roster.csv").write_bytes(text.encode(encoding))
    assert read_class("class", "roster.csv").students == (Student("alice", 'Zoë, "Z"\nRoe'),)


def test_empty_lines_may_stand_before_the_names_of_the_columns() -> None:
    put("class/alice/model.py")
    assert read_class("class", sheet("", "", "id;name", "alice;Ann")).students == (Student("alice", "Ann"),)


def test_a_roster_of_another_system() -> None:
    put("class/hw-annb/model.py", "class/hw-annb/.git/HEAD")
    roster = sheet("username,first_name,last_name,email,section,github_id", "annb,Ann,Bee,,1,99")
    assert read_class("class", roster).students == (Student("annb", "Ann Bee", "", "1", None, {"login": "annb"}),)


def test_all_problems_of_a_roster_are_told_at_once() -> None:
    put("class/alice/model.py")
    roster = sheet(
        "id,name,due,submitted,path",
        "alice,Ann,tomorrow,,a",
        "alice,Bea,,,b",
        ",Nobody,,,",
        "bob,,2026-02-30,,",
        "bob,,,,",
        "carol,,,2026-06-10,",
        "dave,,,,../x",
        "erin,,,,,surplus",
        '"frank\n",,,25:00,"',
    )
    expected = "expected a time such as 2026-06-10T23:59+02:00, or without the zone one of this machine's"
    assert problems("class", roster) == [
        "roster.csv:10: no CSV: unexpected end of data. Is a quote not closed in this row?"
    ]
    Path(roster).write_text(Path(roster).read_text().replace('25:00,"', "25:00,C:\\x"))
    assert problems("class", roster) == [
        f"roster.csv:2: due: 'tomorrow' is no time: {expected}",
        "roster.csv:3: 'alice' has another name in line 2",
        "roster.csv:4: no id: give each student one",
        f"roster.csv:5: due: '2026-02-30' is a time that does not exist: {expected}",
        "roster.csv:6: 'bob' is in line 5 already: only rows that name several attempts in 'path' may share an id",
        f"roster.csv:7: submitted: '2026-06-10' has no time of day: {expected}",
        "roster.csv:8: '../x' leads out of the folder: give a path inside it",
        "roster.csv:9: more cells than columns: put a cell with a comma in quotes",
        "roster.csv:10: 'C:/x' leads out of the folder: give a path inside it",
    ]


def test_rosters_that_are_none() -> None:
    put("class/alice/model.py")
    put("latin.csv", data=b"id,name\na,b\nc,Zo\xeb\n")
    put("empty.csv", data=b"\n\n")
    put("binary.csv", data=b"PK\x03\x04\x14\x00\x06\x00")
    assert problems("class", "absent.csv") == ["absent.csv: the roster cannot be read: No such file or directory"]
    assert problems("class", "latin.csv") == [
        "latin.csv:3: not UTF-8, so names may be read wrong. Save it in the spreadsheet as 'CSV UTF-8'."
    ]
    assert problems("class", "empty.csv") == [
        "empty.csv: the roster is empty. Its first line names the columns: id, name, email, …"
    ]
    assert problems("class", "binary.csv") == [
        "binary.csv:1: no text. Save the roster in the spreadsheet as 'CSV UTF-8'."
    ]
    assert problems("class", sheet("name,grade", "Ann,1")) == [
        "roster.csv:1: no column 'id' among 'name', 'grade'. Name the columns in the first line: id, name, email, …"
    ]
    assert problems("class", sheet("id,name,id", "a,b,c")) == ["roster.csv:1: two columns are called 'id': rename one"]
    assert problems("class", sheet("id,name")) == [
        "roster.csv: the roster names no student. Give each a row below the names of the columns."
    ]
    many = problems("class", sheet("id,due", *(f"s{index},x" for index in range(30))))
    assert (len(many), many[-1]) == (21, "and 10 more problems like these")


# Times


def test_where_the_time_of_a_submission_comes_from() -> None:
    stamp = datetime(2026, 6, 10, 12, tzinfo=UTC)
    put("class/alice/src/model.py", "class/bob/model.py", "class/alice/notes.txt")
    for path in ("class/alice/src/model.py", "class/bob/model.py"):
        os.utime(path, (stamp.timestamp(), stamp.timestamp()))
    info = zipfile.ZipInfo("alice/model.py", (2026, 6, 10, 14, 0, 0))
    put("class.zip", data=zipped([(info, MODEL), (zipfile.ZipInfo("bob/model.py"), MODEL)]))
    roster = sheet("id,submitted", "alice,2026-06-11T10:00Z", "bob,")
    told = [
        [(attempt.submitted, attempt.time_source) for attempt in found.attempts]
        for found in (read_class("class"), read_class("class", roster), read_class("class.zip"))
    ]
    assert told == [
        [(stamp, "file"), (stamp, "file")],
        [(datetime(2026, 6, 11, 10, tzinfo=UTC), "roster"), (stamp, "file")],
        [(stamp, "archive"), (None, "")],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-10T23:59:30.25+02:00", datetime(2026, 6, 10, 21, 59, 30, tzinfo=UTC)),
        ("2026-06-10 23:59 -0330", datetime(2026, 6, 11, 3, 29, tzinfo=UTC)),
        ("2026-06-10T23:59z", datetime(2026, 6, 10, 23, 59, tzinfo=UTC)),
        ("2026-06-10T23:59+02", datetime(2026, 6, 10, 21, 59, tzinfo=UTC)),
        ("2026-06-10T23:59", datetime(2026, 6, 10, 21, 59, tzinfo=UTC)),
        ("Wednesday, 10 June 2026, 12:05\u202fPM", datetime(2026, 6, 10, 10, 5, tzinfo=UTC)),
        ("10 June 2026, 00:05", datetime(2026, 6, 9, 22, 5, tzinfo=UTC)),
        ("June 10, 2026, 12:05 AM", datetime(2026, 6, 9, 22, 5, tzinfo=UTC)),
        (" - ", None),
        ("", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "10/06/2026 14:00",
        "2026-13-01T10:00",
        "2026-06-10T24:00",
        "10 Juni 2026, 14:00",
        "10 Foo 2026, 14:00",
        "10 June 2026, 13:00 PM",
        "2026-06-10T10:00+99:00",
        "0001-01-01T00:00",
    ],
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as 2026-06-10T23:59"):
        moment(text)


def test_a_large_class_is_listed_without_reading_it(monkeypatch: pytest.MonkeyPatch) -> None:
    put("class.zip", data=zipped({f"doe{index}_{index}_{index + 9000}_model.py": MODEL for index in range(2_000)}, 0))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    found = read_class("class.zip")
    assert [attempt.student for attempt in found.attempts][:2] == ["0", "1"]
    assert len(found.attempts) == 2_000


# Several names of one student


def aliases(found: Class) -> list[tuple[tuple[str, ...], list[str], str, bool]]:
    return [(one.students, list(one.paths), one.why, one.joined) for one in found.aliases]


def test_what_is_spelled_differently_is_told_where_a_roster_makes_it_one_students() -> None:
    put("class/Ada Lovelace/model.py", "class/lovelace_ada/attempt_1/m.py", "class/lovelace_ada/attempt_2/m.py")
    put("class/bob/attempt_1/model.py", "class/bob/attempt_2/model.py", "class/1815/model.py")
    put("class/ADA-LOVELACE.zip", data=zipped({"model.py": MODEL}))
    for hour, name in enumerate(("ADA-LOVELACE.zip", "1815/model.py", "Ada Lovelace/model.py")):
        os.utime(f"class/{name}", (hour * 3600, hour * 3600))
    found = read_class("class", sheet("id,name", "1815,Ada Lovelace", "bob,Bob Moog"))
    paths = ["ADA-LOVELACE.zip", "1815", "Ada Lovelace", "lovelace_ada/attempt_1", "lovelace_ada/attempt_2"]
    why = "by their id and the letters of their name"
    assert aliases(found) == [(("1815",), [f"class/{path}" for path in paths], why, True)]
    assert [row[2] for row in handed_in(found) if row[0] == "1815"] == [f"class/{path}" for path in paths]
    assert unmatched(found) == []


def test_without_a_roster_a_name_is_one_student_and_its_spellings_are_told() -> None:
    put("class/Ada Lovelace/m.py", "class/ada_lovelace/m.py", "class/bob/m.py", "class/Zoe/m.py")
    put("class/ADA-LOVELACE.zip", "class/bob.zip", data=zipped({"model.py": MODEL}))
    found = read_class("class")
    spelled = ("Ada Lovelace", "ADA-LOVELACE", "ada_lovelace")
    apart = "the letters of their names are the same; without a roster, each is a student of their own"
    assert [student.id for student in found.students] == [*spelled, "bob", "Zoe"]
    assert aliases(found) == [
        (("bob",), ["class/bob", "class/bob.zip"], "they are called the same", True),
        (spelled, ["class/Ada Lovelace", "class/ADA-LOVELACE.zip", "class/ada_lovelace"], apart, False),
    ]


def test_what_a_roster_or_a_platform_says_is_one_is_not_told() -> None:
    put("class/one/m.py", "class/two/m.py")
    assert aliases(read_class("class", sheet("id,path", "ada,one", "ada,two"))) == []
    put("canvas/doejane_1_10_model.py", "canvas/doejane_1_20_model.py", "canvas/doejane_2_30_model.py")
    assert aliases(read_class("canvas")) == []


# Groups


def by_group(found: Class) -> dict[str, list[tuple[int, str]]]:
    rows: dict[str, list[tuple[int, str]]] = {student.id: [] for student in found.students}
    for attempt in found.attempts:
        rows[attempt.student].append((attempt.number, attempt.path))
    return rows


def test_canvas_names_a_groups_file_by_the_group_and_a_member() -> None:
    put("class/pairone_102_900_model.py", "class/pairtwo_777_901_model.py", "class/pairtwo_104_902_model.py")
    put("class/pairone_555_903_model.py", "class/doejane_106_904_model.py")
    rows = ("101,Ann,Pair One,101", "102,Bo,pair one,102", "103,Cy,Pair Two,103", "104,Di,Pair Two,104")
    found = read_class("class", sheet("id,name,group,canvas", *rows, "105,Ed,Pair Six,105", "106,Jane Doe,,106"))
    one, two = [(1, "class/pairone_102_900_model.py")], [(1, "class/pairtwo_104_902_model.py")]
    assert by_group(found) == {
        "101": one, "102": one, "103": two, "104": two, "105": [], "106": [(1, "class/doejane_106_904_model.py")]
    }  # fmt: skip
    reason = "called as the group Pair {} of roster.csv, but by the number it is of somebody else"
    assert unmatched(found) == [
        ("class/pairone_555_903_model.py", reason.format("One")),
        ("class/pairtwo_777_901_model.py", reason.format("Two")),
    ]
    assert [student.group for student in found.students[:2]] == ["Pair One", "Pair One"]
    assert found.layout == "a Canvas download; 3 groups hand in together, by the column 'group' of roster.csv"


def test_canvas_without_numbers_in_the_roster_goes_by_the_groups_name() -> None:
    put("class/team1_102_900_model.py", "class/team1_102_950_model.py", "class/team2_103_901_model.py")
    put("class/team2_104_902_model.py")
    found = read_class("class", sheet("id,team", "ann,Team 1", "bo,Team 1", "cy,Team 2"))
    one = [(1, "class/team1_102_900_model.py"), (2, "class/team1_102_950_model.py")]
    assert by_group(found) == {"ann": one, "bo": one, "cy": []}
    assert students(found) == [("ann", "", {}), ("bo", "", {}), ("cy", "", {})]  # a mate's number is not theirs
    reason = "the group Team 2 has the name of more than one group: 103, 104"
    assert {told for _, told in unmatched(found)} == {reason}


def test_moodle_names_groups_by_their_own_number_and_its_worksheet_lists_them() -> None:
    put("class/Pair One_3_assignsubmission_file/m.py", "class/Default group_assignsubmission_file/m.py")
    put("class/Pair Two_12_assignsubmission_file/m.py")
    roster = sheet(
        "Identifier,Full name,Email address,Status,Group,Grade,Last modified (submission)",
        'Participant 3,Ann Oh,a@x.example,Submitted for grading,Pair Two,,"Wednesday, 10 June 2026, 2:14 PM"',
        "Participant 4,Bo Ah,b@x.example,Submitted for grading,Pair Two,,-",
        "Participant 5,Cy Eh,c@x.example,-,Default group,,-",
        "Participant 6,Di Uh,d@x.example,-,Pair One,,-",
    )
    found = read_class("class", roster)
    two = [(1, "class/Pair Two_12_assignsubmission_file")]
    assert by_group(found) == {
        "3": two, "4": two, "5": [(1, "class/Default group_assignsubmission_file")],
        "6": [(1, "class/Pair One_3_assignsubmission_file")],
    }  # fmt: skip
    assert {student.platform["moodle"] for student in found.students} == {"3", "4", "5", "6"}
    assert {attempt.submitted for attempt in found.attempts[:2]} == {datetime(2026, 6, 10, 12, 14, tzinfo=UTC)}


def test_a_folder_of_a_group_or_of_one_member_is_all_its_members() -> None:
    put("class/pair-1/m.py", "class/bo/m.py", "class/s5-team-x/.git/HEAD", "class/s5-team-x/m.py", "class/shared/m.py")
    put("class/s5-zed/.git/HEAD", "class/s5-zed/m.py")
    os.utime("class/pair-1/m.py", (0, 0))
    rows = (
        "ann,Pair 1,,2026-06-01T10:00Z",
        "bo,Pair 1,,",
        "cy,team x,,",
        "di,team x,,",
        "ed,E,shared,",
        "fi,E,shared,",
    )
    found = read_class("class", sheet("id,group,path,submitted", *rows, "zed,,,"))
    pair = [(1, "class/pair-1"), (2, "class/bo")]
    assert by_group(found) == {
        "ann": pair, "bo": pair, "cy": [(1, "class/s5-team-x")], "di": [(1, "class/s5-team-x")],
        "ed": [(1, "class/shared")], "fi": [(1, "class/shared")], "zed": [(1, "class/s5-zed")],
    }  # fmt: skip
    assert aliases(found) == [
        (("ann", "bo"), [path for _, path in pair], "by their id and the letters of their group's name", True)
    ]
    assert {attempt.submitted for attempt in found.attempts if attempt.path == "class/bo"} == {
        datetime(2026, 6, 1, 10, tzinfo=UTC)
    }


def test_students_of_a_section_are_no_group_until_somebody_says_so() -> None:
    put("class/ann/m.py", "class/bo/m.py", "class/cy/m.py")
    rows = ("ann,Monday", "bo,Monday", "cy,Tuesday")
    words = (
        "roster.csv: students of one group hand in together, but in 1 of 2 more than one has handed in, such as ann of "
        "ann and bo of bo in 'Monday'. Call the column 'team' if the last of these is to count for all of them, and "
        "'section' if each is graded alone."
    )
    assert problems("class", sheet("id,group", *rows)) == [words]
    apart = read_class("class", sheet("id,section", *rows))
    assert by_group(apart) == {"ann": [(1, "class/ann")], "bo": [(1, "class/bo")], "cy": [(1, "class/cy")]}
    both = [(1, "class/ann"), (2, "class/bo")]
    assert by_group(read_class("class", sheet("id,team", *rows))) == {"ann": both, "bo": both, "cy": [(1, "class/cy")]}


def test_a_name_that_may_be_a_students_or_a_groups_is_nobodys() -> None:
    put("class/max/m.py", "class/ann/m.py")
    found = read_class("class", sheet("id,group", "max,A", "ann,Max", "bo,A"))
    assert by_group(found) == {"max": [], "ann": [(1, "class/ann")], "bo": []}
    assert unmatched(found) == [("class/max", "more than one of roster.csv can be meant: max, the group Max")]
