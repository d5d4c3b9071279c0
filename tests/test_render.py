"""Reports as text: golden output of hand-made reports, and hostile text made harmless."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from samples import LINEAR, SANDBOX, SOURCE, graded, result, rule, rules, submission, training

from grader.checks import Check
from grader.finding import Finding, Span
from grader.protocol import EpochRow, Frame, Layer, Progress
from grader.render import FORMATS, Options, render
from grader.render.budget import Share, budget
from grader.render.escape import expanded, visible
from grader.render.excerpt import wrapped
from grader.render.page import page, table
from grader.render.places import by_place
from grader.render.progress import progress_on
from grader.report import UNUSED, Obstacle, Report, SandboxReport, error_report, graded_report

ESCAPE = "\x1b"


def failing(finding: Finding = LINEAR, source: bytes = SOURCE, **where: Any) -> Report:
    course = rules(
        rule("gap-no-linear", "global-average-pool", "linear", line=18),
        rule("param-count", "parameters"),
        rule("accuracy", "accuracy"),
    )
    results = (
        result("global-average-pool"),
        result("linear", "fail", finding.message, finding),
        result("parameters", "pass", "8,932 parameters, limit is 20,000"),
    )
    return graded_report(course, submission(source, **where), graded(*results), UNUSED, trained=False)


def text(report: Report, width: int = 100, form: str = "terminal") -> str:
    return render(report, form, Options(width))


def diagnostic(finding: Finding, source: bytes, width: int = 60) -> str:
    """Return the lines about the source alone, after `-->`."""
    lines = text(failing(finding, source), width).split("\n")
    start = next(number for number, line in enumerate(lines) if "-->" in line)
    return "\n".join(lines[start + 2 : lines.index("", start) - 2])


def at(line: int, column: int, end_line: int, end_column: int, label: str = "here") -> Finding:
    return Finding("linear", "error", "found", span=Span("model.py", line, column, end_line, end_column), label=label)


def test_a_failing_report() -> None:
    assert (
        text(failing())
        == """\
Checked model.py (class Net) against rules.yaml

error[gap-no-linear]: a linear layer makes the prediction
  --> model.py:10:16
   |
10 |         return self.fc(x.flatten(1))
   |                ^^^^^^^^^^^^^^^^^^^^^ 784 × 10 weights applied here
   |
  why: flattening 16×7×7 keeps every position, so the classifier learns positions, not features
  fix: nn.Conv2d(16, 10, 1), then nn.AdaptiveAvgPool2d(1): 170 parameters instead of 7,850
  set: rules.yaml:18

ok[param-count]: 8,932 parameters, limit is 20,000
skipped[accuracy]: not trained (add --train)

1 failed, 1 passed, 1 skipped. 20 of 40 points.
"""
    )


def test_a_failing_report_on_a_narrow_terminal() -> None:
    found = text(failing(), 40)
    assert (
        found
        == """\
Checked model.py (class Net) against
rules.yaml

error[gap-no-linear]: a linear layer
  makes the prediction
  --> model.py:10:16
   |
10 | …     return self.fc(x.flatten(1))
   |              ^^^^^^^^^^^^^^^^^^^^^
   |              784 × 10 weights
   |              applied here
   |
  why: flattening 16×7×7 keeps every
       position, so the classifier
       learns positions, not features
  fix: nn.Conv2d(16, 10, 1), then
       nn.AdaptiveAvgPool2d(1): 170
       parameters instead of 7,850
  set: rules.yaml:18

ok[param-count]: 8,932 parameters,
  limit is 20,000
skipped[accuracy]: not trained (add
  --train)

1 failed, 1 passed, 1 skipped. 20 of 40
points.
"""
    )
    assert max(map(cell_len, found.splitlines())) <= 40


def test_a_passing_report_with_training() -> None:
    course = rules(rule("dropout", "dropout"), rule("accuracy", "accuracy"))
    results = (result("dropout", "pass", "8 live dropouts"), result("accuracy", "pass", "99.21 %, target is 99.00 %"))
    answer = graded(*results, training=training(notes=("a note of training",)), stand_ins=("cv2", "tqdm"))
    report = graded_report(course, submission(), answer, UNUSED, trained=True)
    assert (
        text(report)
        == """\
Checked model.py (class Net) against rules.yaml

