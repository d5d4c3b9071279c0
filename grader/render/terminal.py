"""The report for people: each finding with the source that it is about, why it matters and how to fix it."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from grader.finding import Level
from grader.protocol import MISSING, TrainingReport
from grader.render import Options
from grader.render.escape import visible
from grader.render.excerpt import GUTTER, digits_of, excerpt, wrapped
from grader.render.places import position
from grader.report import ErrorReport, FindingReport, Place, Report, RuleReport, SandboxReport

PROSE = 100  # columns of running text, however wide the terminal
ERROR_LINES = 12  # of what a submission's exception says
NARROW = 20

STYLES: dict[Level, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
WORDS = {"pass": ("ok", "bold green"), "skipped": ("skipped", "bold blue"), "error": ("undecided", "bold yellow")}


def render(report: Report, options: Options) -> str:
    """Return the report as text of at most `options.width` columns."""
    pages = _ungraded(report, options) if report.error is not None else _graded(report, options)
    return to_text(pages, options)


def to_text(lines: Iterator[Text], options: Options) -> str:
    """Return styled lines as text, with terminal codes only where colours may be used."""
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=options.width,
        force_terminal=options.colour,
        color_system="standard" if options.colour else None,
        no_color=not options.colour,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)
    return buffer.getvalue()


def _graded(report: Report, options: Options) -> Iterator[Text]:
    yield from _prose(_heading(report), options)
    yield Text()
    for rule in report.rules:
        for finding in rule.findings:
            yield from _finding(report, rule, finding, options)
            yield Text()
        if rule.status == "fail" and not rule.findings:
            yield from _headline(rule.level, rule.id, rule.message, STYLES[rule.level], options)
            yield from _field("set", rule.set, options)
            yield Text()
    settled = [rule for rule in report.rules if rule.status != "fail"]
    for rule in settled:
        word, style = WORDS[rule.status]
        yield from _headline(word, rule.id, rule.message, style, options)
    notes = _notes(report)
    for note in notes:
        yield from _prose(Text.assemble(("note", STYLES["note"]), f": {visible(note)}"), options)
    sandbox = list(_sandbox(report.sandbox, options))
    yield from sandbox
    if settled or notes or sandbox:
        yield Text()
    yield from _prose(Text(closing(report), style="bold red" if report.verdict == "fail" else "bold"), options)


def _ungraded(report: Report, options: Options) -> Iterator[Text]:
    error = report.error
    assert error is not None
    yield from _headline("error", error.code, error.message, STYLES["error"], options)
    if error.span is not None:
        yield from _source(report, error.span, "", "error", (), options)
    raised = "" if error.error.strip() in error.message else error.error  # once is enough
    for number, line in enumerate(raised.strip().splitlines()[-ERROR_LINES:]):
        yield from _field("" if number else "got", line, options)
    yield from _trace(report, error, options)
    yield from _field("why", error.why, options)
    yield from _field("fix", error.fix, options)
    yield from _choices(error)
    yield Text()
    for note in _notes(report):
        yield from _prose(Text.assemble(("note", STYLES["note"]), f": {visible(note)}"), options)
    if error.code != "sandbox":  # which has told it all
        yield from _sandbox(report.sandbox, options)
    yield from _prose(Text(closing(report), style="bold"), options)


# What a layer is called in one line; the others are there for each level alike, and JSON tells them all.
_TELLING = ("landlock", "seccomp", "bubblewrap", "seatbelt", "limits")


def _sandbox(sandbox: SandboxReport, options: Options) -> Iterator[Text]:
    """Show in what kind of sandbox the submission ran, and, where it could have done harm, why that is so."""
    if sandbox.level is None:
        return
    held = [name for name in _TELLING if name in sandbox.layers and not sandbox.layers[name].startswith(MISSING)]
    words = f" ({', '.join(held)})" if held else ""
    style = "bold green" if sandbox.level == "sealed" else "bold yellow"
    yield from _prose(Text.assemble(("sandbox", style), f": {sandbox.level}{words}"), options)
    for gap in sandbox.gaps:
        yield from _field("why", f"{gap.what}: {gap.reason}", options)
        yield from _field("fix", gap.fix, options)


def _heading(report: Report) -> Text:
    submission = report.submission
    class_name = f" (class {visible(submission.class_name)})" if submission.class_name else ""
    return Text(f"Checked {visible(submission.path)}{class_name} against {visible(report.rules_file)}")


def _finding(report: Report, rule: RuleReport, finding: FindingReport, options: Options) -> Iterator[Text]:
    yield from _headline(finding.level, rule.id, finding.message, STYLES[finding.level], options)
    if finding.span is not None:
        related = tuple((related.span, related.label) for related in finding.related)
        yield from _source(report, finding.span, finding.label, finding.level, related, options)
    yield from _field("why", finding.why, options)
    yield from _field("fix", finding.fix, options)
    yield from _field("set", rule.set, options)
    if rule.needs == "any" and len(rule.checks) > 1:
        yield from _field("any", f"one of {', '.join(rule.checks)} is enough", options)


def _headline(word: str, code: str, message: str, style: str, options: Options) -> Iterator[Text]:
    head = f"{word}[{code}]"
    for number, line in enumerate(wrapped(f"{head}: {visible(message)}", _prose_width(options) - 2)):
        if number == 0 and line.startswith(head):
            yield Text.assemble((head, style), (line[len(head) :], "bold"))
        else:
            yield Text(f"  {line}" if number else line, style="bold")


def _source(
    report: Report,
    place: Place,
    label: str,
    level: Level,
    related: tuple[tuple[Place, str], ...],
    options: Options,
) -> Iterator[Text]:
    """Show a place with its source, then related places with theirs."""
    digits = digits_of([place, *(other for other, _ in related)])
    yield Text.assemble((" " * digits + "--> ", GUTTER), position(report, place))
    yield from excerpt(place, label, STYLES[level], "^", digits, options.width)
    for other, other_label in related:
        yield Text.assemble((" " * digits + "::: ", GUTTER), position(report, other))
        yield from excerpt(other, other_label, "bold blue", "-", digits, options.width)
    if place.source or related:
        yield Text(" " * digits + " |", style=GUTTER)


def _field(name: str, text: str, options: Options) -> Iterator[Text]:
    """Show a named text: `  why: …`, its further lines indented below the first."""
    lead = f"  {name}: " if name else "       "
    for line in wrapped(visible(text), _prose_width(options) - len(lead)):
        yield Text.assemble((lead, "bold" if lead.strip() else ""), line)
        lead = " " * len(lead)


def _trace(report: Report, error: ErrorReport, options: Options) -> Iterator[Text]:
    if len(error.frames) < 2:
        return
    for number, frame in enumerate(error.frames):
        source = visible(frame.span.source[0].strip()) if frame.span.source else ""
        line = f"{position(report, frame.span)}, in {visible(frame.function)}: {source}"
        lead = "  via: " if number == 0 else "       "
        yield Text.assemble((lead, "bold"), _cut(line, options.width - len(lead)))


def _choices(error: ErrorReport) -> Iterator[Text]:
    """Show what there is to choose from, as it is typed; without an option there is nothing to type."""
    for number, candidate in enumerate(error.candidates if error.option else ()):
        lead = "  try: " if number == 0 else "       "
        yield Text.assemble((lead, "bold"), f"{error.option} {visible(shlex.quote(candidate))}")


def _notes(report: Report) -> list[str]:
    notes = list(report.notes)
    stand_ins = report.submission.stand_ins
    if stand_ins:
        notes.insert(0, f"not imported, replaced by inert stand-ins: {', '.join(stand_ins)}")
    if report.training is not None:
        notes += [training_note(report.training), *report.training.notes]
    return [note for note in notes if note]


def training_note(training: TrainingReport) -> str:
    """Return how a model was trained, and what that proves: all that is needed to repeat it."""
    epochs = f"{training.epochs} epoch{'' if training.epochs == 1 else 's'}"
    threads = f"{training.threads} thread{'' if training.threads == 1 else 's'}"
    how = f"trained for {epochs} in {training.seconds:.0f} s with seed {training.seed} on {threads} ({training.device})"
    if training.interval is None:
        return how
    low, high = training.interval
    return f"{how}; 95 % interval of the accuracy: {low:.2f} to {high:.2f} %"


def closing(report: Report) -> str:
    """Return the last line: how many rules had which outcome, and the points."""
    if report.error is not None:
        return f"{visible(report.submission.path)} was not graded."
    outcomes = [_outcome(rule) for rule in report.rules]
    order = ("failed", "not met", "undecided", "passed", "skipped")
    counts = ", ".join(f"{outcomes.count(word)} {word}" for word in order if word in outcomes)
    points = f" {report.score:g} of {report.max_score:g} points." if report.max_score else ""
    return f"{counts}.{points}"


def _outcome(rule: RuleReport) -> str:
    if rule.status == "fail":
        return "failed" if rule.level == "error" else "not met"
    return {"pass": "passed", "error": "undecided", "skipped": "skipped"}[rule.status]


def _prose(text: Text, options: Options) -> Iterator[Text]:
    """Show running text, wrapped; only the first line keeps the styles of its parts."""
    for number, line in enumerate(wrapped(text.plain, _prose_width(options))):
        yield text[: len(line)] if number == 0 and text.plain.startswith(line) else Text(line, style=text.style)


def _prose_width(options: Options) -> int:
    return max(NARROW, min(options.width, PROSE))


def _cut(text: str, width: int) -> str:
    shown = Text(text)
    shown.truncate(max(NARROW, width), overflow="ellipsis")
    return shown.plain
