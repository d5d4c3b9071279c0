"""The pages of a class: what they hold, and how they become files."""

from __future__ import annotations

import os
import re
import stat
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest
from class_samples import NAMES, gradebook
from html_samples import full
from test_html import Page

from grader.classroom.page import PagesError, class_page, student_page, write_pages
from grader.classroom.page.histogram import histogram, nice
from grader.classroom.page.rows import duration, rows, shown_points, shown_time
from grader.classroom.page.write import page_name
from grader.classroom.types import Alias, AlikeGroup, ClassReport, Grade, Override, RuleOutcome, Student
from grader.render.escape import shortened, visible
from grader.report import Report, Reproduction

SIZE = 1_000


class ClassPage(Page):
    """A class page taken apart as strictly as a report's is."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag == "input":
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["script"]:
            super().handle_data(data)


def link(grade: Grade) -> str | None:
    return f"students/{page_name(grade.student.id)}" if grade.key else None


def page(report: ClassReport) -> ClassPage:
    return ClassPage(class_page(report, link))


# What the page is made of


def test_page_needs_nothing_but_itself_and_its_policy_says_so() -> None:
    found = page(gradebook(30))
    tags = {tag for tag, _ in found.elements}
    assert tags & {"img", "iframe", "object", "form", "base"} == set()
    assert len(found.all("script")) == 1
    attributes = {name for _, own in found.elements for name in own}
    assert {name for name in attributes if name.startswith("on") or name in {"style", "src", "action"}} == set()
    policy = next(meta["content"] or "" for meta in found.all("meta") if "http-equiv" in meta)
    pattern = "default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'; img-src data:; "
    assert re.fullmatch(pattern + "base-uri 'none'; form-action 'none'", policy)


def test_page_tells_of_the_class() -> None:
    text = page(gradebook(30)).prose()
    parts = (
        "12 of 27 passed",
        "12 passed 9 not passed 3 no verdict 3 not graded yet 3 nothing handed in",
        "Handed in 27 of 30 students",
        "Median 45 of 60 points",
        "Late 3",
        "Set by hand 1",
        "graded 26 Nov 2026, 09:40 UTC · rules.yaml abababab · the last attempt counts · late work loses 10 % a day",
        "param-count 9 of 24, 3 undecided",
        "batch-norm 0 of 24, 3 undecided",
        "dropout 3 of 24, 3 undecided",
        "Without a verdict 3",
        "Files that belong to nobody 1",
        "<b>\\x1b.py nobody's",
        "A hint to look, not a verdict.",
        "the same operators",
        "42 set by hand, was 40",
        "attempt 1 of 3",
        "25 h late",
    )
    assert [part for part in parts if part not in text] == []


def test_hostile_names_add_no_element_and_are_shown() -> None:
    hostile = page(gradebook(20))
    plain = page(gradebook(20, [f"Name {number}" for number in range(10)]))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    shown = "".join(hostile.words)
    assert [name for name in NAMES if visible(shortened(name, 120)) not in shown] == []
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\u2028\ud800-\udfff]", hostile.text)


def test_page_tells_what_was_joined_what_is_from_before_and_what_the_starting_code_lacks() -> None:
    made = gradebook(3, ["Ann", "Bo", "Cy"])
    ann, bo, cy = made.grades
    pair = [
        msgspec.structs.replace(one, student=msgspec.structs.replace(one.student, group="Pair 1"), path="pair")
        for one in (ann, bo)
    ]
    aliases = (
        Alias(("s0", "s1"), ("class/pair", "class/<b>"), "by their id", joined=True),
        Alias(("s2", "s1"), ("class/Cy", "class/c_y"), "the letters are the same", joined=False),
    )
    report = msgspec.structs.replace(
        made,
        grades=(*pair, msgspec.structs.replace(cy, earlier=True, untrained=True)),
        aliases=aliases,
        starter="NotImplementedError (in forward)",
        alike=(AlikeGroup("same", ("s0", "s2"), 0, "the same graph"),),
    )
    text = page(report).prose()
    for words in (
        "Ann; Bo class/pair , class/<b> by their id",
        "Cy; Bo class/Cy , class/c_y the letters are the same",
        "Ann; Bo; Cy the same graph",
        "NotImplementedError (in forward)",
        "From before 1",
        "passed from before not trained yet",
        "Not trained yet 1",
    ):
        assert re.sub(r"\s*([,;])\s*", r"\1 ", words) in re.sub(r"\s*([,;])\s*", r"\1 ", text)


def test_page_leaves_out_what_says_nothing() -> None:
    made = gradebook(2, ["Ann", "Bo"])
    skipped = tuple(RuleOutcome(rule, "skipped", 0, 20, "") for rule in made.rules)
    undecided = tuple(RuleOutcome(rule, "error", 0, 20, "") for rule in made.rules)
    rest = {"headline": "passed", "submitted": None, "attempts": 1, "late_seconds": 0.0, "late": None}
    ann, bo = (msgspec.structs.replace(grade, **rest) for grade in made.grades)
    one = (msgspec.structs.replace(ann, rules=skipped), msgspec.structs.replace(bo, rules=undecided))
    text = page(msgspec.structs.replace(made, grades=one)).prose()
    assert "param-count skipped" in text
    assert "Handed in Ann" not in text
    nobody = tuple(Grade(grade.student, "missing", headline="nothing was handed in") for grade in made.grades)
    text = page(msgspec.structs.replace(made, grades=nobody)).prose()
    assert "nothing was handed in" not in text
    assert "Rules that failed" not in text


def test_points_are_told_with_all_that_people_give() -> None:
    points = (0, 80, 66.666, 12.5, 1_000.25, 12_345)
    assert [shown_points(one) for one in points] == ["0", "80", "66.67", "12.5", "1,000.25", "12,345"]


def test_who_has_no_name_is_told_of_once() -> None:
    made = gradebook(1, ["Ann"])
    nameless = msgspec.structs.replace(made.grades[0], student=Student("s0", section="A"))
    (row,) = rows(msgspec.structs.replace(made, grades=(nameless,)), link)
    assert (row.name, row.below) == ("s0", "A")


def test_what_is_late_by_a_platforms_word_alone_is_told() -> None:
    made = gradebook(2, ["Ann", "Bo"])
    rest = {"submitted": None, "attempts": 1, "late_seconds": 0.0}
    ann, bo = (
        msgspec.structs.replace(grade, **rest, late=late) for grade, late in zip(made.grades, (True, None), strict=True)
    )
    found = page(msgspec.structs.replace(made, grades=(ann, bo)))
    assert "Late 1" in found.prose()
    assert re.findall(r'<td class="when">(.*)</td>', found.text) == [' <small class="late">late</small>', ""]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_page_of_hardly_anybody(size: int) -> None:
    text = page(gradebook(size, ["Ann", "Bo"])).prose()
    assert ("No students" if size == 0 else f"1 of {size} passed") in text


def test_page_without_points_or_rules_has_no_drawing_of_them() -> None:
    report = msgspec.structs.replace(gradebook(5), max_score=0, rules=())
    found = page(report)
    assert ("Rules that failed" in found.prose(), "histogram" in found.text.split("</style>")[1]) == (False, False)


def test_histogram_counts_everybody_once() -> None:
    found = histogram(gradebook(SIZE))
    assert found is not None
    counts = [int(one.title.rpartition(" ")[2].replace(",", "")) for one in found.bins]
    assert sum(counts) == 800
    assert found.summary == "800 final scores from 0 to 60, median 42"
    assert [tick.text for tick in found.points] == ["0", "15", "30", "45", "60"]


def test_histogram_reaches_beyond_the_points_of_the_rules() -> None:
    grades = tuple(Grade(Student(f"s{final}"), "pass", final=final) for final in (-5.0, 0.0, 60.0, 75.0))
    found = histogram(msgspec.structs.replace(gradebook(0), grades=grades))
    assert found is not None
    assert [one.title for one in found.bins] == [
        "-5 to below 0: 1",
        "0 to below 5: 1",
        "60 to below 65: 1",
        "70 to 75: 1",
    ]


def test_words_of_numbers() -> None:
    assert [nice(value) for value in (0.3, 1, 1.5, 3, 7, 40)] == [0.5, 1, 2, 5, 10, 50]
    seconds = (0.42, 12, 61, 7000, 90_000, 400_000)
    assert [duration(value) for value in seconds] == ["0.4 s", "12 s", "1 min", "2 h", "25 h", "5 days"]
    at = datetime(2026, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert [shown_time(at, other) for other in (None, at, at.replace(year=2025))] == [
        "3 Feb 2026, 04:05 UTC",
        "3 Feb, 04:05",
        "3 Feb 2026, 04:05",
    ]


# The files


def report_of(key: str) -> Report | None:
    return None if key == "k3" else full()


def test_pages_are_written_once_and_only_where_they_changed(tmp_path: Path) -> None:
    report = gradebook(10)
    first = write_pages(tmp_path, report, report_of)
    names = sorted(path.name for path in (tmp_path / "students").iterdir())
    there = [grade for grade in report.grades if grade.key and grade.key != "k3"]
    assert names == sorted(page_name(grade.student.id) for grade in there)
    assert (first.index, first.changed, first.kept, first.removed) == (tmp_path / "index.html", len(there) + 1, 0, 0)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.html")}
    again = write_pages(tmp_path, report, report_of)
    assert (again.changed, again.kept, again.removed) == (0, len(there) + 1, 0)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.html")} == before
    links = {a["href"] for a in ClassPage(first.index.read_text("utf-8")).all("a")}
    assert {link for link in links if not (link or "").startswith("#")} == {f"students/{name}" for name in names}
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".s5-grade.")]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX modes")
def test_pages_are_for_their_owner(tmp_path: Path) -> None:
    write_pages(tmp_path, gradebook(2), report_of)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.html")} == {0o600}


def test_stale_pages_of_ours_go_and_nothing_else_does(tmp_path: Path) -> None:
    report = gradebook(6)
    write_pages(tmp_path, report, report_of)
    students = tmp_path / "students"
    changed, stale = (students / page_name(f"s{number}") for number in (1, 2))
    changed.write_text("with a remark", "utf-8")
    (students / "notes.html").write_text("mine", "utf-8")
    fewer = msgspec.structs.replace(report, grades=report.grades[:1])
    assert write_pages(tmp_path, fewer, report_of).removed == 3
    assert sorted(path.name for path in students.iterdir()) == sorted(["notes.html", page_name("s0"), changed.name])
    assert not stale.exists()


def test_listing_that_was_tampered_with_removes_nothing(tmp_path: Path) -> None:
    write_pages(tmp_path, gradebook(1), report_of)
    (tmp_path / "keep.html").write_text("", "utf-8")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for listing in (f'{{"../keep.html": "{empty}"}}', "[1]", "{"):
        (tmp_path / ".s5-grade-pages.json").write_text(listing, "utf-8")
        assert write_pages(tmp_path, gradebook(1), report_of).removed == 0
    assert (tmp_path / "keep.html").exists()


def test_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(PagesError, match=r"file.*Name another folder for the pages\."):
        write_pages(tmp_path / "file", gradebook(1), report_of)


def test_a_page_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    index = tmp_path / "index.html"
    index.write_text("my own site", "utf-8")
    with pytest.raises(PagesError, match=r"index\.html is there and was not written by s5-grade\. Name another folder"):
        write_pages(tmp_path, gradebook(1), report_of)
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == ["my own site"]


def test_pages_that_were_interrupted_are_written_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(key: str) -> Report | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pages(tmp_path, gradebook(1), killed)
    (tmp_path / "index.html").write_text("half of it", "utf-8")
    assert write_pages(tmp_path, gradebook(1), report_of).changed == 2


def test_no_id_leads_out_of_the_folder_or_to_anothers_page() -> None:
    ids = [
        "../../etc/passwd",
        "..\\x",
        "/abs",
        "CON",
        "con",
        "Con",
        "",
        ".",
        "a\x00b",
        "ä",
        "a",
        "x" * 500,
        "😀",
        "\udc80",
    ]
    names = [page_name(id) for id in ids]
    assert len({name.casefold() for name in names}) == len(ids)
    assert [name for name in names if not re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*-)?[0-9a-f]{16}\.html", name)] == []
    assert max(map(len, names)) <= 62


def test_student_page_tells_of_points_and_of_nobody_else() -> None:
    grade = gradebook(1).grades[0]
    late = msgspec.structs.replace(grade, penalty=8.0, final=32.0)
    assert "handed in late: 8 points less, which leaves 32" in Page(student_page(full(), late)).prose()
    by_hand = msgspec.structs.replace(
        late, override=Override(42, "copied from Bob", "G. Hopper", late.submitted), final=42
    )
    text = student_page(full(), by_hand)
    assert "your course set your points to 42 by hand" in Page(text).prose()
    assert [word for word in ("Bob", "Hopper") if word in text] == []


def test_student_page_names_the_rules_but_not_where_the_course_keeps_them() -> None:
    report = full()
    told = msgspec.structs.replace(
        report,
        rules_file="/home/g hopper/rules.yaml",
        rules=tuple(msgspec.structs.replace(rule, set="/home/g hopper/rules.yaml:7") for rule in report.rules),
        notes=("nothing to train for: /home/g hopper/rules.yaml has no accuracy rule",),
        reproduce=Reproduction("s5-grade model.py --rules '/home/g hopper/rules.yaml' --seed 3"),
    )
    text = student_page(told, gradebook(1).grades[0])
    assert "hopper" not in text
    prose = Page(text).prose()
    assert "s5-grade model.py --rules rules.yaml --seed 3" in prose
    assert "rules.yaml:7" in prose