ok[dropout]: 8 live dropouts
ok[accuracy]: 99.21 %, target is 99.00 %
note: not imported, replaced by inert stand-ins: cv2, tqdm
note: confirmed: this trained model makes at most 100 errors on the 10,000 test images
note: trained for 3 epochs in 42 s with seed 1 on 2 threads (cpu), loss: cross-entropy of the
logits; 95 % interval of the accuracy: 99.02 to 99.37 %
note: a note of training

2 passed. 40 of 40 points.
"""
    )


def test_other_outcomes() -> None:
    course = rules(
        rule("style", "linear", level="warning", points=0, line=3),
        rule("either", "global-average-pool", "linear", needs="any", points=0, line=5),
        rule("accuracy", "accuracy", points=0),
    )
    bare = Finding("linear", "error", "no linear layer")
    results = (
        result("linear", "fail", "broken"),
        result("global-average-pool", "fail", "no pooling"),
        result("linear", "fail", "no linear layer", bare),
        result("accuracy", "error", "could not be confirmed: the budget of 5 s ended"),
    )
    report = graded_report(course, submission(), graded(*results), UNUSED, trained=True)
    assert (
        text(msgspec.structs.replace(report, notes=()))
        == """\
Checked model.py (class Net) against rules.yaml

error[either]: no linear layer
  set: rules.yaml:5
  any: one of global-average-pool, linear is enough

warning[style]: broken
  set: rules.yaml:3

undecided[accuracy]: could not be confirmed: the budget of 5 s ended

1 failed, 1 not met, 1 undecided.
"""
    )


def test_an_ungraded_report() -> None:
    frames = (Frame(Span("model.py", 9, 5, 9, 8), "forward"), Frame(Span("model.py", 10, 16, 10, 37), "helper"))
    obstacle = Obstacle(
        "forward",
        "forward raised RuntimeError",
        "why so",
        "do this",
        "RuntimeError: mat1 and mat2\n  shapes differ",
        frames=frames,
    )
    report = error_report(rules(rule("a", "linear")), submission(folder="hw"), obstacle)
    assert (
        text(report)
        == """\
error[forward]: forward raised RuntimeError
  --> hw/model.py:10:16
   |
10 |         return self.fc(x.flatten(1))
   |                ^^^^^^^^^^^^^^^^^^^^^
   |
  got: RuntimeError: mat1 and mat2
       shapes differ
  via: hw/model.py:9:5, in forward: def forward(self, x):
       hw/model.py:10:16, in helper: return self.fc(x.flatten(1))
  why: why so
  fix: do this

hw/model.py was not graded.
"""
    )


def test_candidates_are_shown_as_they_are_typed() -> None:
    obstacle = Obstacle("ambiguous", "2 models", candidates=("Net", "My Net"), option="--class")
    assert (
        text(error_report(rules(), "hw", obstacle))
        == """\
error[ambiguous]: 2 models
  try: --class Net
       --class 'My Net'

hw was not graded.
"""
    )


def test_without_an_option_there_is_nothing_to_type() -> None:
    report = error_report(rules(), submission(), Obstacle("no-model", "no model", candidates=("Loss",)))
    assert text(report) == "error[no-model]: no model\n\nmodel.py was not graded.\n"


def test_an_exception_in_the_headline_is_not_repeated() -> None:
    obstacle = Obstacle("forward", "ValueError: odd (in forward)", error="ValueError: odd")
    report = error_report(rules(), submission(), obstacle)
    assert text(report) == "error[forward]: ValueError: odd (in forward)\n\nmodel.py was not graded.\n"


def test_a_span_of_several_lines() -> None:
    assert (
        diagnostic(at(1, 5, 3, 6), b"x = net(\n    a,\n    b)\n")
        == """\
