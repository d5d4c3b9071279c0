"""Two trainings of one submission, compared to the last digit, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.render.escape import visible

if TYPE_CHECKING:
    from grader.protocol import EpochRow, TrainingReport
    from grader.report import Report

SHOWN = 12  # numbers that differ; the others are counted
NOTHING = "nothing"
OTHER_MACHINE = "other versions, processors and rules round or train otherwise"
SAME_MACHINE = "nothing is known to differ: the submission is not the same each time, or the report is not its own"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is one thing in the report and another here."""

    what: str
    there: str
    here: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two trainings: `numbers` that came out, and `causes` that went in. `count` were compared."""

    count: int
    result: str
    numbers: tuple[Difference, ...]
    causes: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        return not self.numbers


def compared(there: Report, here: Report) -> Comparison:
    """Compare two reports that both tell of a training; seconds are not compared."""
    if there.training is None or here.training is None:
        raise ValueError("there is no training to compare")
    numbers = dict(_numbers(there.training)), dict(_numbers(here.training))
    causes = dict(_causes(there, there.training)), dict(_causes(here, here.training))
    return Comparison(len(numbers[0]), _result(here.training), _differences(*numbers), _differences(*causes))


def told(comparison: Comparison, file: str) -> str:
    """Return whether a training was repeated, each number that was not, and what may be the reason."""
    if comparison.same:
        lines = [f"the same to the last digit as in {file}: {comparison.result} ({comparison.count} numbers compared)"]
    else:
        differ = f"{len(comparison.numbers)} of {comparison.count} numbers differ"
        lines = [f"not the same as in {file}: here {comparison.result}; {differ}"]
    lines += [_line(one) for one in comparison.numbers[:SHOWN]]
    if len(comparison.numbers) > SHOWN:
        lines.append(f"  and {len(comparison.numbers) - SHOWN} more")
    lines += [_line(one) for one in comparison.causes]
    if not comparison.same:
        lines.append(f"  why: {OTHER_MACHINE if comparison.causes else SAME_MACHINE}")
    return "\n".join(map(visible, lines)) + "\n"


def _line(one: Difference) -> str:
    return f"  {one.what}: {one.there} in the report, {one.here} here"


def _result(training: TrainingReport) -> str:
    if training.accuracy is None:
        return f"left open ({training.reason})"
    counts = [seed.errors for seed in training.seeds] or [training.errors]
    told = ", ".join("?" if count is None else f"{count:,}" for count in counts)
    return f"{told} errors on {training.images:,} test images"


def _differences(there: dict[str, str], here: dict[str, str]) -> tuple[Difference, ...]:
    return tuple(
        Difference(what, there.get(what, NOTHING), here.get(what, NOTHING))
        for what in dict.fromkeys([*there, *here])
        if there.get(what) != here.get(what)
    )


def _numbers(training: TrainingReport) -> Iterator[tuple[str, str]]:
    """Yield what a repetition has to give again, as it is written to the last digit."""
    yield "outcome", training.outcome
    yield "output", training.output
    yield "errors", f"{training.errors}"
    yield "accuracy", f"{training.accuracy}"
    yield "bound", f"{training.bound}"
    for seed in training.seeds:
        yield f"seed {seed.seed}, errors", f"{seed.errors}"
        yield f"seed {seed.seed}, epochs", f"{seed.epochs}"
    for row in training.curve:
        yield from _row(row)
    yield "notes", "; ".join(training.notes)


def _row(row: EpochRow) -> Iterator[tuple[str, str]]:
    seed = "" if row.seed is None else f"seed {row.seed}, "
    where = f"{seed}epoch {row.epoch} of the {row.stage} stage"
    yield f"{where}, loss", f"{row.loss}"
    yield f"{where}, training accuracy", f"{row.train_accuracy}"
    yield f"{where}, held-out accuracy", f"{row.held_out_accuracy}"
    yield f"{where}, test errors", f"{row.test_errors}"


def _causes(report: Report, training: TrainingReport) -> Iterator[tuple[str, str]]:
    """Yield what went into a training and may not be the same elsewhere."""
    yield from report.reproduce.versions.items()
    for name, value in training.environment.items():
        yield f"{name} of the training", value
    yield "rules", f"sha256 {report.reproduce.rules_sha256[:12]}…"
    yield "images", "unknown" if training.data is None else f"sha256 {training.data.sha256[:12]}…"
    yield "threads", f"{training.threads}"
    yield "device", training.device
