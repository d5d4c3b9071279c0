"""Findings with several places, with exact changes and their effects: what is shown, and what checks give."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from samples import LINEAR, graded, result, rule, rules, submission
from support import HEADER, checked

from grader.finding import Finding, Span
from grader.manifest import Submission
from grader.protocol import Layer
from grader.render import Options, render
from grader.render.edits import edited
from grader.report import UNUSED, Edit, FindingReport, Place, Report, RuleReport, graded_report
from grader.report.sources import Sources

SOURCE = b"""\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0)

    def forward(self, x):
        return self.drop(self.drop(x))
"""
USE = Span("model.py", 7, 16, 7, 39)
MADE = Span("model.py", 4, 21, 4, 34)
FINDING = Finding("dropout", "error", "dropout with p=0 drops nothing", span=USE, label="drops nothing")


def report_of(finding: Finding, files: dict[str, bytes], layers: tuple[Layer, ...] = (), count: int = 0) -> Report:
    course = rules(rule("the-rule", finding.check, line=3))
    answer = graded(result(finding.check, "fail", finding.message, finding))
    answer = msgspec.structs.replace(answer, layers=layers, parameters=count)
    return graded_report(course, Submission("model.py", "", "model.py", files), answer, UNUSED, trained=False)


def shown(finding: Finding, source: bytes = SOURCE, width: int = 60, **more: Any) -> str:
    """Return the lines about the finding alone."""
    report = report_of(finding, {"model.py": source, "blocks.py": b"def block():\n    return nn.Dropout(0)\n"}, **more)
    text = render(report, "text", Options(width))
    return text[text.index("error[") : text.index("\n\n1 failed")]


def test_places_of_one_file_stand_in_the_order_of_their_lines() -> None:
    assert (
        shown(replace(FINDING, related=((MADE, "drop is made here"),)))
        == """\
error[the-rule]: dropout with p=0 drops nothing
 --> model.py:7:16
  |
4 |         self.drop = nn.Dropout(0)
  |                     ------------- drop is made here
...
7 |         return self.drop(self.drop(x))
  |                ^^^^^^^^^^^^^^^^^^^^^^^ drops nothing
  |
  set: rules.yaml:3"""
    )


def test_places_of_one_line_share_it() -> None:
    inner = Span("model.py", 7, 26, 7, 38)
    assert (
        shown(replace(FINDING, related=((inner, "and here"), (Span("model.py", 6, 5, 6, 8), "in"))))
        == """\
error[the-rule]: dropout with p=0 drops nothing
 --> model.py:7:16
  |
6 |     def forward(self, x):
  |     --- in
7 |         return self.drop(self.drop(x))
  |                ^^^^^^^^^^^^^^^^^^^^^^^ drops nothing
  |                          ------------ and here
  |
  set: rules.yaml:3"""
    )


def test_places_of_another_file_follow_with_its_name() -> None:
    elsewhere = Span("blocks.py", 2, 12, 2, 25)
    assert (
        shown(replace(FINDING, related=((elsewhere, "drop is made here"),)))
        == """\
error[the-rule]: dropout with p=0 drops nothing
 --> model.py:7:16
  |
7 |         return self.drop(self.drop(x))
  |                ^^^^^^^^^^^^^^^^^^^^^^^ drops nothing
 --> blocks.py:2:12
  |
2 |     return nn.Dropout(0)
  |            ------------- drop is made here
  |
  set: rules.yaml:3"""
    )


def test_a_change_and_its_effect() -> None:
    finding = replace(FINDING, fix="Choose 0.05.", edits=((MADE, "nn.Dropout(0.05)"),), after=80)
    assert (
        shown(finding, count=100)
        == """\
error[the-rule]: dropout with p=0 drops nothing
 --> model.py:7:16
  |
7 |         return self.drop(self.drop(x))
  |                ^^^^^^^^^^^^^^^^^^^^^^^ drops nothing
  |
  fix: Choose 0.05.
