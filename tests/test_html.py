"""The page as text: what it holds, that hostile text stays text, how it is cut, and the geometry of its drawings."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from html_samples import HOSTILE, endless, full, hostile, reads, ungraded
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.protocol import EpochRow, Layer, SeedReport, TrainingReport
from grader.render import Options, render
from grader.render.budget import budget
from grader.render.escape import expanded, visible
from grader.render.html.chain import HEAD, LANES, TAIL, Chain, Rail, chain
from grader.render.html.curves import FRAME, Curve, curves
from grader.render.html.edits import changes
from grader.render.html.excerpts import LINE_CAP, Excerpt, Mark, Part, Piece, excerpts
from grader.render.html.figures import budget_bars, segments
from grader.report import Edit, Place, Report

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"

VOID = {"meta", "link", "wbr"}
RUNNING = {"mark", "code", "strong"}  # elements inside a sentence


@dataclass
class Page(HTMLParser):
    """A page taken apart, strictly: every element that is not void is closed, in order."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    style: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.feed(self.text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.words.append("" if tag in RUNNING else " ")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def prose(self) -> str:
        return " ".join("".join(self.words).split())

    def shapes(self) -> set[tuple[str, tuple[str, ...]]]:
        """Return which elements there are, with the names of their attributes."""
        return {(tag, tuple(sorted(attributes))) for tag, attributes in self.elements}


def html(report: Report) -> str:
    return render(report, "html", Options())


def page(report: Report) -> Page:
    return Page(html(report))


REPORTS = {"graded": full, "ungraded": ungraded}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_page_needs_nothing_but_itself(report: Any) -> None:
    found = page(report())
    assert {tag for tag, _ in found.elements} & {"script", "img", "iframe", "object", "form", "base"} == set()
    names = {name for _, attributes in found.elements for name in attributes}
    assert {name for name in names if name.startswith("on") or name in {"style", "src", "action"}} == set()
    links = [attributes["href"] or "" for _, attributes in found.elements if "href" in attributes]
    assert {link[:5] if link.startswith("data:") else link[:1] for link in links} == {"#", "data:"}
    assert re.findall(r"url\(|@import|https?:", found.style) == []


