"""Lateness, and what it costs.

Only what is known is charged. Without a due time, or without a time of submission, a platform's word that something is
late is told and costs nothing, as nobody knows by how many days.
"""

from __future__ import annotations

import math
from datetime import datetime

from grader.classroom.types import LatePolicy

DAY = 24 * 3600.0  # seconds
MINUTE = 60.0
DIGITS = 4  # of points: what lies beyond is the noise of binary fractions


def late_seconds(due: datetime | None, submitted: datetime | None) -> float:
    """Return by how much something is late, 0 where that is not known."""
    if due is None or submitted is None:
        return 0.0
    return max(0.0, (submitted - due).total_seconds())


def is_late(due: datetime | None, submitted: datetime | None, told: bool | None) -> bool | None:
    """Tell whether something is late: by its times, lacking these by what the platform says; None if nobody knows."""
    if due is None or submitted is None:
        return told
    return submitted > due


def penalty(score: float, seconds: float, policy: LatePolicy) -> float:
    """Return the points that lateness costs. Days are counted from the end of the grace, and each that began counts."""
    days = math.ceil(max(0.0, seconds - policy.grace_minutes * MINUTE) / DAY)
    return rounded(score * min(days * policy.per_day, policy.most) / 100)


def rounded(points: float) -> float:
    return round(points, DIGITS)
