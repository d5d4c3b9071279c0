"""The gradebook for programs: one JSON object a student and a line, ended by a line break.

| key | what it is |
|---|---|
| `id`, `name`, `email`, `section` | the student, as the roster or the submission's name says; '' where it does not |
| `group` | with whom they hand in: all of a group have the same attempts; '' for who hands in alone |
| `platform` | what learning platforms call them: `canvas`, `sis`, `login`, `moodle` |
| `verdict` | `pass`, `fail`, `error` (could not be graded), `missing` (nothing handed in), `waiting` (not graded yet) |
| `score`, `max_score` | points by the rules, and how many there were to get; null where there is no report |
| `penalty`, `late_seconds` | points that lateness costs, and how late the submission is |
| `late` | whether it is late: by its times, or else by the platform's word, which costs nothing; null if nobody says |
| `final` | what counts: the override, or else the score less the penalty; null where there is none |
| `override` | null, or `points`, `reason`, `author`, `at` |
| `headline` | what came of it, in a line |
| `error` | what kept it from being graded: `syntax`, `timeout`, `internal` (a fault of s5-grade) and others; else '' |
| `rules` | by id: `status` (`pass`, `fail`, `error`, `skipped`), `points`, `max_points`, `message` |
| `attempt`, `attempts` | the number of the attempt that counts, and how many there are |
| `from_before` | true where the last run was to grade it again and has not, or not yet: the result is an older one |
| `untrained` | true where its training is still to come, or failed through a fault of s5-grade: `score` is without it |
| `submitted`, `time_source` | when it was handed in (RFC 3339), and from where that is known |
| `parameters`, `accuracy` | of the model; null where they are not known |
| `seconds` | how long grading took |
| `path`, `sha256`, `key` | where the submission lies, the digest of its model's file, the key of its full report |

Keys may be added, none changes its meaning.
"""

from __future__ import annotations

from typing import Any

import msgspec

from grader.classroom.types import ClassReport, Grade
from grader.render.escape import inert_json


def render(report: ClassReport) -> str:
    """Return the lines; characters that do not print are escaped."""
    return "".join(f"{_line(grade)}\n" for grade in report.grades)


def _line(grade: Grade) -> str:
    return inert_json(msgspec.json.encode(_record(grade)).decode())


def _record(grade: Grade) -> dict[str, Any]:
    student = grade.student
    return {
        "id": student.id,
        "name": student.name,
        "email": student.email,
        "section": student.section,
        "group": student.group,
        "platform": student.platform,
        "verdict": grade.verdict,
        "score": grade.score,
        "max_score": grade.max_score,
        "penalty": grade.penalty,
        "late": grade.late,
        "late_seconds": grade.late_seconds,
        "final": grade.final,
        "override": grade.override,
        "headline": grade.headline,
        "error": grade.error,
        "rules": {
            rule.id: {
                "status": rule.status,
                "points": rule.points,
                "max_points": rule.max_points,
                "message": rule.message,
            }
            for rule in grade.rules
        },
        "attempt": grade.attempt,
        "attempts": grade.attempts,
        "from_before": grade.earlier,
        "untrained": grade.untrained,
        "submitted": grade.submitted,
        "time_source": grade.time_source,
        "parameters": grade.parameters,
        "accuracy": grade.accuracy,
        "seconds": grade.seconds,
        "path": grade.path,
        "sha256": grade.sha256,
        "key": grade.key,
    }
