"""The figures of a page: the verdict in words, the numbers below it, the stretches of its bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from grader.protocol import TrainingReport
from grader.render.budget import Share
from grader.report import Report, RuleReport

SHARES = 24  # rows of the budget that are shown; the others are summed up


@dataclass(frozen=True, slots=True)
class Outcome:
    """A result in one word, and the name of its colour."""

    word: str
    kind: str


FAILED = Outcome("failed", "fail")
NOT_MET = Outcome("not met", "warning")  # by a rule that only warns
OUTCOMES = {
    "pass": Outcome("passed", "pass"),
    "error": Outcome("undecided", "warning"),
    "skipped": Outcome("skipped", "open"),
}
NOT_GRADED = Outcome("not graded", "open")
ORDER = (FAILED, NOT_MET, *OUTCOMES.values(), NOT_GRADED)

VERDICTS = {
    "pass": Outcome("Passed", "pass"),
    "fail": Outcome("Not passed", "fail"),
    "error": Outcome("Undecided", "warning"),
}
UNGRADED = Outcome("Not graded", "warning")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar, in percent of its length."""

    start: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A number that characterises a model."""

    name: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where the parameters are: each share with its stretch of the bar, and on that bar the place of the limit."""

    rows: tuple[tuple[Share, Segment], ...]
    others: tuple[Share, ...]
    limit: int | None
    limit_at: float | None


def outcome(report: Report, rule: RuleReport) -> Outcome:
    """Return the outcome of a rule in words."""
    if report.error is not None:
        return NOT_GRADED
    if rule.status == "fail":
        return FAILED if rule.level == "error" else NOT_MET
    return OUTCOMES[rule.status]


def verdict(report: Report) -> Outcome:
    """Return the verdict in words."""
    return UNGRADED if report.error is not None else VERDICTS[report.verdict]


def counts(report: Report) -> str:
    """Return how many rules had which outcome, and the points that these could not decide."""
    found = [outcome(report, rule) for rule in report.rules]
    words = ", ".join(f"{found.count(kind)} {kind.word}" for kind in ORDER if kind in found)
    undecided = sum(rule.max_points for rule in report.rules) - report.max_score
    return f"{words}; {undecided:g} points are still open" if undecided > 0 and report.max_score else words


def segments(report: Report) -> tuple[Segment, ...]:
    """Return the bar of points: each rule with its share of all points."""
    weights = [rule.max_points for rule in report.rules]
    kinds = [outcome(report, rule).kind for rule in report.rules]
    return tuple(_stretches(weights, kinds, sum(weights)))


def facts(report: Report) -> tuple[Fact, ...]:
    """Return the numbers of a graded model."""
    if report.model is None:
        return ()
    macs = sum(layer.macs for layer in report.model.layers)
    found = [
        Fact("Parameters", f"{report.model.parameters:,}", _against(_limit(report))),
        Fact("Operators", f"{len(report.model.layers):,}"),
        Fact("Multiplications", _rounded(macs), "for one image"),
    ]
    training = report.training
    if training is not None and training.accuracy is not None:
        found.append(Fact("Test accuracy", f"{training.accuracy:.2f} %", f"target is {training.target:g} %"))
    if report.sandbox.level is not None:
        found.append(Fact("Sandbox", report.sandbox.level))
    return tuple(found)


def recipe(training: TrainingReport) -> tuple[tuple[str, str], ...]:
    """Return the recipe of each stage in words; that of a further stage is a table inside the first one."""
    first = {name: value for name, value in training.recipe.items() if not isinstance(value, (dict, type(None)))}
    further = {name: value for name, value in training.recipe.items() if isinstance(value, dict)}
    stages = {"short": first, **further}
    return tuple((stage, ", ".join(f"{name} {value}" for name, value in row.items())) for stage, row in stages.items())


def budget_bars(report: Report, shares: Sequence[Share]) -> Budget:
    """Return the budget with its bar; where a model is above its limit, the limit is a mark inside the bar."""
    shown, others = shares[:SHARES], shares[SHARES:]
    limit = _limit(report)
    total = sum(share.parameters for share in shares)
    whole = max(total, limit or 0)
    kinds = [f"share-{number % 4}" for number in range(len(shown))]
    stretches = _stretches([share.parameters for share in shown], kinds, whole)
    at = None if limit is None or whole <= 0 else round(100 * limit / whole, 2)
    return Budget(tuple(zip(shown, stretches, strict=True)), tuple(others), limit, at)


def sections(report: Report) -> tuple[tuple[str, str], ...]:
    """Return the sections of the page: the anchor and the name of each."""
    model = report.model
    table = (
        ("error", "Error", report.error is not None),
        ("rules", "Rules", report.error is None),
        ("budget", "Parameters", model is not None and model.parameters > 0),
        ("model", "Model", model is not None and len(model.layers) > 0),
        ("training", "Training", report.training is not None),
        ("notes", "Notes", bool(report.notes or report.submission.stand_ins)),
        ("sandbox", "Sandbox", report.sandbox.level is not None or bool(report.sandbox.gaps)),
        ("reproduce", "Repeat", True),
    )
    return tuple((anchor, name) for anchor, name, there in table if there)


def _limit(report: Report) -> int | None:
    """Return the limit of parameters, where a rule sets one."""
    limits = [rule.limit for rule in report.rules if rule.check == "parameters" and rule.limit is not None]
    return int(min(limits)) if limits else None


def _against(limit: int | None) -> str:
    return "" if limit is None else f"limit is {limit:,}"


def _rounded(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _stretches(weights: Sequence[float], kinds: Iterable[str], whole: float) -> Iterable[Segment]:
    starts = accumulate(weights, initial=0)
    return [
        Segment(round(100 * start / whole, 2), round(100 * weight / whole, 2), kind)
        for start, weight, kind in zip(starts, weights, kinds, strict=False)
        if whole > 0
    ]
