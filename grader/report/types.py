"""What a report holds: frozen plain data, which is the JSON that s5-grade publishes."""

from __future__ import annotations

from typing import Literal

import msgspec

from grader.finding import Level, Status
from grader.protocol import Layer, TrainingReport

SCHEMA: Literal[1] = 1

Verdict = Literal["pass", "fail", "error"]


class Place(msgspec.Struct, frozen=True):
    """A stretch of a submitted file: 1-based lines and columns in code points, the end exclusive; column 0 is unknown.

    `source` holds the first of these lines. In a notebook `line` counts through its code cells; `cell` is the cell's
    number and `cell_line` the line in it.
    """

    file: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    cell: int | None = None
    cell_line: int | None = None
    source: tuple[str, ...] = ()


class Related(msgspec.Struct, frozen=True):
    """A further place that a finding is about."""

    span: Place
    label: str


class Edit(msgspec.Struct, frozen=True):
    """A change of the source: what stands at `span` gives way to `text`; an empty span is a place to insert at."""

    span: Place
    text: str


class FindingReport(msgspec.Struct, frozen=True):
    """One thing that a check has to say; `level` is never above that of its rule.

    `edits` are the changes that `fix` speaks of, where they can be told exactly; `after` is the number of parameters
    that the whole model has once the fix is made, where the fix is about them.
    """

    check: str
    level: Level
    message: str
    label: str = ""
    why: str = ""
    fix: str = ""
    span: Place | None = None
    related: tuple[Related, ...] = ()
    edits: tuple[Edit, ...] = ()
    after: int | None = None


class RuleReport(msgspec.Struct, frozen=True):
    """The outcome of one rule. `check` is the check that decided; `set` is where the rule stands, as file:line.

    `message`, `span`, `why` and `fix` are those of the first finding, where there is one.
    """

    id: str
    check: str
    checks: tuple[str, ...]
    needs: Literal["all", "any"]
    status: Status
    level: Level
    message: str
    findings: tuple[FindingReport, ...] = ()
    measured: int | float | None = None
    limit: int | float | None = None
    points: int | float = 0
    max_points: int | float = 0
    span: Place | None = None
    why: str = ""
    fix: str = ""
    set: str = ""


class TraceFrame(msgspec.Struct, frozen=True):
    """One line of a student's traceback."""

    span: Place
    function: str


class ErrorReport(msgspec.Struct, frozen=True):
    """Why a submission could not be graded, and the way out. `candidates` are values for the option `option`."""

    code: str
    message: str
    why: str = ""
    fix: str = ""
    error: str = ""
    span: Place | None = None
    frames: tuple[TraceFrame, ...] = ()
    candidates: tuple[str, ...] = ()
    option: str = ""


class SubmissionReport(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """What was graded: the path that was named, the file with the model, its class and the digest of its bytes.

    Places are relative to `folder`. `stand_ins` are packages that were replaced because they could not be imported.
    """

    path: str
    folder: str = ""
    file: str = ""
    class_name: str = ""
    sha256: str = ""
    stand_ins: tuple[str, ...] = ()


class ModelReport(msgspec.Struct, frozen=True, rename={"class_name": "class"}):
    """What the model is: its class, its parameters, its layers in the order in which they run."""

    class_name: str
    parameters: int
    layers: tuple[Layer, ...]


class GapReport(msgspec.Struct, frozen=True):
    """Something that the submission's processes could have done and should not: what, why, and how to prevent it."""

    what: str
    reason: str
    fix: str


class SandboxReport(msgspec.Struct, frozen=True):
    """What kept the submission apart from the machine.

    `level` is 'sealed' where neither files nor system calls were within its reach, 'partial' where only one of them was
    kept from it, 'none' where neither was; null where nothing of the submission was run. `layers` tells each layer's
    state in words, `gaps` what keeps the level from being the next one.
    """

    level: Literal["sealed", "partial", "none"] | None
    layers: dict[str, str]
    gaps: tuple[GapReport, ...] = ()


UNUSED = SandboxReport(None, {})


class Reproduction(msgspec.Struct, frozen=True):
    """What repeats a grading: the command, the versions that took part, the digest of what the rules mean.

    `versions` are those of s5-grade, of python, of torch, and the platform.
    """

    command: str = ""
    versions: dict[str, str] = {}
    rules_sha256: str = ""


class Report(msgspec.Struct, frozen=True):
    """The whole report on one submission. `error` says why nothing could be graded, where that is so."""

    schema: Literal[1]
    verdict: Verdict
    title: str
    rules_file: str
    submission: SubmissionReport
    rules: tuple[RuleReport, ...]
    error: ErrorReport | None
    model: ModelReport | None
    training: TrainingReport | None
    sandbox: SandboxReport
    notes: tuple[str, ...]
    score: int | float
    max_score: int | float
    reproduce: Reproduction = Reproduction()
