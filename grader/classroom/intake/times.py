"""Points in time as people and learning platforms write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

EXPECTED = "expected a time such as 2026-06-10T23:59+02:00, or without the zone one of this machine's"

_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,]\d+)?)?)?"
    r"\s*(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?",
    re.IGNORECASE | re.ASCII,
)

# Moodle writes 'Wednesday, 10 June 2026, 2:14 PM', in the language of whoever downloads; in some versions of English
# the month comes first (lang/en/langconfig.php, strftimedaydatetime).
_CLOCK = r",? (?P<hour>\d{1,2}):(?P<minute>\d\d)(?: ?(?P<half>[AP]M))?"
_WORDED = [
    re.compile(r"(?:[^\W\d]+, )?" + date + _CLOCK, re.IGNORECASE | re.ASCII)
    for date in (
        r"(?P<day>\d{1,2}) (?P<month>[a-z]+) (?P<year>\d{4})",
        r"(?P<month>[a-z]+) (?P<day>\d{1,2}), (?P<year>\d{4})",
    )
]
_MONTHS = "january february march april may june july august september october november december".split()
_NOTHING = ("", "-", "–")


def moment(text: str, *, day_ends: bool = False) -> datetime | None:
    """Return a time with its zone, the local one where none is given; None where a cell says that there is none.

    A day alone is taken for its end with `day_ends`, and refused without. Raises ValueError.
    """
    words = " ".join(text.split())
    if words in _NOTHING:
        return None
    iso = _ISO.fullmatch(words)
    match = iso or next((match for form in _WORDED if (match := form.fullmatch(words))), None)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time: {EXPECTED}")
    if match["hour"] is None and not day_ends:
        raise ValueError(f"{text[:40]!r} has no time of day: {EXPECTED}")
    try:
        zone = _zone(match["zone"]) if iso else None
        time = datetime(int(match["year"]), _month(match["month"]), int(match["day"]), *_clock(match), tzinfo=zone)
        return time if zone else time.astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text[:40]!r} is a time that does not exist: {EXPECTED}") from None


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    return next((number for number, name in enumerate(_MONTHS, 1) if text.casefold() in (name, name[:3])), 0)


def _clock(match: re.Match[str]) -> tuple[int, int, int]:
    if match["hour"] is None:
        return 23, 59, 59
    given = match.groupdict()
    hour = int(given["hour"])
    half = (given.get("half") or "").upper()
    if half and not 1 <= hour <= 12:
        raise ValueError
    if half:
        hour = hour % 12 + (12 if half == "PM" else 0)
    return hour, int(given["minute"]), int(given.get("second") or 0)


def _zone(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text.upper() == "Z":
        return timezone.utc
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