def test_policy_allows_the_style_of_the_page_and_nothing_else() -> None:
    found = page(full())
    digest = base64.b64encode(hashlib.sha256(found.style.encode()).digest()).decode()
    policies = [meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert policies == [expected]


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_anchors_lead_to_one_place_each(report: Any) -> None:
    found = page(report())
    ids = Counter(attributes["id"] for _, attributes in found.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    named = {link[1:] for link in (a["href"] or "" for a in found.all("a"))}
    for _, attributes in found.elements:
        named |= set((attributes.get("aria-labelledby") or "").split())
    assert named - set(ids) == set()


def test_page_tells_all_that_the_report_does() -> None:
    text = page(full()).prose()
    parts = (
        "Session 5 model.py class Net",
        "Not passed 20 of 80 points",
        "2 failed, 1 not met, 1 passed",
        "error a linear layer makes the prediction model.py:15:16",
        "5,408 × 10 weights applied here",
        "made here",
        "Why The map is weighted number by number.",
        "Fix Pool the map instead.",
        "Effect The whole model then has 170 parameters instead of 54,170 (limit is 20,000).",
        "set at rules.yaml:8 · checks linear or global-average-pool (one is enough)",
        "warning a mean is added model.py:14",
        "note nothing more",
        "conv2d 0 8×26×26",
        "reads 1, 2",
        "Not confirmed: this trained model makes at most 100 errors on the 10,000 test images",
        "97.17 to 97.80 %",
        "Not imported, replaced by inert stand-ins: cv2.",
        "a note",
        "it could read a file: the kernel has no Landlock. Use Linux 5.13 or newer.",
        "seccomp a filter that allows 84 system calls",
        "s5-grade model.py --train",
        "torch 2.4",
        "ab" * 32,
    )
    assert [part for part in parts if part not in text] == []


def test_ungraded_page_tells_what_stood_in_the_way() -> None:
    text = page(ungraded()).prose()
    parts = (
        "Not graded",
        "2 models in model.py error ambiguous model.py:15:16",
        "What Python said ValueError: no more",
        "Why Only one is graded. Fix Name one. Choose --class Net --class 'Other Net'",
        "How Python got there in forward model.py:14:6",
        "in helper",
        "none of its rules was decided (dropout)",
    )
    assert [part for part in parts if part not in text] == []


def test_page_is_the_same_each_time() -> None:
    assert html(full()) == html(full())


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_hostile_text_adds_no_element_and_is_shown_as_it_is(report: Any) -> None:
    found = page(hostile(report()))
    assert found.shapes() - page(report()).shapes() <= {("span", ("class",)), ("mark", ("class",))}
    assert "".join(found.words).count(visible(HOSTILE)) > 10
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e\u2028\ud800-\udfff]", found.text)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec=None), min_size=1, max_size=40))
def test_any_text_is_harmless(text: str) -> None:
    found = page(hostile(ungraded(), text))
    assert found.shapes() <= page(ungraded()).shapes() | {("p", ("class",))}
    assert found.text.encode()


def test_what_nobody_asks_for_is_not_imported() -> None:
    names = "import grader.cli.render, grader.render.terminal, sys; print('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True).stdout == "False\n"


def test_page_of_a_huge_report_is_cut_and_says_so() -> None:
    found = page(endless())
    text = found.prose()
    assert len(found.text.encode()) < 1_000_000
    assert "… 4,640 operators, which s5-grade layers lists …" in text
    assert "… and 460 findings, which the JSON report lists." in text
    assert "… and 1,080 epochs, which the JSON report lists." in text
    assert "… and 460 notes, which the JSON report lists." in text
    assert "4,976 smaller ones" in text


# Excerpts


def place(line: int, column: int, end_line: int, end_column: int, *source: str, **more: Any) -> Place:
    return Place("model.py", line, column, end_line, end_column, source=source, **more)


def shown(*marks: Mark) -> Excerpt:
    (found,) = excerpts(marks)
    return found


def drawn(part: Part) -> list[str]:
    """Return the lines of a part, what is marked in brackets, then its labels where they stand."""
    lines = [
        f"{line.number}|{line.lead}|" + "".join(f"[{p.text}]" if p.kind else p.text for p in line.pieces)
        for line in part.lines
    ]
    return lines + [f"{' ' * label.indent}{label.text}" for label in part.labels]


def test_excerpt_marks_the_expression() -> None:
    found = shown(Mark(place(3, 9, 3, 13, "    x = f(x)"), "here", "error"))
    assert [drawn(part) for part in found.parts] == [["3|    |x = [f(x)]", "        here"]]


def test_excerpt_of_unknown_columns_marks_the_line_but_its_indentation() -> None:
    found = shown(Mark(Place("model.py", 3, source=("    x = 1  ",)), "", "error"))
    assert [drawn(part) for part in found.parts] == [["3|    |[x = 1]  "]]


def test_excerpt_of_several_lines() -> None:
    source = ("    y = f(", "        x,", "", "    )(x)")
    found = shown(Mark(place(3, 9, 6, 6, *source), "call", "error"))
    assert [drawn(part) for part in found.parts] == [
        ["3|    |y = [f(]", "4|    |    [x,]", "5||", "6|    |[)](x)", "    call"]
    ]


def test_excerpt_tells_of_lines_that_the_report_lacks() -> None:
    found = shown(Mark(place(3, 1, 20, 2, "f(", "  x,"), "", "error"))
    assert [(part.left, drawn(part)) for part in found.parts] == [(16, ["3||[f(]", "4||  [x,]"])]


def test_excerpt_shows_places_in_the_order_of_the_file_and_gaps_between_them() -> None:
    found = shown(
        Mark(place(9, 5, 9, 9, "y = f(x)"), "used", "error"),
        Mark(place(2, 1, 2, 2, "f = 1"), "made", "related"),
        Mark(place(3, 1, 3, 2, "g = 1"), "", "related"),
    )
    assert [(part.gap, drawn(part)) for part in found.parts] == [
        (False, ["2||[f] = 1", "made"]),
        (False, ["3||[g] = 1"]),
        (True, ["9||y = [f(x)]", "    used"]),
    ]
    assert (found.place.line, found.kind) == (9, "error")


def test_places_side_by_side_share_their_line() -> None:
    line = "y = f(x) + g(x)"
    found = shown(Mark(place(1, 12, 1, 16, line), "second", "error"), Mark(place(1, 5, 1, 9, line), "first", "related"))
    assert [drawn(part) for part in found.parts] == [["1||y = [f(x)] + [g(x)]", "           second", "    first"]]
    assert [piece.kind for piece in found.parts[0].lines[0].pieces] == ["", "related", "", "error"]


def test_places_inside_each_other_have_a_line_each() -> None:
    found = shown(Mark(place(1, 1, 1, 8, "f(g(x))"), "", "error"), Mark(place(1, 3, 1, 7, "f(g(x))"), "", "related"))
    assert [drawn(part) for part in found.parts] == [["1||[f(g(x))]"], ["1||f([g(x)])"]]


def test_each_file_and_each_cell_has_an_excerpt() -> None:
    other = Place("other.py", 1, source=("x",))
    cells = [Place("a.ipynb", 1, source=("x",), cell=cell, cell_line=4) for cell in (1, 2)]
    found = excerpts([Mark(one, "", "error") for one in (other, *cells)])
    assert [(one.place.file, one.place.cell) for one in found] == [("other.py", None), ("a.ipynb", 1), ("a.ipynb", 2)]
    assert found[1].parts[0].lines[0].number == "4"


def test_excerpt_of_a_place_without_source_keeps_its_label() -> None:
    found = shown(Mark(Place("model.py", 3), "made here", "related"))
    assert [drawn(part) for part in found.parts] == [["made here"]]


def test_columns_are_those_of_the_screen() -> None:
    found = shown(Mark(place(1, 5, 1, 6, "\t日本 x"), "x", "error"))
    assert [drawn(part) for part in found.parts] == [["1|    |日本 [x]", "         x"]]


def test_long_line_is_cut_around_what_is_marked() -> None:
    line = "a" * 500 + "XYZ" + "b" * 400
    found = shown(Mark(place(1, 501, 1, 504, line), "", "error"))
    assert found.parts[0].lines[0].pieces == (
        Piece("…"),
        Piece("a" * 60),
        Piece("XYZ", "error"),
        Piece("b" * (LINE_CAP - 63)),
        Piece("…"),
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.integers(0, 320), st.integers(0, 320), st.integers(-1, 1))
def test_excerpt_holds_the_source_and_marks_what_it_should(line: str, column: int, end: int, lines: int) -> None:
    found = shown(Mark(place(5, column, 5 + lines, end, line), "", "error"))
    (only,) = found.parts[0].lines
    text = only.lead + "".join(piece.text for piece in only.pieces)
    if len(line) <= LINE_CAP:
        assert text == "".join(expanded(line))
        if lines == 0 and 1 <= column < end <= len(line) + 1:
            marked = "".join(piece.text for piece in only.pieces if piece.kind)
            assert marked == "".join(expanded(line)[column - 1 : end - 1])


# Edits


def edit(column: int, end_column: int, text: str, line: str = "    x = f(a, b)", number: int = 7) -> Edit:
    return Edit(place(number, column, number, end_column, line), text)


def lines_of(*edits: Edit) -> list[tuple[list[str], list[str]]]:
    return [(drawn(Part(one.removed, (), False, 0)), drawn(Part(one.added, (), False, 0))) for one in changes(edits)]


def test_edits_of_one_line_are_one_change() -> None:
    found = lines_of(edit(14, 15, "c"), edit(11, 12, "g(a)"))
    assert found == [(["7|    |x = f([a, b])"], ["|    |x = f([g(a), c])"])]


def test_edits_of_several_lines_stand_in_the_order_of_the_file() -> None:
    found = lines_of(edit(1, 2, "y", "x", 9), edit(1, 2, "z", "w", 4))
    assert found == [(["4||[w]"], ["||[z]"]), (["9||[x]"], ["||[y]"])]


def test_edit_that_inserts_lines() -> None:
    assert lines_of(edit(5, 5, "y = 1\n    ")) == [(["7||    x = f(a, b)"], ["||    [y = 1]", "||[    ]x = f(a, b)"])]


@pytest.mark.parametrize(
    "edits",
    [
        (Edit(Place("model.py", 7), "new\ntext"),),
        (edit(5, 90, "new\ntext"),),
        (edit(5, 9, "new"), edit(7, 9, "text")),
        (Edit(place(7, 1, 8, 2, "a", "b"), "new\ntext"),),
    ],
)
def test_edit_that_cannot_be_carried_out_shows_its_text(edits: tuple[Edit, ...]) -> None:
    assert lines_of(*edits) == [([], ["||new", "||text"])]


# The model


def model(*inputs: tuple[int, ...], names: Any = None) -> Chain:
    names = names or [""] * len(inputs)
    return chain(
        [Layer(name, "relu", "activation", (1,), 0, 0, None, row) for name, row in zip(names, inputs, strict=True)]
    )


def rails(found: Chain) -> list[Rail]:
    return [found.start, *(row.rail for block in found.blocks for row in block.rows)]


def test_chain_is_joined_row_by_row() -> None:
    assert rails(model((-1,), (0,))) == [
        Rail(True, False, True),
        Rail(True, True, True),
        Rail(True, True, False),
    ]


def test_residual_connection_goes_around_what_it_skips() -> None:
    assert rails(model((-1,), (0,), (1,), (0, 2))) == [
        Rail(True, False, True),
        Rail(True, True, True, leaves=(1,)),
        Rail(True, True, True, through=(1,)),
        Rail(True, True, True, through=(1,)),
        Rail(True, True, False, enters=(1,)),
    ]


def test_branches_that_read_the_same_share_a_lane() -> None:
    assert rails(model((-1,), (-1,), (-1,), (0, 1, 2))) == [
        Rail(True, False, True, leaves=(1,)),
        Rail(True, True, False, through=(1,), leaves=(2,)),
        Rail(True, False, False, through=(1, 2), enters=(1,), leaves=(3,)),
        Rail(True, False, True, through=(2, 3), enters=(1,)),
        Rail(True, True, False, enters=(2, 3)),
    ]


def test_connections_without_a_lane_are_told_in_words() -> None:
    rows = 20
    found = model(*[tuple(range(-1, row)) for row in range(rows)])
    assert found.lanes == LANES
    assert found.blocks[0].rows[4].reads == (-1, 0, 1, 2, 3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sets(st.integers(-1, 30), max_size=4), max_size=30))