4 -         self.drop = nn.Dropout(0)
4 +         self.drop = nn.Dropout(0.05)
  net: 80 parameters in all, 20 fewer
  set: rules.yaml:3"""
    )


def test_effects() -> None:
    lines = [shown(replace(FINDING, after=after), count=1_000).splitlines()[-2] for after in (1_000, 2_500, 0)]
    assert lines == [
        "  net: 1,000 parameters in all",
        "  net: 2,500 parameters in all, 1,500 more",
        "  net: 0 parameters in all, 1,000 fewer",
    ]


def test_a_change_in_a_long_line_shows_what_changes() -> None:
    source = b"x = [" + b"0, " * 50 + b"f(1)" + b", 0" * 50 + b"]\n"
    finding = replace(FINDING, span=Span("model.py", 1, 1, 1, 2), edits=((Span("model.py", 1, 156, 1, 160), "f(2)"),))
    changes = shown(finding, source, 40).splitlines()[-3:-1]
    assert changes == ["1 - …, 0, 0, f(1), 0, 0, 0, 0, 0, 0, 0,…", "1 + …, 0, 0, f(2), 0, 0, 0, 0, 0, 0, 0,…"]


def layer(module: str, parameters: int) -> Layer:
    return Layer(module, "conv2d", "conv", (4, 26, 26), parameters, 0)


def budget_lines(width: int, *layers: Layer) -> list[str]:
    finding = Finding("parameters", "error", "too many", why="Because.")
    found = shown(finding, width=width, layers=layers, count=sum(row.parameters for row in layers))
    return found.splitlines()[2:-1]


def test_the_budget_shows_where_the_parameters_are() -> None:
    layers = [layer(f"conv{number}", size) for number, size in enumerate((1, 300, 20, 30, 40, 50, 60))]
    assert budget_lines(60, *layers) == [
        "  top: conv1     300   60 %  ████████████",
        "       conv6      60   12 %  ██▍",
        "       conv5      50   10 %  ██",
        "       conv4      40    8 %  █▋",
        "       conv3      30    6 %  █▎",
        "       2 others   21    4 %  ▉",
    ]


def test_the_budget_on_a_narrow_terminal() -> None:
    rows = budget_lines(40, layer("名前" * 20, 9_999), layer("\x1b[31m", 1))
    assert rows == ["  top: 名前名前名前名前名…  9,999  100 %", "       \\x1b[31m                 1  < 1 %"]
    assert max(map(cell_len, rows)) <= 40


KEPT = {
    "a constant": (b"nn.Dropout(0)", "nn.Dropout(0.05)", "nn.Dropout(0.05)"),
    "the prefix of the submission": (b"torch.nn.Dropout(p=0)", "nn.Dropout(0.05)", "torch.nn.Dropout(0.05)"),
    "an imported name": (b"Dropout(0)", "nn.Dropout(0.05)", "Dropout(0.05)"),
    "a further argument": (b"F.softmax(x)", ", dim=1", "F.softmax(x, dim=1)"),
    "a first argument": (b"F.softmax()", ", dim=1", "F.softmax(dim=1)"),
    "after a comma": (b"F.softmax(x,)", ", dim=1", "F.softmax(x, dim=1)"),
    "a nested call": (
        b"F.dropout(f(x), 0.1)",
        ", training=True",
        "F.dropout(f(x), 0.1, training=True)",
    ),
}


@pytest.mark.parametrize(("source", "text", "expected"), KEPT.values(), ids=KEPT)
def test_changes_that_are_exact(source: bytes, text: str, expected: str) -> None:
    line = b"y = (" + source + b") + 1"
    edit = Sources({"m.py": line}).edit(Span("m.py", 1, 6, 1, 6 + len(source)), text)
    assert edit is not None
    finding = FindingReport("dropout", "error", "", edits=(edit,))
    assert list(edited(finding)) == [(edit, line.decode(), f"y = ({expected}) + 1")]


def test_changes_whose_line_a_saved_report_lacks_are_left_out() -> None:
    bare = Edit(Place("m.py", 1, 1, 1, 2), "x")
    columnless = Edit(Place("m.py", 1, source=("y",)), "x")
    finding = FindingReport("dropout", "error", "message", edits=(bare, columnless))
    assert list(edited(finding)) == []
    row = RuleReport("a", "dropout", ("dropout",), "all", "fail", "error", "message", (finding,))
    report = msgspec.structs.replace(report_of(FINDING, {"model.py": SOURCE}), rules=(row,))
    assert render(report, "text", Options(80)).splitlines()[2:4] == ["error[a]: message", ""]


DROPPED = {
    "a name that may not be imported": (b"GroupNorm(2, 8)", "nn.BatchNorm2d(8)"),
    "no call": (b"self.drop", "nn.Dropout(0.05)"),
    "half of a call": (b"nn.Dropout(0", "nn.Dropout(0.05)"),
    "no change": (b"nn.Dropout(0.05)", "nn.Dropout(0.05)"),
    "a keyword that is there": (b"F.softmax(x, dim=0)", ", dim=1"),
    "a keyword by its position": (b"F.softmax(x, None)", ", dim=1"),
    "keywords from elsewhere": (b"F.softmax(x, **options)", ", dim=1"),
    "arguments from elsewhere": (b"F.softmax(*given)", ", dim=1"),
    "a function that is not known": (b"my.softmax_of(x)", ", dim=1"),
    "an argument of no call": (b"x", ", dim=1"),
}


@pytest.mark.parametrize(("source", "text"), DROPPED.values(), ids=DROPPED)
def test_changes_that_might_be_wrong_are_not_shown(source: bytes, text: str) -> None:
    sources = Sources({"m.py": source + b"\n"})
    assert sources.edit(Span("m.py", 1, 1, 1, 1 + len(source)), text) is None


@pytest.mark.parametrize(
    ("header", "expected"), [("def forward(self, x):", True), ("def noisy(x):", False), ("", False)]
)
def test_a_change_that_needs_self_stands_in_a_method(header: str, expected: bool) -> None:
    text = f"class Net:\n    {header}\n\n        return F.dropout(x)\n"
    edit = Sources({"m.py": text.encode()}).edit(Span("m.py", 4, 16, 4, 28), ", training=self.training")
    assert (edit is not None) is expected


@pytest.mark.parametrize(
    "span", [Span("m.py", 1), Span("m.py", 1, 1, 2, 3), Span("m.py", 9, 1, 9, 2), Span("n.py", 1, 1, 1, 2)]
)
def test_changes_of_no_single_line_are_not_shown(span: Span) -> None:
    assert Sources({"m.py": b"nn.Dropout(\n0)\n"}).edit(span, "nn.Dropout(0.05)") is None


def test_half_of_a_change_is_none() -> None:
    finding = replace(FINDING, edits=((MADE, "nn.Dropout(0.05)"), (Span("gone.py", 1, 1, 1, 2), "x")))
    report = report_of(finding, {"model.py": SOURCE})
    assert report.rules[0].findings[0].edits == ()


NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.norm = {norm}
        self.drop = nn.Dropout({rate})
        self.pool = {pool}
        self.fc = nn.Linear(8 * 26 * 26, 10)

    def forward(self, x):
        x = self.drop(self.norm(self.conv(x)))
        {rest}
"""
FLAT = "return self.fc(x.flatten(1))"


