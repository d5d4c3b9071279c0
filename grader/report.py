"""The report on one submission: frozen plain data, which is the JSON that s5-grade publishes.

A rule is `fail` when a check says so, `error` when a check could not be made, `skipped` when one was not asked for. A
rule that needs all of its checks takes the worst of their outcomes, one that needs any of them the best. A failed rule
of level error makes the verdict `fail`, whatever else could not be found out: no later finding would change it. Without
one, a rule that could not be decided makes it `error`. `score` and `max_score` count the decided rules alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from grader.finding import CheckResult, Finding, Level, Span, Status
from grader.manifest import Submission
from grader.notebook import cell_ranges, is_notebook, manifest_text
from grader.protocol import CheckRequest, Frame, Graded, Layer, Refusal, TrainingReport
from grader.rules import CheckUse, Rule, Rules

SCHEMA: Literal[1] = 1
SOURCE_LINES = 8  # of the source that a place carries
SOURCE_WIDTH = 1_000  # code points of each; a longer line is a machine's, and is left out
TEXT_CAP = 2_000  # code points of a text that a submission had a part in
LIST_CAP = 20

OUTPUT = "output"
ACCURACY = "accuracy"
NOT_TRAINED = CheckResult(ACCURACY, "skipped", "not trained (add --train)")

Verdict = Literal["pass", "fail", "error"]

_LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_ALL: tuple[Status, ...] = ("fail", "error", "skipped", "pass")
_ANY: tuple[Status, ...] = ("pass", "error", "skipped", "fail")


class Place(msgspec.Struct, frozen=True):
    """A stretch of a submitted file: 1-based lines and columns in code points, the end exclusive; column 0 is unknown.

    `source` holds the first of these lines. In a notebook `line` counts through its code cells; `cell` is the cell's
    number and `cell_line` the line in it.
    """

    file: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    cell: int | None = None
    cell_line: int | None = None
    source: tuple[str, ...] = ()


class Related(msgspec.Struct, frozen=True):
    """A further place that a finding is about."""

    span: Place
    label: str


class FindingReport(msgspec.Struct, frozen=True):
    """One thing that a check has to say; `level` is never above that of its rule."""

    check: str
    level: Level
    message: str
    label: str = ""
    why: str = ""
    fix: str = ""
    span: Place | None = None
    related: tuple[Related, ...] = ()


class RuleReport(msgspec.Struct, frozen=True):
    """The outcome of one rule. `check` is the check that decided; `set` is where the rule stands, as file:line.

    `message`, `span`, `why` and `fix` are those of the first finding, where there is one.
    """

    id: str
    check: str
    checks: tuple[str, ...]
    needs: Literal["all", "any"]
    status: Status
    level: Level
    message: str
    findings: tuple[FindingReport, ...] = ()
    measured: int | float | None = None
    limit: int | float | None = None
    points: int | float = 0
    max_points: int | float = 0
    span: Place | None = None
    why: str = ""
    fix: str = ""
    set: str = ""


class TraceFrame(msgspec.Struct, frozen=True):
    """One line of a student's traceback."""

    span: Place
    function: str


class ErrorReport(msgspec.Struct, frozen=True):
    """Why a submission could not be graded, and the way out. `candidates` are values for the option `option`."""

    code: str
    message: str
    why: str = ""
    fix: str = ""
    error: str = ""
    span: Place | None = None
    frames: tuple[TraceFrame, ...] = ()
    candidates: tuple[str, ...] = ()
    option: str = ""