1 | / x = net(
2 | |     a,
3 | |     b)
  | |_____^ here"""
    )


def test_a_span_of_very_many_lines() -> None:
    source = b"".join(b"line %d\n" % number for number in range(1, 20))
    assert diagnostic(at(1, 1, 15, 4), source).split("\n")[-3:] == ["8 | | line 8", "... |", "  | |___^ here"]


def test_tabs_reach_to_the_next_stop() -> None:
    assert diagnostic(at(1, 3, 1, 4), b"\ta\tb\n") == "1 |     a   b\n  |      ^^^ here"
    assert diagnostic(at(1, 4, 1, 5), b"\ta\tb\n") == "1 |     a   b\n  |         ^ here"


def test_wide_characters_take_two_columns() -> None:
    source = "名前 = f(x)\n".encode()
    assert diagnostic(at(1, 6, 1, 10), source) == "1 | 名前 = f(x)\n  |        ^^^^ here"
    assert diagnostic(at(1, 1, 1, 3), source) == "1 | 名前 = f(x)\n  | ^^^^ here"


def test_what_cannot_be_seen_is_spelled_out_and_underlined_whole() -> None:
    source = "x =\u00a0'\u202e\x1b[31m'\n".encode()
    assert diagnostic(at(1, 4, 1, 5), source) == "1 | x =\\xa0'\\u202e\\x1b[31m'\n  |    ^^^^ here"


def test_a_long_line_is_cut_around_the_place() -> None:
    source = b"a" * 200 + b"bbb" + b"c" * 200 + b"\n"
    found = diagnostic(at(1, 201, 1, 204), source, 40)
    assert found == "1 | …" + "a" * 8 + "bbb" + "c" * 23 + "…\n  |          ^^^ here"
    assert diagnostic(at(1, 1, 1, 3), source, 40) == "1 | " + "a" * 35 + "…\n  | ^^ here"
    assert diagnostic(at(1, 402, 1, 404), source, 40) == "1 | …" + "c" * 34 + "\n  |" + " " * 34 + "^^\n  | here"


def test_a_place_without_columns_underlines_the_line() -> None:
    assert diagnostic(at(1, 0, 0, 0), b"    x = 1  \n") == "1 |     x = 1\n  |     ^^^^^ here"


def test_a_place_at_the_end_of_a_line() -> None:
    assert diagnostic(at(1, 3, 1, 4), b"f(\n") == "1 | f(\n  |   ^ here"
    assert diagnostic(at(1, 1, 1, 2), b"\n") == "1 |\n  | ^ here"


def test_columns_beyond_the_line_underline_what_there_is() -> None:
    assert diagnostic(at(1, 900, 1, 999), b"  x\n") == "1 |   x\n  |   ^ here"
    assert diagnostic(at(1, 2, 1, 999), b"abc\n") == "1 | abc\n  |  ^^ here"


def test_a_notebook_is_counted_by_cell() -> None:
    book = b'{"cells": [{"cell_type": "code", "source": "a = 1"}, {"cell_type": "code", "source": "b = 2\\nc = 3"}]}'
    finding = replace(at(5, 1, 5, 2), span=Span("n.ipynb", 5, 1, 5, 2))
    found = text(failing(finding, book, entry="n.ipynb")).split("\n")
    assert found[3:7] == [" --> n.ipynb:cell 2:2:1", "  |", "2 | c = 3", "  | ^ here"]


HOSTILE = "[bold]x[/bold] \x1b]0;t\x07 \r\n ::error:: \u202eabc \ud7ff :smile: %0A"


def hostile() -> Report:
    finding = Finding("linear", "error", HOSTILE, HOSTILE, HOSTILE, Span("model.py", 1, 1, 1, 2), HOSTILE)
    report = failing(finding, HOSTILE.encode() + b"\n")
    row = msgspec.structs.replace(report.submission, class_name=HOSTILE, stand_ins=(HOSTILE,), path=HOSTILE)
    return msgspec.structs.replace(report, submission=row, notes=(HOSTILE,))


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_nothing_of_a_submission_acts_on_a_terminal(form: str) -> None:
    obstacle = Obstacle("load", HOSTILE, HOSTILE, HOSTILE, HOSTILE, candidates=(HOSTILE,), option="--class")
    for report in (hostile(), error_report(rules(), HOSTILE, obstacle)):
        shown = text(report, form=form)
        assert [character for character in shown if not character.isprintable() and character != "\n"] == []


def test_markup_is_inert() -> None:
    assert "error[gap-no-linear]: [bold]x[/bold] \\x1b]0;t\\x07" in text(hostile())


def test_colours_only_where_they_may_be_used() -> None:
    assert ESCAPE not in text(failing())
    coloured = render(failing(), "terminal", Options(100, colour=True))
    assert (
        coloured.split("\n")[2]
        == "\x1b[1;31merror[gap-no-linear]\x1b[0m\x1b[1m: a linear layer makes the prediction\x1b[0m"
    )


def test_concise() -> None:
    assert text(failing(folder="hw"), form="concise") == (
        "hw/model.py:10:16: error[gap-no-linear] a linear layer makes the prediction\n"
    )
    passing = graded_report(rules(rule("a", "linear")), submission(), graded(result("linear")), UNUSED, trained=False)
    assert text(passing, form="concise") == ""
    obstacle = Obstacle("syntax", "not Python", span=Span("model.py", 3, 7))
    assert (
        text(error_report(rules(), submission(), obstacle), form="concise")
        == "model.py:3:7: error[syntax] not Python\n"
    )
    obstacle = Obstacle("missing", "there is no file 'a\n.py'")
    assert text(error_report(rules(), "a\n.py", obstacle), form="concise") == (
        "a\\x0a.py: error[missing] there is no file 'a\\x0a.py'\n"
    )


def in_sandbox(sandbox: SandboxReport) -> Report:
    return graded_report(rules(rule("a", "linear")), submission(), graded(result("linear")), sandbox, trained=False)


def test_what_the_sandbox_could_not_give_is_shown() -> None:
    assert text(in_sandbox(SANDBOX)) == (
        "Checked model.py (class Net) against rules.yaml\n\n"
        "ok[a]: linear is pass\n"
        "sandbox: partial (seccomp)\n"
        "  why: it could read a file: the kernel has no Landlock\n"
        "  fix: Use Linux 5.13 or newer.\n\n"
        "1 passed. 20 of 20 points.\n"
    )
    assert text(in_sandbox(SANDBOX), form="concise") == (
        "model.py: warning[sandbox] partial: it could read a file, the kernel has no Landlock\n"
    )


def test_a_sealed_sandbox_is_one_line() -> None:
    sealed = SandboxReport("sealed", {"time": "wall clock", "landlock": "Landlock (ABI 6)", "seccomp": "a filter"})
    assert text(in_sandbox(sealed)).split("\n")[3] == "sandbox: sealed (landlock, seccomp)"
    assert text(in_sandbox(sealed), form="concise") == ""


def test_concise_without_findings() -> None:
    course = rules(rule("a", "linear", level="warning"), rule("b", "dropout"), rule("c", "parameters"))
    results = (result("linear", "fail", "one"), result("dropout", "error", "two"), result("parameters"))
    report = graded_report(course, submission(), graded(*results), UNUSED, trained=False)
    assert text(report, form="concise") == "model.py: warning[a] one\nmodel.py: undecided[b] two\n"


def test_json() -> None:
    row = EpochRow(1, None, 10.0, None, 1.0)
    report = graded_report(
        rules(rule("accuracy", "accuracy")),
        submission(),
        graded(result("accuracy"), training=training(curve=(row,))),
        SANDBOX,
        trained=True,
    )
    document = json.loads(text(report, form="json"))
    assert list(document) == [
        "schema", "verdict", "title", "rules_file", "submission", "rules", "error", "model", "training", "sandbox",
        "notes", "score", "max_score", "reproduce",
    ]  # fmt: skip
    assert (document["schema"], document["verdict"], document["score"], document["max_score"]) == (1, "pass", 20, 20)
    assert document["training"]["curve"][0]["loss"] is None
    assert document["sandbox"] == {
        "level": "partial",
        "layers": {
            "landlock": "not in force: the kernel has no Landlock",
            "seccomp": "a filter that allows 84 system calls",
        },
        "gaps": [
            {
                "what": "it could read a file",
                "reason": "the kernel has no Landlock",
                "fix": "Use Linux 5.13 or newer.",
            }
        ],
    }


def test_json_says_the_same_with_escapes() -> None:
    report = hostile()
    assert json.loads(text(report, form="json")) == json.loads(msgspec.json.encode(report))


def layer(op: str, module: str, shape: tuple[int, ...], parameters: int = 0, macs: int = 0) -> Layer:
    return Layer(module, f"torch.nn.functional.{op}", "conv", shape, parameters, macs)


def test_the_layer_table() -> None:
    layers = (
        layer("conv2d", "conv1.0", (4, 26, 26), 36, 24336),
        layer("relu", "conv1.2", (4, 26, 26)),
        layer("sum", "", ()),
    )
    answer = msgspec.structs.replace(graded(result("linear")), layers=layers, parameters=36)
    report = graded_report(rules(rule("a", "linear")), submission(), answer, UNUSED, trained=False)
    assert (
        text(report, form="layers")
        == """\