def found(check: str, options: Any = None, **parts: Any) -> Finding:
    parts = {"norm": "nn.BatchNorm2d(8)", "rate": 0.1, "pool": "nn.AvgPool2d(20)", "rest": FLAT} | parts
    (finding,) = checked(HEADER + NET.format(**parts), check, options or {}).findings
    return finding


def line_of(text: str) -> int:
    return (HEADER + NET).splitlines().index(next(line for line in (HEADER + NET).splitlines() if text in line)) + 1


def test_a_linear_layer_is_shown_where_it_is_used_and_made() -> None:
    finding = found("linear")
    total = 80 + 16 + 8 * 26 * 26 * 10 + 10
    assert (finding.after, total - 8 * 26 * 26 * 10 - 10 + 90) == (186, 186)
    assert [(span.line, label) for span, label in finding.related] == [(line_of("self.fc ="), "fc is made here")]
    assert finding.fix == (
        "Leave the map as it is: nn.Conv2d(8, 10, 1), then nn.AdaptiveAvgPool2d(1): 90 parameters instead of 54,080."
    )


INNER = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.fc = nn.Linear(8, 10)
        self.last = nn.Conv2d(10, 10, 1)
        self.rows = nn.Parameter(torch.randn(26, 26))

    def forward(self, x):
        x = self.conv(x)
