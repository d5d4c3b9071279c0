"""Text that a spreadsheet shows and never computes."""

from __future__ import annotations

import unicodedata

from grader.render.escape import visible

_BEGINS = frozenset(
    "=+-@"
)  # a formula in Excel, LibreOffice, Google Sheets (OWASP, CSV Injection); tab and CR are escaped


def inert(text: str) -> str:
    """Return text with what does not print as escapes, and a quote before what begins as a formula does.

    Wide forms of the same characters begin a formula too, where Excel is set to Chinese or Japanese.
    """
    shown = visible(text)
    first = unicodedata.normalize("NFKC", shown.lstrip()[:1])
    return f"'{shown}" if first in _BEGINS else shown
