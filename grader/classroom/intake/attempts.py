"""Which of a student's submissions came first, and when each did."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone

from grader.classroom.intake.finds import Find
from grader.classroom.intake.roster import Claim

_EVER = datetime.max.replace(tzinfo=timezone.utc)


def in_order(finds: Iterable[tuple[Find, Claim | None]], claim: Claim | None) -> list[Find]:
    """Return submissions with what rows say of each, in order; `claim` is a row's without a path, on the latest."""
    told = [_told_by_row(find, own) for find, own in finds]
    told.sort(key=_by_time if all(map(_is_dated, told)) else _by_order)
    if told:
        told[-1] = _told_by_row(told[-1], claim)
    return told


def _told_by_row(find: Find, claim: Claim | None) -> Find:
    if claim is None:
        return find
    late = find.late if claim.late is None else claim.late
    if claim.submitted is None:
        return replace(find, late=late)
    return replace(find, submitted=claim.submitted, time_source=claim.time_source, late=late)


def _is_dated(find: Find) -> bool:
    """Tell whether a submission's time is what orders it: what files say of it is weaker than their names."""
    return find.time_source in ("roster", "platform")


def _by_time(find: Find) -> tuple[datetime, list[tuple[int, str]]]:
    return find.submitted or _EVER, natural(find.path)


def _by_order(find: Find) -> tuple[tuple[int, ...], datetime, list[tuple[int, str]]]:
    return find.order, find.submitted or _EVER, natural(find.path)


def natural(text: str) -> list[tuple[int, str]]:
    """Return what sorts text as people do: 'lab2' before 'lab10'."""
    parts = re.split(r"(\d{1,18})", text.casefold())
    return [(int(part), "") if index % 2 else (0, part) for index, part in enumerate(parts)]
