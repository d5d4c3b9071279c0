"""What a submission is, and why there may be none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

Code = Literal["missing", "file-type", "unreadable", "empty", "too-large", "no-model", "ambiguous"]


class SubmissionError(Exception):
    """A submission that cannot be read; `candidates` are files to choose from with `--file`."""

    def __init__(self, code: Code, message: str, fix: str = "", candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix
        self.candidates = candidates


@dataclass(frozen=True, slots=True)
class Submission:
    """The bytes that are graded: `files` by their paths below the submission's folder, with forward slashes.

    `path` is what the user named, `folder` where its files lie ('' for the current one), `entry` the model's file.
    """

    path: str
    folder: str
    entry: str
    files: dict[str, bytes] = field(repr=False)

    @property
    def sha256(self) -> str:
        """The digest of the entry's bytes."""
        return hashlib.sha256(self.files[self.entry]).hexdigest()