def test_every_lane_leads_from_one_row_to_those_that_read_it(drawn_rows: list[set[int]]) -> None:
    inputs = [tuple(sorted(source for source in row if source < number)) for number, row in enumerate(drawn_rows)]
    found = rails(model(*inputs))
    carried: dict[int, int] = {}  # lane → the row whose result it carries
    for number, rail in enumerate(found, -1):
        sources = inputs[number] if number >= 0 else ()
        assert rail.up == (number - 1 in sources)
        assert {carried[lane] for lane in rail.enters} <= set(sources)
        assert set(rail.enters) | set(rail.through) == set(carried)
        carried = {lane: source for lane, source in carried.items() if lane in rail.through}
        assert not set(rail.leaves) & set(carried)
        carried |= dict.fromkeys(rail.leaves, number)
    assert carried == {}


def test_rows_stand_in_blocks_by_module() -> None:
    names = ["stem.0", "stem.1", "layer.0.conv", "layer.0", "layer.1.conv", "fc", ""]
    found = model(*[(row - 1,) for row in range(len(names))], names=names)
    assert [(block.name, [row.name for row in block.rows]) for block in found.blocks] == [
        ("stem", ["0", "1"]),
        ("layer.0", ["conv", ""]),
        ("layer.1", ["conv"]),
        ("", ["fc", ""]),
    ]