operator  module    output  parameters    MACs
──────────────────────────────────────────────
conv2d    conv1.0  4×26×26          36  24,336
relu      conv1.2  4×26×26
sum                 scalar
──────────────────────────────────────────────
total                               36  24,336
"""
    )
    narrow = msgspec.structs.replace(answer, layers=(layer("conv2d", "a.very.long.path.of.modules", (4, 26, 26), 36),))
    report = graded_report(rules(rule("a", "linear")), submission(), narrow, UNUSED, trained=False)
    assert text(report, 44, "layers").split("\n")[2] == "conv2d    a.very.…  4×26×26          36"


def test_layers_of_what_was_not_graded() -> None:
    report = error_report(rules(), "a.py", Obstacle("missing", "there is no file 'a.py'"))
    assert text(report, form="layers") == text(report)


def test_pages() -> None:
    check = Check("dropout", msgspec.Struct, "It drops.\n\nMore\nof it.", lambda subject, options: result("dropout"))
    assert page(check, Options()) == "# dropout\n\nIt drops.\n\nMore\nof it.\n"
    assert ESCAPE in page(check, Options(80, colour=True))
    other = replace(check, id="a", page="A summary that is\nlong enough to be wrapped over two lines.")
    assert (
        table([check, other], Options(40))
        == """\
