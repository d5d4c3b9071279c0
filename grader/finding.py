"""What a check says: findings with their places in the submission, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
Status = Literal["pass", "fail", "skipped", "error"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a submitted file: 1-based lines and columns in code points, the end exclusive.

    `file` is a key of the submission's manifest, with forward slashes. Columns are 0 where only the line is known.
    In a notebook a line counts through the code cells as the manifest's text of that notebook has them.
    """

    file: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has to say.

    `message` is the headline and stands alone, with numbers and units. `label` stands beside the underlined source.
    `why` and `fix` are whole sentences for the student. `related` are further places, each with its own label.
    `edits` are the changes of the source that `fix` speaks of: what is to stand at each span, or, after `, `, a further
    argument of the call that stands there. `after` is the number of parameters of the whole model once the fix is
    made, where the fix is about them.
    """

    check: str
    level: Level
    message: str
    why: str = ""
    fix: str = ""
    span: Span | None = None
    label: str = ""
    related: tuple[tuple[Span, str], ...] = ()
    edits: tuple[tuple[Span, str], ...] = ()
    after: int | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check on one submission.

    `message` is the line to show when nothing was found ('8,932 parameters, limit is 20,000') or why the check could
    not be made. A result with findings of level error fails; with warnings and notes alone it passes.
    """

    check: str
    status: Status
    message: str
    findings: tuple[Finding, ...] = ()
    measured: int | float | None = None
    limit: int | float | None = None
