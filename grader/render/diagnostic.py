"""One finding as rustc shows it: the source that it is about, why it matters, how to fix it, and what that changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from grader.finding import Level
from grader.render import Options
from grader.render.budget import Share, budget
from grader.render.edits import edited
from grader.render.escape import expanded, visible
from grader.render.excerpt import GUTTER, LEAST, Mark, digits_of, excerpt, window
from grader.render.places import line_number, position
from grader.render.prose import cut, field, headline, prose_width
from grader.report import FindingReport, Report, RuleReport

STYLES: dict[Level, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
PARAMETERS = "parameters"  # the check whose findings show the budget
BUDGET_ROWS = 5
BUDGET_NAME = 24  # columns
BAR = 20  # columns of a bar for all of the parameters


def diagnostic(report: Report, rule: RuleReport, finding: FindingReport, options: Options) -> Iterator[Text]:
    """Yield the lines about one finding."""
    yield from headline(finding.level, rule.id, finding.message, STYLES[finding.level], options)
    if finding.span is not None:
        marks = [Mark(finding.span, finding.label, STYLES[finding.level])]
        marks += [Mark(related.span, related.label, "bold blue", "-") for related in finding.related]
        yield from source(report, marks, options)
    yield from field("why", finding.why, options)
    if finding.check == PARAMETERS:
        yield from _budget(report, options)
    yield from field("fix", finding.fix, options)
    yield from _edits(finding, options)
    yield from field("net", _effect(report, finding), options)
    yield from field("set", rule.set, options)
    if rule.needs == "any" and len(rule.checks) > 1:
        yield from field("any", f"one of {', '.join(rule.checks)} is enough", options)


def source(report: Report, marks: Sequence[Mark], options: Options) -> Iterator[Text]:
    """Show places with their source, file by file; the first place names each."""
    digits = digits_of([mark.place for mark in marks])
    files: dict[tuple[str, int | None], list[Mark]] = {}
    for mark in marks:
        files.setdefault((mark.place.file, mark.place.cell), []).append(mark)
    for group in files.values():
        yield Text.assemble((f"{' ' * digits}--> ", GUTTER), position(report, group[0].place))
        yield from excerpt(group, digits, options.width)
    if len(files) > 1 or any(mark.place.source for mark in marks):
        yield Text(" " * digits + " |", style=GUTTER)


def _edits(finding: FindingReport, options: Options) -> Iterator[Text]:
    """Show the lines of the source that a fix changes, before and after."""
    digits = digits_of([edit.span for edit in finding.edits])
    room = max(LEAST, options.width - digits - 3)
    for edit, *lines in edited(finding):
        number = f"{line_number(edit.span):>{digits}} "
        for sign, style, line in zip("-+", ("red", "green"), lines, strict=True):
            cells = expanded(line)
            start = sum(map(cell_len, cells[: edit.span.column - 1]))
            shown, _, _ = window("".join(cells), start, start + 1, room)
            yield Text.assemble((number, GUTTER), (f"{sign} {shown}", style))


def _effect(report: Report, finding: FindingReport) -> str:
    """Return what a fix does to the number of parameters."""
    if finding.after is None or report.model is None:
        return ""
    saved = report.model.parameters - finding.after
    change = f", {abs(saved):,} {'fewer' if saved > 0 else 'more'}" if saved else ""
    return f"{finding.after:,} parameters in all{change}"


def _budget(report: Report, options: Options) -> Iterator[Text]:
    """Show which layers hold the most parameters, with bars of their shares."""
    rows = _shares(report)
    lead = "  top: "
    digits = max((len(f"{share.parameters:,}") for share in rows), default=0)
    numbers = [f"  {share.parameters:>{digits},}  {_percent(share):>3} %" for share in rows]
    room = prose_width(options) - len(lead) - max(map(len, numbers), default=0)
    names = [cut(visible(share.name), min(BUDGET_NAME, room)) for share in rows]
    widest = max(map(cell_len, names), default=0)
    room = min(BAR, room - widest - 2)
    for share, name, counts in zip(rows, names, numbers, strict=True):
        padded = name + " " * (widest - cell_len(name))
        bar = _bar(share.percent, room) if room >= BAR // 2 else ""
        yield Text.assemble((lead, "bold" if lead.strip() else ""), padded, counts, "  ", (bar, "blue"))
        lead = " " * len(lead)


def _percent(share: Share) -> str:
    return "< 1" if share.percent < 1 else f"{share.percent:.0f}"


def _bar(percent: float, room: int) -> str:
    """Return a bar of at most `room` columns, to an eighth of a column; the smallest share shows too."""
    whole, eighths = divmod(max(1, round(8 * room * percent / 100)), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()


def _shares(report: Report) -> list[Share]:
    """Return the largest shares, and all others as one."""
    shares = budget(report)
    rest = shares[BUDGET_ROWS:]
    if len(rest) < 2:
        return list(shares)
    total = Share(f"{len(rest)} others", sum(share.parameters for share in rest), sum(share.percent for share in rest))
    return [*shares[:BUDGET_ROWS], total]