def test_rows_in_the_middle_of_a_long_model_are_left_out() -> None:
    count = 1_000
    found = model(*[reads(row) for row in range(count)])
    rows = found.blocks[0].rows
    assert [row.number for row in rows] == [*range(HEAD), *range(count - TAIL, count)]
    assert {row.number: row.skipped for row in rows if row.skipped} == {count - TAIL: count - HEAD - TAIL}
    assert found.operators == count


def test_bars_are_shares_of_the_largest_row() -> None:
    layers = [Layer("a", "conv2d", "conv", (), size, size * 10, None, ()) for size in (50, 200, 0)]
    rows = [row for block in chain(layers).blocks for row in block.rows]
    assert [(row.shape, row.parameters_percent, row.macs_percent) for row in rows] == [
        ("scalar", 25.0, 25.0),
        ("scalar", 100.0, 100.0),
        ("scalar", 0.0, 0.0),
    ]


# Bars and curves


def test_budget_bar_ends_at_what_is_larger_the_model_or_its_limit() -> None:
    report = full()
    found = budget_bars(report, budget(report))
    assert [(share.name, segment.start, segment.width) for share, segment in found.rows] == [
        ("fc", 0.0, 99.85),
        ("stem.0", 99.85, 0.15),
    ]
    assert (found.limit, found.limit_at) == (20_000, 36.92)


def test_bar_of_points_gives_each_rule_its_share() -> None:
    assert [(segment.start, segment.width, segment.kind) for segment in segments(full())] == [
        (0.0, 25.0, "fail"),
        (25.0, 25.0, "pass"),
        (50.0, 25.0, "warning"),
        (75.0, 25.0, "fail"),
    ]


def training_report(*rows: tuple[Any, ...]) -> TrainingReport:
    report = full().training
    assert report is not None
    return msgspec.structs.replace(report, curve=tuple(EpochRow(*row) for row in rows))


