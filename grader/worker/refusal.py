"""The one exception of the worker: a submission that can't be graded, with the reason as plain data."""

from __future__ import annotations

from grader.protocol import Refusal


class Refused(BaseException):
    """Carries a refusal out of student code; not an Exception, so that `except Exception` there can't swallow it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
