"""What every form for people says of a report in the same words."""

from __future__ import annotations

from grader.protocol import TrainingReport
from grader.render.escape import visible
from grader.report import Report, RuleReport


def notes(report: Report) -> list[str]:
    """Return what there is to say beside the rules."""
    found = list(report.notes)
    stand_ins = report.submission.stand_ins
    if stand_ins:
        found.insert(0, f"not imported, replaced by inert stand-ins: {', '.join(stand_ins)}")
    if report.training is not None:
        found += [training_note(report.training), *report.training.notes]
    return [note for note in found if note]


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
