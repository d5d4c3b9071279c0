"""The report for people: each finding with the source that it is about, why it matters and how to fix it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec
from rich.text import Text

from grader.protocol import MISSING
from grader.render import Options
from grader.render.diagnostic import STYLES, diagnostic, source
from grader.render.escape import visible
from grader.render.excerpt import Mark
from grader.render.places import by_place, position
from grader.render.prose import NARROW, cut, field, headline, prose, to_text
from grader.render.words import closing, notes
from grader.report import ErrorReport, Report, RuleReport, SandboxReport

ERROR_LINES = 12  # of what a submission's exception says

WORDS = {"pass": ("ok", "bold green"), "skipped": ("skipped", "bold blue"), "error": ("undecided", "bold yellow")}


def render(report: Report, options: Options) -> str:
    """Return the report as text of at most `options.width` columns."""
    pages = _ungraded(report, options) if report.error is not None else _graded(report, options)
    return to_text(pages, options)


def render_rule(report: Report, rule: RuleReport, options: Options) -> str:
    """Return what `render` shows of one rule, and nothing of the rest of the report."""
    return to_text(_rule(report, rule, options), options)


def _graded(report: Report, options: Options) -> Iterator[Text]:
    yield from prose(_heading(report), options)
    yield Text()
    for rule, finding in by_place(report):
        yield from diagnostic(report, rule, finding, options)
        yield Text()
    for rule in report.rules:
        yield from _unfounded(rule, options)
    settled = [rule for rule in report.rules if rule.status != "fail"]
    for rule in settled:
        yield from _settled(rule, options)
    remarks = notes(report)
    for note in remarks:
        yield from prose(Text.assemble(("note", STYLES["note"]), f": {visible(note)}"), options)
    sandbox = list(_sandbox(report.sandbox, options))
    yield from sandbox
    if settled or remarks or sandbox:
        yield Text()
    yield from prose(Text(closing(report), style="bold red" if report.verdict == "fail" else "bold"), options)


def _rule(report: Report, rule: RuleReport, options: Options) -> Iterator[Text]:
    for _, finding in by_place(msgspec.structs.replace(report, rules=(rule,))):
        yield from diagnostic(report, rule, finding, options)
        yield Text()
    yield from _unfounded(rule, options)
    if rule.status != "fail":
        yield from _settled(rule, options)


def _unfounded(rule: RuleReport, options: Options) -> Iterator[Text]:
    """Show a rule that failed without a finding."""
    if rule.status == "fail" and not rule.findings:
        yield from headline(rule.level, rule.id, rule.message, STYLES[rule.level], options)
        yield from field("set", rule.set, options)
        yield Text()


def _settled(rule: RuleReport, options: Options) -> Iterator[Text]:
    word, style = WORDS[rule.status]
    yield from headline(word, rule.id, rule.message, style, options)


def _ungraded(report: Report, options: Options) -> Iterator[Text]:
    error = report.error
    assert error is not None
    yield from headline("error", error.code, error.message, STYLES["error"], options)
    if error.span is not None:
        yield from source(report, [Mark(error.span, "", STYLES["error"])], options)
    raised = "" if error.error.strip() in error.message else error.error  # once is enough
    for number, line in enumerate(raised.strip().splitlines()[-ERROR_LINES:]):
        yield from field("" if number else "got", line, options)
    yield from _trace(report, error, options)
    yield from field("why", error.why, options)
    yield from field("fix", error.fix, options)
    yield from _choices(error)
    yield Text()
    for note in notes(report):
        yield from prose(Text.assemble(("note", STYLES["note"]), f": {visible(note)}"), options)
    if error.code != "sandbox":  # which has told it all
        yield from _sandbox(report.sandbox, options)
    yield from prose(Text(closing(report), style="bold"), options)


# What a layer is called in one line; the others are there for each level alike, and JSON tells them all.
_TELLING = ("landlock", "seccomp", "bubblewrap", "seatbelt", "limits")


def _sandbox(sandbox: SandboxReport, options: Options) -> Iterator[Text]:
    """Show in what kind of sandbox the submission ran, and, where it could have done harm, why that is so."""
    if sandbox.level is None:
        return
    held = [name for name in _TELLING if name in sandbox.layers and not sandbox.layers[name].startswith(MISSING)]
    words = f" ({', '.join(held)})" if held else ""
    style = "bold green" if sandbox.level == "sealed" else "bold yellow"
    yield from prose(Text.assemble(("sandbox", style), f": {sandbox.level}{words}"), options)
    for gap in sandbox.gaps:
        yield from field("why", f"{gap.what}: {gap.reason}", options)
        yield from field("fix", gap.fix, options)


def _heading(report: Report) -> Text:
    submission = report.submission
    class_name = f" (class {visible(submission.class_name)})" if submission.class_name else ""
    return Text(f"Checked {visible(submission.path)}{class_name} against {visible(report.rules_file)}")


def _trace(report: Report, error: ErrorReport, options: Options) -> Iterator[Text]:
    if len(error.frames) < 2:
        return
    for number, frame in enumerate(error.frames):
        code = visible(frame.span.source[0].strip()) if frame.span.source else ""
        line = f"{position(report, frame.span)}, in {visible(frame.function)}: {code}"
        lead = "  via: " if number == 0 else "       "
        yield Text.assemble((lead, "bold"), cut(line, max(NARROW, options.width - len(lead))))


def _choices(error: ErrorReport) -> Iterator[Text]:
    """Show what there is to choose from, as it is typed; without an option there is nothing to type."""
    for number, candidate in enumerate(error.candidates if error.option else ()):
        lead = "  try: " if number == 0 else "       "
        yield Text.assemble((lead, "bold"), f"{error.option} {visible(shlex.quote(candidate))}")