a        A summary that is long enough
         to be wrapped over two lines.
dropout  It drops.
"""
    )


class Stream:
    """Takes what is written, as a pipe or as a terminal."""

    def __init__(self, terminal: bool = False) -> None:
        self.text = ""
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


def test_progress_without_a_terminal() -> None:
    stream: Any = Stream()
    with progress_on(stream, colour=False) as show:
        for epoch, step, seconds in ((1, 3, 1.0), (1, 7, 2.0), (2, 12, 3.4), (2, 20, 5.0)):
            show(Progress(epoch, 2, step, 20, seconds, 0.25))
    assert stream.text == (
        "training, short stage, epoch 1 of 2, 1 s\n"
        "training, short stage, epoch 2 of 2, 3 s\n"
        "trained for 2 epochs, 5 s, loss 0.250\n"
    )


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream: Any = Stream(terminal=True)
    with progress_on(stream, colour=False) as show:
        show(Progress(1, 2, 5, 20, 1.0, 0.25))
        show(Progress(2, 2, 20, 20, 2.0, 0.125))
    assert "training, short stage, epoch 2 of 2, loss 0.125" in stream.text
    assert "100%" in stream.text


def test_visible() -> None:
    strings = {
        "plain ×": "plain ×",
        "\x1b\x9b\n\t": "\\x1b\\x9b\\x0a\\x09",
        "\u202e\u2028": "\\u202e\\u2028",
        "\U000e0001": "\\U000e0001",
    }
    assert {text: visible(text) for text in strings} == strings
    assert expanded("a\tb\x00") == ["a", "   ", "b", "\\x00"]


@given(st.text(), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_wrapped_lines_fit_and_lose_nothing(words: str, width: int) -> None:
    lines = wrapped(words, width)
    assert "".join("".join(lines).split()) == "".join(words.split())
    assert [line for line in lines if cell_len(line) > width and len(line) > 1] == []


@given(
    st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=120),
    st.integers(-2, 130),
    st.integers(-2, 130),
    st.text(max_size=60),
    st.integers(40, 120),
)
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_terminal(source: str, column: int, end: int, label: str, width: int) -> None:
    shown = text(failing(at(1, column, 1, end, label), f"{source}\n".encode()), width)
    assert [line for line in shown.split("\n") if cell_len(line) > width] == []


def test_findings_are_ordered_by_place() -> None:
    late = replace(LINEAR, message="late")
    early = replace(LINEAR, message="early", span=Span("model.py", 7, 9, 7, 37))
    nowhere = replace(LINEAR, message="nowhere", span=None)
    course = rules(rule("a", "linear"), rule("b", "dropout"))
    results = (result("linear", "fail", "x", nowhere, late), result("dropout", "fail", "y", early))
    report = graded_report(course, submission(), graded(*results), UNUSED, trained=False)
    assert [(rule.id, finding.message) for rule, finding in by_place(report)] == [
        ("b", "early"),
        ("a", "late"),
        ("a", "nowhere"),
    ]


def test_the_parameter_budget() -> None:
    layers = (layer("conv2d", "conv", (4, 26, 26), 30), layer("linear", "", (10,), 60), layer("relu", "act", (10,)))
    answer = msgspec.structs.replace(graded(result("linear")), layers=layers, parameters=100)
    report = graded_report(rules(rule("a", "linear")), submission(), answer, UNUSED, trained=False)
    assert budget(report) == (
        Share("torch.nn.functional.linear", 60, 60.0),
        Share("conv", 30, 30.0),
        Share("never used", 10, 10.0),
    )
    assert budget(failing()) == (Share("never used", 8932, 100.0),)
    assert budget(msgspec.structs.replace(report, model=None)) == ()
