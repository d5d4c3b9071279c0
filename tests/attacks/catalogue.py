"""All attacks, group by group."""

from __future__ import annotations

import escape
import forged
import network
import reading
import replies
import resources
import writing
from attack import Attack

ATTACKS: list[Attack] = [
    *forged.ATTACKS,
    *reading.ATTACKS,
    *writing.ATTACKS,
    *network.ATTACKS,
    *resources.ATTACKS,
    *escape.ATTACKS,
    *replies.ATTACKS,
]
LIMITS: list[Attack] = forged.LIMITS
