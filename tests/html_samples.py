"""Reports whose pages show everything that a page can show, and reports that a page must survive."""

from __future__ import annotations

from typing import Any

import msgspec
from samples import SANDBOX, rule, rules, submission, training

from grader.finding import CheckResult, Finding, Span
from grader.protocol import EpochRow, Frame, Graded, Layer, Loaded
from grader.report import UNUSED, Obstacle, Report, Reproduction, error_report, graded_report

SOURCE = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.fc = nn.Linear(
            8 * 26 * 26,
            10,
        )

    def forward(self, x):
\tx = self.conv(x) + x.mean()
        return self.fc(x.flatten(1))
"""

# Would run, end an element, be taken as a template, or hide, wherever it were not escaped.
HOSTILE = (
    "</style></title></code></svg><script>window.pwned=1</script>"
    "<img src='//x.invalid/a.png' onerror=\"window.pwned=1\">"
    "<svg onload='window.pwned=1'>{{7*7}}{% raw %}<!-- ]]> &lt;\" ' ` \u202eevil\u202c\x00\x1b[31m\u2028\u00a0end"
)

# Words of which the page makes a choice; any other would be no report.
CHOICES = {"verdict", "status", "level", "needs", "outcome", "stage", "output", "schema", "kind", "claim_kind"}


AGAIN = Reproduction("s5-grade model.py --train", {"s5-grade": "1.0", "torch": "2.4"}, "ab" * 32)


def span(line: int, column: int = 0, end_line: int = 0, end_column: int = 0) -> Span:
    return Span("model.py", line, column, end_line, end_column)


def findings() -> tuple[Finding, ...]:
    return (
        Finding(
            "linear",
            "error",
            "a linear layer makes the prediction",
            why="The map is weighted number by number.",
            fix="Pool the map instead.",
            span=span(15, 16, 15, 37),
            label="5,408 × 10 weights applied here",
            related=((span(8, 19, 11, 10), "made here"),),
            edits=(
                (span(7, 21, 7, 39), "nn.Conv2d(1, 9, 3)"),
                (span(15, 24, 15, 36), "x.mean((2, 3))"),
            ),
            after=170,
        ),
        Finding("linear", "warning", "a mean is added", span=span(14)),
        Finding("linear", "note", "nothing more"),
    )


def layers() -> tuple[Layer, ...]:
    return (
        Layer("stem.0", "torch.conv2d", "conv", (8, 26, 26), 80, 48_672, span(14), (-1,)),
        Layer("stem.1", "relu", "activation", (8, 26, 26), 0, 0, None, (0,)),
        Layer("", "add", "arithmetic", (8, 26, 26), 0, 0, None, (0, 1)),
        Layer("fc", "linear", "dense", (10,), 54_090, 54_080, span(15), (2,)),
    )


def trained() -> Any:
    rows = [
        (1, 0.9, 80.0, 85.0, 20.0, "short"),
        (2, 0.4, 90.0, None, 40.0, "short"),
        (1, 0.2, 95.5, 96.0, 70.0, "long"),
    ]
    curve = tuple(EpochRow(*row) for row in rows)  # type: ignore[arg-type]
    return training("missed", accuracy=97.5, errors=250, interval=(97.17, 97.8), curve=curve, notes=("no gradient",))


def full() -> Report:
    """Return a report with something in each of its places."""
    course = rules(
        rule("gap-no-linear", "linear", "global-average-pool", needs="any"),
        rule("param-count", "parameters"),
        rule("dropout", "dropout", level="warning"),
        rule("accuracy", "accuracy"),
    )
    results = (
        CheckResult("linear", "fail", "a linear layer makes the prediction", findings()),
        CheckResult("global-average-pool", "fail", "no pooling"),
        CheckResult("parameters", "pass", "19,000 parameters", measured=19_000, limit=20_000),
        CheckResult("dropout", "fail", "no dropout"),
        CheckResult("accuracy", "fail", "97.50 % (250 errors in 10,000)"),
        CheckResult("output", "pass", ""),
    )
    loaded = Loaded("Net", stand_ins=("cv2",), notes=("a note",))
    answer = Graded(results, loaded, 54_170, layers(), trained())
    report = graded_report(course, submission(SOURCE.encode()), answer, SANDBOX, trained=True)
    return msgspec.structs.replace(report, reproduce=AGAIN)


def ungraded(**changes: Any) -> Report:
    """Return a report on a submission that could not be graded."""
    facts: dict[str, Any] = {
        "code": "ambiguous",
        "message": "2 models in model.py",
        "why": "Only one is graded.",
        "fix": "Name one.",
        "error": "ValueError: no\nmore",
        "span": span(15, 16, 15, 37),
        "frames": (Frame(span(14, 6), "forward"), Frame(span(15, 16, 15, 37), "helper")),
        "candidates": ("Net", "Other Net"),
        "option": "--class",
    }
    obstacle = Obstacle(**{**facts, **changes})
    report = error_report(rules(rule("dropout", "dropout")), submission(SOURCE.encode()), obstacle, UNUSED)
    return msgspec.structs.replace(report, reproduce=AGAIN)


def hostile(report: Report, text: str = HOSTILE) -> Report:
    """Return a report with a hostile text wherever one stands that is not one of a few words."""
    return msgspec.convert(_poisoned(msgspec.to_builtins(report), text), Report)


def _poisoned(value: Any, text: str) -> Any:
    match value:
        case dict():
            return {key: one if key in CHOICES else _poisoned(one, text) for key, one in value.items()}
        case list() | tuple():
            return [_poisoned(one, text) for one in value]
        case str():
            return text
    return value


def endless(rows: int = 5_000) -> Report:
    """Return a report with far more of everything than a page can hold, and lines without an end."""
    report = full()
    assert report.model is not None
    assert report.training is not None
    long = "x" * 900
    table = tuple(
        Layer(
            f"block{row // 7}.{long[:90]}.{row}", "conv2d", "conv", (512, 1024, 1024), 10**9, 10**15, None, reads(row)
        )
        for row in range(rows)
    )
    place = msgspec.structs.replace(report.rules[0].findings[0].span, source=(long,) * 8, end_line=4_000, column=880)
    many = (msgspec.structs.replace(report.rules[0].findings[0], span=place, message=long, edits=()),) * 500
    first = msgspec.structs.replace(report.rules[0], findings=many)
    curve = report.training.curve * 400
    return msgspec.structs.replace(
        report,
        rules=(first, *report.rules[1:]),
        model=msgspec.structs.replace(report.model, layers=table),
        training=msgspec.structs.replace(report.training, curve=curve),
        notes=(long,) * 500,
    )


def reads(row: int) -> tuple[int, ...]:
    """Return what a row of a densely joined model reads."""
    return tuple(sorted({row - 1, max(-1, row - 9), max(-1, row - row % 50 - 1)}))