"""
LAST = "        return self.fc(x.permute(0, 2, 3, 1)).mean((1, 2))\n"
ROWS = "        x = x + F.linear(x, self.rows)\n        return self.last(F.pad(x, (0, 0, 0, 0, 0, 2))).mean((2, 3))\n"
GATE = "        x = F.pad(x, (0, 0, 0, 0, 0, 2)) * self.fc(x.mean((2, 3)))[:, :, None, None]\n"
GATE += "        return self.last(x).mean((2, 3))\n"
MIXED = "        return torch.einsum('oc,nchw->nohw', self.fc.weight, x).mean((2, 3))\n"


@pytest.mark.parametrize(
    ("rest", "pointwise", "fix"),
    [
        (LAST, "note", "Keep the channels in front of the map, (N, 8, H, W), and use nn.Conv2d(8, 10, 1)."),
        (GATE, "note", "Keep the pooled map, (N, 8, 1, 1), and use nn.Conv2d(8, 10, 1)."),
        (MIXED, "note", "Use nn.Conv2d(8, 10, 1) on the map."),
        (
            ROWS,
            "note",
            "Leave the map as it is: nn.Conv2d(8, 10, 1), then nn.AdaptiveAvgPool2d(1): 90 parameters instead of 676.",
        ),
        (GATE, "forbid", "End with a convolution to 10 channels, then nn.AdaptiveAvgPool2d(1) and flatten(1)."),
    ],
)
def test_a_linear_layer_inside_a_block_is_replaced_where_it_stands(rest: str, pointwise: str, fix: str) -> None:
    found = checked(HEADER + INNER + rest, "linear", {"pointwise": pointwise}).findings
    assert [finding.fix for finding in found if finding.level == "error"] == [fix]
    assert (found[0].after is None) is (rest != ROWS)


def test_too_many_parameters_because_of_a_matrix() -> None:
    finding = found("parameters", {"below": 20_000})
    assert (finding.after, finding.fix) == (
        186,
        "Replace that matrix by nn.Conv2d(8, 10, 1), then nn.AdaptiveAvgPool2d(1): 90 parameters.",
    )


WIDE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 40, 3, bias=False)
        self.b = nn.Conv2d(40, 40, 3, bias=False)
        self.c = nn.Conv2d(40, 10, 1)

    def forward(self, x):
        return self.c(self.b(self.a(x))).mean((2, 3))
"""


@pytest.mark.parametrize(
    ("below", "fix"),
    [
        (15_000, "With 90 % of the channels everywhere (32 become 29), about 12,400 parameters are left."),
        (5_000, "With 50 % of the channels everywhere (32 become 16), about 4,000 parameters are left."),
        (300, "With 10 % of the channels everywhere (32 become 3), 230 parameters are left."),
        (20, "Use fewer channels, smaller kernels and fewer layers."),
    ],
)
def test_too_many_parameters_because_of_the_width(below: int, fix: str) -> None:
    (finding,) = checked(HEADER + WIDE, "parameters", {"below": below}).findings
    assert finding.fix == fix
    percent = re.search(r"With (\d+) %.* (?:about )?([\d,]+) parameters", fix)
    if percent is not None:  # the advice holds when it is followed
        narrower = WIDE.replace("40", str(round(40 * int(percent[1]) / 100)))
        result = checked(HEADER + narrower, "parameters", {"below": below})
        assert (result.status, round(result.measured or 0, -2)) == ("pass", round(int(percent[2].replace(",", "")), -2))


def test_a_normalisation_of_channels_that_stand_last_has_no_exact_change() -> None:
    rest = "return F.layer_norm(x.permute(0, 2, 3, 1), (8,)).mean((1, 2)).sum(1, True).expand(-1, 10)"
    finding = found("batch-norm", norm="nn.Identity()", rest=rest)
    fix = "Replace it by nn.BatchNorm2d(8), and give it the channels first: (N, C, H, W)."
    assert (finding.fix, finding.edits) == (fix, ())


def test_dropout_and_normalisations_come_with_exact_changes() -> None:
    edits = {
        "dropout": found("dropout", rate=0).edits,
        "batch-norm": found("batch-norm", norm="nn.GroupNorm(2, 8)").edits,
        "global-average-pool": found(
            "global-average-pool", rest="return self.pool(x).flatten(1)[:, :1].expand(-1, 10)"
        ).edits,
    }
    assert {check: [(span.line, text) for span, text in given] for check, given in edits.items()} == {
        "dropout": [(line_of("self.drop ="), "nn.Dropout(0.05)")],
        "batch-norm": [(line_of("self.norm ="), "nn.BatchNorm2d(8)")],
        "global-average-pool": [(line_of("self.pool ="), "nn.AdaptiveAvgPool2d(1)")],
    }


@given(
    st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), min_size=1, max_size=120),
    st.integers(0, 120),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.integers(40, 120),
)
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_terminal(source: str, start: int, label: str, width: int) -> None:
    start = min(start, len(source) - 1)
    span = Span("model.py", 1, 1 + start, 1, 2 + start)
    finding = replace(LINEAR, span=span, related=((span, label),), edits=((span, label.replace("\n", "")),), after=1)
    report = report_of(finding, submission(f"{source}\n".encode()).files, (layer(label, 3),), 3)
    text = render(report, "text", Options(width))
    assert [line for line in text.split("\n") if cell_len(line) > width] == []
    assert [character for character in text if not character.isprintable() and character != "\n"] == []
