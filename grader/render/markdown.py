"""The report as Markdown, for the summary of a job on GitHub, a comment, or a page of one's own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from grader.protocol import EpochRow, Layer, SeedReport, TrainingReport
from grader.render import Options
from grader.render.diagnostic import source
from grader.render.edits import edited
from grader.render.escape import shortened
from grader.render.excerpt import Mark
from grader.render.gfm import cell, details, fence, inline, joined, table
from grader.render.marks import OUTCOMES
from grader.render.mermaid import curve, flowchart
from grader.render.places import by_place, position
from grader.render.words import CLAIMS, closing, first_curve, notes
from grader.report import ErrorReport, FindingReport, Place, Report, RuleReport, SandboxReport

SIZE_CAP = 1024 * 1024  # bytes of a step's summary
WIDTH = 100  # columns of an excerpt
LAYERS = 200  # rows of the table of layers
EPOCHS = 100  # rows of the table of epochs
VERDICTS = {"pass": "passed", "fail": "failed", "error": "undecided"}


def render(report: Report, options: Options) -> str:
    """Return the report as a page of less than 1 MiB."""
    return joined(_blocks(report), SIZE_CAP)


def _blocks(report: Report) -> Iterator[str]:
    verdict = "not graded" if report.error is not None else VERDICTS[report.verdict]
    yield f"## {inline(report.title) or 's5-grade'}: {verdict}"
    submission = report.submission
    class_name = f" (class {inline(submission.class_name)})" if submission.class_name else ""
    checked = f"Checked {inline(submission.path)}{class_name} against {inline(report.rules_file)}."
    yield f"{checked} {inline(closing(report))}"
    if report.error is not None:
        yield from _error(report, report.error)
    else:
        yield _rules(report)
        for rule, finding in by_place(report):
            yield "\n\n".join(_finding(report, rule, finding))
    if remarks := notes(report, tables=True):
        yield "\n".join(f"- Note: {inline(note)}" for note in remarks)
    if report.training is not None:
        yield from _training(report.training)
    if report.model is not None and report.model.layers:
        yield from _model(report.model.layers, report.model.parameters)
    yield from _sandbox(report.sandbox)
    yield from _reproduction(report)


def _rules(report: Report) -> str:
    rows = [
        (cell(rule.id), _outcome(rule), f"{rule.points:g} of {rule.max_points:g}", cell(rule.message))
        for rule in report.rules
    ]
    return table(("rule", "outcome", "points", "what was found"), rows, right=(2,))


def _outcome(rule: RuleReport) -> str:
    return "not met" if rule.status == "fail" and rule.level != "error" else OUTCOMES[rule.status]


def _finding(report: Report, rule: RuleReport, finding: FindingReport) -> Iterator[str]:
    yield f"### {finding.level}: {inline(finding.message)}"
    at = f" at {inline(position(report, finding.span))}" if finding.span is not None else ""
    yield f"Rule {inline(rule.id)}{at}"
    if finding.span is not None:
        marks = [Mark(finding.span, finding.label, "")]
        marks += [Mark(related.span, related.label, "", "-") for related in finding.related]
        yield from _excerpt(report, marks)
    if finding.why:
        yield f"**Why:** {inline(finding.why)}"
    if finding.fix:
        yield f"**Fix:** {inline(finding.fix)}"
    changes = [f"-{before}\n+{after}" for _, before, after in edited(finding)]
    if changes:
        yield fence("\n".join(changes), "diff")
    if finding.after is not None:
        yield f"After that the model has {finding.after:,} parameters."


def _excerpt(report: Report, marks: Sequence[Mark]) -> Iterator[str]:
    if any(mark.place.source for mark in marks):
        yield fence("\n".join(line.plain for line in source(report, marks, Options(WIDTH))))


def _error(report: Report, error: ErrorReport) -> Iterator[str]:
    yield f"### {inline(error.code)}: {inline(error.message)}"
    if error.span is not None:
        yield from _excerpt(report, [Mark(error.span, "", "")])
    if error.error.strip() and error.error.strip() not in error.message:
        yield fence(error.error)
    if len(error.frames) > 1:
        yield "\n".join(f"1. {_frame(report, frame.span, frame.function)}" for frame in error.frames)
    if error.why:
        yield f"**Why:** {inline(error.why)}"
    if error.fix:
        yield f"**Fix:** {inline(error.fix)}"
    if error.option and error.candidates:
        yield fence("\n".join(f"{error.option} {shlex.quote(candidate)}" for candidate in error.candidates))


def _frame(report: Report, place: Place, function: str) -> str:
    return f"at {inline(position(report, place))} in {inline(function)}"


def _training(training: TrainingReport) -> Iterator[str]:
    yield f"### Training\n\nThe claim that {inline(training.claim)} is {CLAIMS[training.outcome]}."
    if training.planned > 1:
        seeds = [(f"{seed.seed}", *_seed(seed)) for seed in training.seeds]
        yield table(("seed", "accuracy %", "errors", "epochs", "seconds", "left open by"), seeds, right=(0, 1, 2, 3, 4))
    if chart := curve(first_curve(training)[:EPOCHS]):
        yield fence(chart, "mermaid")
    if rows := [_epoch(row) for row in training.curve[:EPOCHS]]:
        names = ("epoch", "loss", "training %", "held out %", "seconds", "test errors")
        columns = len(names) - all(row.test_errors is None for row in training.curve)
        rows = [row[:columns] for row in rows]
        yield details("The epochs", table(names[:columns], rows, right=range(1, columns)))


def _epoch(row: EpochRow) -> tuple[str, ...]:
    seed = "" if row.seed is None else f"seed {row.seed}, "
    return (
        f"{seed}{row.stage} {row.epoch}",
        _number(row.loss, 3),
        _number(row.train_accuracy, 2),
        _number(row.held_out_accuracy, 2),
        _number(row.seconds),
        _number(row.test_errors),
    )


def _seed(seed: SeedReport) -> tuple[str, ...]:
    numbers = (_number(seed.accuracy, 2), _number(seed.errors), _number(seed.epochs), _number(seed.seconds))
    return *numbers, cell(seed.reason)


def _number(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _model(layers: Sequence[Layer], parameters: int) -> Iterator[str]:
    rows = [
        (
            cell(layer.op.rpartition(".")[2]),
            cell(shortened(layer.module, 80)),
            "×".join(map(str, layer.shape)) or "scalar",
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.macs:,}" if layer.macs else "",
        )
        for layer in layers[:LAYERS]
    ]
    rest = [f"{len(layers) - LAYERS} more layers are left out."] if len(layers) > LAYERS else []
    names = ("operator", "module", "output", "parameters", "MACs")
    drawing = flowchart(layers)
    yield details(
        f"The model: {parameters:,} parameters, {len(layers)} layers",
        table(names, rows, right=(2, 3, 4)),
        *rest,
        *([fence(drawing, "mermaid")] if drawing else []),
    )


def _sandbox(sandbox: SandboxReport) -> Iterator[str]:
    if sandbox.level is None:
        return
    gaps = [f"- Gap: {inline(gap.what)}: {inline(gap.reason)}. {inline(gap.fix)}" for gap in sandbox.gaps]
    yield "\n".join([f"Sandbox: {sandbox.level}", *([""] if gaps else []), *gaps])


def _reproduction(report: Report) -> Iterator[str]:
    again = report.reproduce
    if not again.command:
        return
    versions = ", ".join(f"{name} {version}" for name, version in again.versions.items())
    digest = f"The file's SHA-256 is {inline(report.submission.sha256)}. " if report.submission.sha256 else ""
    rules = f"That of the rules is {inline(again.rules_sha256)}." if again.rules_sha256 else ""
    yield details("To grade it again", fence(again.command), f"With {inline(versions)}. {digest}{rules}".rstrip())
