"""What a result is filed under: a digest of all that a grading depends on."""

from __future__ import annotations

import hashlib

import msgspec

from grader.classroom.types import Course
from grader.manifest import Submission
from grader.settings import reproduction

VERSIONS = ("s5-grade", "torch")


def key_of(submission: Submission, course: Course, *, train: bool) -> str:
    """Return the key of a submission's result: its bytes and names, the rules, the settings, the versions.

    The same bytes under the same names have one key, whoever handed them in. How a model is trained has a part in it
    only where it is.
    """
    settings = course.settings
    versions = reproduction(submission.path, course.rules, settings).versions
    meaning = [
        [submission.path, submission.folder, submission.entry],
        {name: hashlib.sha256(data).hexdigest() for name, data in submission.files.items()},
        course.rules.sha256,
        [settings.class_name, dict(settings.arguments), settings.seed, settings.timeout],
        [settings.budget, settings.device, settings.threads] if train else None,
        [versions[name] for name in VERSIONS],
    ]
    return digest(meaning)


def key_of_unreadable(path: str, reason: str, course: Course) -> str:
    """Return the key of what can't be said of a submission whose bytes could not be read."""
    return digest(["unreadable", path, reason, course.rules.sha256])


def digest(meaning: object) -> str:
    """Return the SHA-256 of plain data, in hexadecimal; the order of keys has no part in it."""
    return hashlib.sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()
