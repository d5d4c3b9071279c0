"""A report from what the processes found, or from what stood in their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from grader.finding import CheckResult, Finding, Level, Span, Status
from grader.manifest import Submission
from grader.protocol import CheckRequest, Frame, Graded, Layer, Refusal, TrainingReport
from grader.report.sources import Sources
from grader.report.types import (
    SCHEMA,
    UNUSED,
    ErrorReport,
    FindingReport,
    ModelReport,
    Related,
    Report,
    Reproduction,
    RuleReport,
    SandboxReport,
    SubmissionReport,
    TraceFrame,
    Verdict,
)
from grader.rules import CheckUse, Rule, Rules

UNTOLD = Reproduction()

TEXT_CAP = 2_000  # code points of a text that a submission had a part in
LIST_CAP = 20

OUTPUT = "output"
ACCURACY = "accuracy"
NOT_TRAINED = CheckResult(ACCURACY, "skipped", "not trained (add --train)")

_LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_ALL: tuple[Status, ...] = ("fail", "error", "skipped", "pass")
_ANY: tuple[Status, ...] = ("pass", "error", "skipped", "fail")


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
    rules: Rules,
    submission: Submission,
    graded: Graded,
    sandbox: SandboxReport,
    *,
    trained: bool,
    reproduce: Reproduction = UNTOLD,
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
        max_score=sum(row.max_points for row in rows if row.status != "skipped"),
        reproduce=reproduce,
    )


def error_report(
    rules: Rules,
    submission: Submission | str,
    obstacle: Obstacle,
    sandbox: SandboxReport = UNUSED,
    *,
    reproduce: Reproduction = UNTOLD,
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
        reproduce=reproduce,
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
    edits = [sources.edit(span, text) for span, text in finding.edits[:LIST_CAP]]
    return FindingReport(
        check=finding.check,
        level=max(finding.level, ceiling, key=_LEVELS.index),
        message=_clip(finding.message),
        label=_clip(finding.label),
        why=_clip(finding.why),
        fix=_clip(finding.fix),
        span=sources.place(finding.span),
        related=tuple(Related(place, label) for place, label in related if place is not None),
        # Half of a change is none: where one part cannot be told exactly, the fix says it in words alone.
        edits=tuple(edit for edit in edits if edit is not None) if all(edits) else (),
        after=finding.after,
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
