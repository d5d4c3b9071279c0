"""What every form for people says of a report in the same words."""

from __future__ import annotations

from grader.protocol import EpochRow, SeedReport, TrainingReport
from grader.render.escape import visible
from grader.report import Report, RuleReport


def notes(report: Report, *, tables: bool = False) -> list[str]:
    """Return what there is to say beside the rules; a form with `tables` tells the claim and the seeds elsewhere."""
    found = list(report.notes)
    stand_ins = report.submission.stand_ins
    if stand_ins:
        found.insert(0, f"not imported, replaced by inert stand-ins: {', '.join(stand_ins)}")
    if report.training is not None:
        shown = () if tables else (claim_note(report.training), *seed_notes(report.training))
        found += [*shown, training_note(report.training), *report.training.notes]
    return [note for note in found if note]


# What the loss is, by what the model returns.
LOSSES = {
    "logits": "cross-entropy of the logits",
    "log-probabilities": "negative log-likelihood, as the output is log-probabilities",
    "probabilities": "negative log-likelihood, as the output is probabilities",
}
CLAIMS = {"confirmed": "confirmed", "missed": "missed", "open": "neither confirmed nor missed"}


def claim_note(training: TrainingReport) -> str:
    """Return the claim, in its exact words, and what became of it."""
    return f"{CLAIMS[training.outcome]}: {training.claim}"


def training_note(training: TrainingReport) -> str:
    """Return how a model was trained, and what that proves: all that is needed to repeat it."""
    epochs = f"{training.epochs} epoch{'' if training.epochs == 1 else 's'}"
    threads = f"{training.threads} thread{'' if training.threads == 1 else 's'}"
    ran = len(training.seeds)
    seeds = f"seed {training.seed}"
    if training.planned > 1:
        seeds = f"{ran} seeds" if ran == training.planned else f"{ran} of {training.planned} seeds"
    how = f"trained for {epochs} in {training.seconds:.0f} s with {seeds} on {threads} ({training.device})"
    if training.epochs:
        how += f", loss: {LOSSES[training.output]}"
    if training.interval is None:
        return how
    low, high = training.interval
    return f"{how}; 95 % interval of the accuracy: {low:.2f} to {high:.2f} %"


def seed_notes(training: TrainingReport) -> list[str]:
    """Return what every seed that was begun came to; nothing where there is but one."""
    return [_came_to(seed, training.images) for seed in training.seeds] if training.planned > 1 else []


def _came_to(seed: SeedReport, images: int) -> str:
    if seed.errors is None:
        result = "no result"
    else:
        counted = f"{seed.errors:,} error{'' if seed.errors == 1 else 's'} in {images:,}"
        result = f"{seed.accuracy or 0.0:.2f} % ({counted})"
    took = f"{seed.epochs} epoch{'' if seed.epochs == 1 else 's'}, {seed.seconds:.0f} s"
    return f"seed {seed.seed}: {result}, {took}" + (f"; {seed.reason}" if seed.reason else "")


def first_curve(training: TrainingReport) -> tuple[EpochRow, ...]:
    """Return the epochs of the first seed."""
    return tuple(row for row in training.curve if row.seed in (None, training.seed))


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