class SubmissionReport(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """What was graded: the path that was named, the file with the model, its class and the digest of its bytes.

    Places are relative to `folder`. `stand_ins` are packages that were replaced because they could not be imported.
    """

    path: str
    folder: str = ""
    file: str = ""
    class_name: str = ""
    sha256: str = ""
    stand_ins: tuple[str, ...] = ()


class ModelReport(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """What the model is: its class, its parameters, its layers in the order in which they run."""

    class_name: str
    parameters: int
    layers: tuple[Layer, ...]


class GapReport(msgspec.Struct, frozen=True):
    """Something that the submission's processes could have done and should not: what, why, and how to prevent it."""

    what: str
    reason: str
    fix: str


class SandboxReport(msgspec.Struct, frozen=True):
    """What kept the submission apart from the machine.

    `level` is 'sealed' where neither files nor system calls were within its reach, 'partial' where only one of them was
    kept from it, 'none' where neither was; null where nothing of the submission was run. `layers` tells each layer's
    state in words, `gaps` what keeps the level from being the next one.
    """

    level: Literal["sealed", "partial", "none"] | None
    layers: dict[str, str]
    gaps: tuple[GapReport, ...] = ()


UNUSED = SandboxReport(None, {})


class Report(msgspec.Struct, frozen=True):
    """The whole report on one submission. `error` says why nothing could be graded, where that is so."""

    schema: Literal[1]
    verdict: Verdict
    title: str
    rules_file: str
    submission: SubmissionReport
    rules: tuple[RuleReport, ...]
    error: ErrorReport | None
    model: ModelReport | None
    training: TrainingReport | None
    sandbox: SandboxReport
    notes: tuple[str, ...]
    score: int | float
    max_score: int | float


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stood in the way of grading, as any stage tells it; see `ErrorReport`."""

    code: str
    message: str
    why: str = ""
    fix: str = ""
    error: str = ""
    span: Span | None = None
    frames: tuple[Frame, ...] = ()
    candidates: tuple[str, ...] = ()
    option: str = ""
    stand_ins: tuple[str, ...] = ()

    @classmethod
    def of(cls, refusal: Refusal) -> Obstacle:
        return cls(**{name: getattr(refusal, name) for name in refusal.__struct_fields__})


def graded_report(
    rules: Rules, submission: Submission, graded: Graded, sandbox: SandboxReport, *, trained: bool
) -> Report:
    """Return the report on a submission whose checks were made; their results stand in the order of `asked`."""
    sources = Sources(submission.files)
    results, output = _results(rules, graded, trained)
    rows = [_rule_report(rule, own, sources) for rule, own in zip(rules.rules, results, strict=True)]
    if output is not None and (output.findings or output.status != "pass"):
        rows.append(_output_report(output, sources))
    notes = [_clip(note) for note in graded.loaded.notes[:LIST_CAP]]
    if trained and graded.training is None:
        notes.append(f"nothing to train for: {rules.file} has no accuracy rule")
    return Report(
        schema=SCHEMA,
        verdict=_verdict(rows),
        title=rules.title,
        rules_file=rules.file,
        submission=_submission_report(submission, graded.loaded.class_name, graded.loaded.stand_ins),
        rules=tuple(rows),
        error=None,
        model=ModelReport(_clip(graded.loaded.class_name), graded.parameters, tuple(map(_layer, graded.layers))),
        training=graded.training,
        sandbox=sandbox,
        notes=tuple(notes),
        score=sum(row.points for row in rows),
        max_score=sum(row.max_points for row in rows if row.status in ("pass", "fail")),
    )


def error_report(
    rules: Rules, submission: Submission | str, obstacle: Obstacle, sandbox: SandboxReport = UNUSED
) -> Report:
    """Return the report on a submission that could not be graded, or, as its path alone, not even be read."""
    sources = Sources({} if isinstance(submission, str) else submission.files)
    rows = tuple(
        RuleReport(
            id=rule.id,
            check=rule.checks[0].check,
            checks=tuple(use.check for use in rule.checks),
            needs=rule.needs,
            status="error",
            level=rule.level,
            message="not graded",
            max_points=rule.points,
            set=f"{rule.mark.file}:{rule.mark.line}",
        )
        for rule in rules.rules
    )
    return Report(
        schema=SCHEMA,
        verdict="error",
        title=rules.title,
        rules_file=rules.file,
        submission=_submission_report(submission, "", obstacle.stand_ins),
        rules=rows,
        error=_error_report(obstacle, sources),
        model=None,
        training=None,
        sandbox=sandbox,
        notes=(),
        score=0,
        max_score=0,
    )


def asked(rules: Rules, trained: bool) -> tuple[CheckRequest, ...]:
    """Return the checks to make, in order: those of the rules (accuracy where the model is trained), and `output`."""
    uses = [use for rule in rules.rules for use in rule.checks]
    requests = [CheckRequest(use.check, use.options) for use in uses if _is_asked(use, trained)]
    if not any(use.check == OUTPUT for use in uses):
        requests.append(CheckRequest(OUTPUT))
    return tuple(requests)


def _is_asked(use: CheckUse, trained: bool) -> bool:
    return trained or use.check != ACCURACY


class Sources:
    """The text of the submitted files, for the lines that places show."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lines: dict[str, list[str]] = {}
        self._cells: dict[str, list[tuple[int, int]]] = {}

    def place(self, span: Span | None) -> Place | None:
        """Return a span with its source; None where it names no submitted file or no line."""
        if span is None or span.file not in self._files or span.line < 1:
            return None
        lines = self._lines_of(span.file)
        last = max(span.line, span.end_line)
        source = tuple(lines[span.line - 1 : min(last, span.line - 1 + SOURCE_LINES)])
        if any(len(line) > SOURCE_WIDTH for line in source):
            source = ()
        cell, cell_line = self._cell(span.file, span.line)
        end = (last, span.end_column) if span.column > 0 and last <= len(lines) else (0, 0)
        return Place(span.file, span.line, max(0, span.column), *end, cell, cell_line, source)

    def _lines_of(self, file: str) -> list[str]:
        """Return the lines of a file; each is taken apart once, as it may be large and have many places."""
        if file not in self._lines:
            try:
                text = manifest_text(file, self._files[file])
            except ValueError:  # no text, so nothing to show; the worker has said why
                text = ""
            self._lines[file] = text.split("\n")
            self._cells[file] = list(cell_ranges(text)) if is_notebook(file) else []
        return self._lines[file]

    def _cell(self, file: str, line: int) -> tuple[int | None, int | None]:
        """Return the number of the code cell that a line of a notebook stands in, and its number in that cell."""
        cells = self._cells[file]
        place = bisect_right(cells, line, key=lambda cell: cell[0]) - 1
        if place < 0 or line > cells[place][1]:
            return None, None
        return place + 1, line - cells[place][0] + 1


def _results(rules: Rules, graded: Graded, trained: bool) -> tuple[list[list[CheckResult]], CheckResult | None]:
    """Return the results of each rule's checks, in order, and that of `output` where no rule asks for it."""
    wanted = asked(rules, trained)
    if [result.check for result in graded.results] != [request.check for request in wanted]:
        raise ValueError("the results are not those of the checks that were asked for")
    results = iter(graded.results)
    rows = [
        [_judged(next(results), graded.training) if _is_asked(use, trained) else NOT_TRAINED for use in rule.checks]
        for rule in rules.rules
    ]
    return rows, next(results, None)


def _judged(result: CheckResult, training: TrainingReport | None) -> CheckResult:
    """An accuracy that training left open is an error whatever the check says: it was neither reached nor missed."""
    if result.check != ACCURACY or training is None or training.outcome != "open" or result.status == "error":
        return result
    return CheckResult(ACCURACY, "error", f"could not be confirmed: {training.reason}", limit=result.limit)


def _rule_report(rule: Rule, results: Sequence[CheckResult], sources: Sources) -> RuleReport:
    order = _ALL if rule.needs == "all" else _ANY
    deciding = min(results, key=lambda result: order.index(result.status))
    # Where any one is enough, what the others lack is of no interest once one holds.
    telling = results if rule.needs == "all" or deciding.status == "fail" else [deciding]
    measuring = next((result for result in (deciding, *telling) if result.measured is not None), deciding)
    findings = tuple(_finding(finding, rule.level, sources) for result in telling for finding in result.findings)
    row = RuleReport(
        id=rule.id,
        check=deciding.check,
        checks=tuple(use.check for use in rule.checks),
        needs=rule.needs,
        status=deciding.status,
        level=rule.level,
        message=_message(deciding, telling),
        findings=findings,
        measured=measuring.measured,
        limit=measuring.limit,
        points=rule.points if deciding.status == "pass" else 0,
        max_points=rule.points,
        set=f"{rule.mark.file}:{rule.mark.line}",
    )
    return _with_first(row)


def _output_report(result: CheckResult, sources: Sources) -> RuleReport:
    findings = tuple(_finding(finding, "error", sources) for finding in result.findings)
    row = RuleReport(OUTPUT, OUTPUT, (OUTPUT,), "all", result.status, "error", _clip(result.message), findings)
    return _with_first(row)


def _with_first(row: RuleReport) -> RuleReport:
    """Return a rule with the place and the advice of its first finding."""
    if not row.findings:
        return row
    first = min(row.findings, key=lambda finding: _LEVELS.index(finding.level))
    return msgspec.structs.replace(row, span=first.span, why=first.why, fix=first.fix)


def _message(deciding: CheckResult, telling: Sequence[CheckResult]) -> str:
    """Return the line of a rule: what its checks have to say, or, where one decided against it, what that one has."""
    if deciding.status != "pass":
        return _clip(deciding.message)
    return _clip("; ".join(dict.fromkeys(result.message for result in telling if result.message)))


def _finding(finding: Finding, ceiling: Level, sources: Sources) -> FindingReport:
    related = [(sources.place(span), _clip(label)) for span, label in finding.related[:LIST_CAP]]
    return FindingReport(
        check=finding.check,
        level=max(finding.level, ceiling, key=_LEVELS.index),
        message=_clip(finding.message),
        label=_clip(finding.label),
        why=_clip(finding.why),
        fix=_clip(finding.fix),
        span=sources.place(finding.span),
        related=tuple(Related(place, label) for place, label in related if place is not None),
    )


def _verdict(rows: Sequence[RuleReport]) -> Verdict:
    decisive = {row.status for row in rows if row.level == "error"}
    if "fail" in decisive:
        return "fail"
    return "error" if "error" in decisive else "pass"


def _submission_report(submission: Submission | str, class_name: str, stand_ins: tuple[str, ...]) -> SubmissionReport:
    packages = tuple(_clip(name) for name in stand_ins[:LIST_CAP])
    if isinstance(submission, str):
        return SubmissionReport(submission)
    return SubmissionReport(
        submission.path, submission.folder, submission.entry, _clip(class_name), submission.sha256, packages
    )


def _error_report(obstacle: Obstacle, sources: Sources) -> ErrorReport:
    frames = [(sources.place(frame.span), _clip(frame.function)) for frame in obstacle.frames[-LIST_CAP:]]
    shown = tuple(TraceFrame(place, function) for place, function in frames if place is not None)
    return ErrorReport(
        code=obstacle.code,
        message=_clip(obstacle.message),
        why=_clip(obstacle.why),
        fix=_clip(obstacle.fix),
        error=_clip(obstacle.error),
        span=sources.place(obstacle.span) or (shown[-1].span if shown else None),
        frames=shown,
        candidates=tuple(_clip(name) for name in obstacle.candidates[:LIST_CAP]),
        option=obstacle.option,
    )


def _layer(layer: Layer) -> Layer:
    return msgspec.structs.replace(layer, module=_clip(layer.module)) if len(layer.module) > TEXT_CAP else layer


def _clip(text: str) -> str:
    return text if len(text) <= TEXT_CAP else text[: TEXT_CAP - 1] + "…"