def test_curves_are_drawn_to_scale() -> None:
    accuracy, loss = curves(
        training_report((1, 0.8, 80.0, 90.0, 1.0), (2, 0.4, 90.0, 95.0, 2.0), (3, 0.2, 100.0, 96.0, 3.0))
    )
    assert [(tick.at, tick.text) for tick in accuracy.y_ticks] == [
        (186.0, "80"),
        (145.5, "85"),
        (105.0, "90"),
        (64.5, "95"),
        (24.0, "100"),
    ]
    assert accuracy.series[0].dots == ((52, 186.0), (146.7, 105.0), (241.3, 24.0))
    assert accuracy.series[0].stretches == ("52.0,186.0 146.7,105.0 241.3,24.0",)
    assert accuracy.target is not None
    assert (accuracy.target.at, accuracy.target.text) == (32.1, "target 99 %")
    assert [(result.x, result.y) for result in accuracy.results] == [(336, 44.2)]
    assert [(tick.at, tick.text) for tick in loss.y_ticks] == [
        (186.0, "0.0"),
        (145.5, "0.2"),
        (105.0, "0.4"),
        (64.5, "0.6"),
        (24.0, "0.8"),
    ]
    assert (loss.target, loss.results) == (None, ())


def test_curve_is_broken_where_a_number_is_missing() -> None:
    rows = [(number, math.nan if number == 3 else 0.5, 90.0, None, 1.0) for number in range(1, 6)]
    accuracy, loss = curves(training_report(*rows))
    assert [series.name for series in accuracy.series] == ["training images"]
    assert [len(stretch.split()) for stretch in loss.series[0].stretches] == [2, 2]
    assert len(loss.series[0].dots) == 4


def test_each_seed_has_its_own_line_and_its_own_result() -> None:
    report = training_report(
        (1, 0.8, 80.0, 90.0, 1.0, "short", None, 1),
        (2, 0.4, 90.0, 95.0, 2.0, "short", 50, 1),
        (1, 0.8, 80.0, 90.0, 3.0, "short", None, 2),
    )
    seeds = (SeedReport(1, 50, 99.5, 2, 2.0), SeedReport(2, None, None, 1, 1.0, reason="no time"))
    found = msgspec.structs.replace(report, planned=3, seeds=seeds, accuracy=99.5, errors=None, interval=None)
    accuracy, loss = curves(found)
    assert [stretch.count(",") for stretch in accuracy.series[0].stretches] == [2]
    assert len(accuracy.series[0].dots) == len(loss.series[0].dots) == 3
    assert [(result.low, result.high) for result in accuracy.results] == [(None, None)]
    assert [tick.text for tick in accuracy.x_ticks] == ["1", "2"]


def test_a_loss_that_was_not_finite_is_told() -> None:
    _, loss = curves(training_report((1, None, 80.0, 90.0, 1.0), (2, 0.25, 90.0, 95.0, 2.0)))
    assert loss.summary == "not finite in the first epoch, 0.250 in the last"


def test_stages_are_named_where_there_are_several() -> None:
    def stages(*names: Any) -> list[str]:
        curve: Curve = curves(training_report(*[(1, 0.5, 90.0, None, 1.0, name) for name in names]))[0]
        return [tick.text for tick in curve.stages]

    assert stages("short", "short") == []
    assert stages("short", "short", "long") == ["short stage", "long stage"]


def test_one_epoch_is_no_curve() -> None:
    assert curves(training_report((1, 0.5, 90.0, None, 1.0))) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=2, max_size=9), st.floats(0, 100))
def test_curves_of_any_numbers_stay_in_their_frame(losses: list[float], accuracy: float) -> None:
    for curve in curves(training_report(*[(1, loss, accuracy, None, 1.0) for loss in losses])):
        points = [point for series in curve.series for point in series.dots]
        assert all(FRAME.left <= x <= FRAME.right and FRAME.top <= y <= FRAME.bottom for x, y in points)
        assert 2 <= len(curve.y_ticks) <= 7


@pytest.mark.skipif(not PICTURES.exists(), reason="needs the source tree")
def test_pictures_are_small_and_the_report_that_they_show_can_be_rendered() -> None:
    sizes = {path.stem: path.stat().st_size for path in PICTURES.glob("*.png")}
    assert sorted(sizes) == ["class", "class-dark", "model", "page", "page-dark", "phone", "terminal", "training"]
    assert max(sizes.values()) <= 300_000
    trained = msgspec.json.decode((PICTURES / "trained.json").read_bytes(), type=Report)
    assert "Confirmed: this trained model" in page(trained).prose()
