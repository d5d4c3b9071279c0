"""Lines that are no Python because of where they were copied from."""

from __future__ import annotations

import re

_LINES = (
    (r"(<{7}|={7}|>{7})( |$)", "Keep one of the two versions, and delete the lines with which git marks the conflict."),
    (r"\s*(>>>|\.\.\.) ", "Delete the prompts of the console, >>> and ..., in front of the code."),
    (r"\s*```", "Delete the line: it belongs to Markdown, not to the code."),
    (r"(?i)\s*<(!doctype|html|\?xml)", "This is a web page: download the file itself."),
    (r"version https://git-lfs|oid sha256:", "This is a pointer of Git LFS: submit the file itself."),
    (r"Traceback \(most recent call last\)", "Delete the error message that was pasted into the file."),
)
_CHARACTERS = (
    (r"U\+(201[89CD]|00[AB]B)", "Type the quotation marks anew: these come from a word processor."),
    (r"U\+(00A0|200[0-9AB]|202F|3000|FEFF)", "Replace the odd spaces by plain ones: they come from a web page."),
    (r"U\+(FF[0-5][0-9A-F]|300[12])", "Type the full-width signs anew, as (, ), : and the comma of Python."),
)


def advice(line: str, error: str) -> str:
    """Return what to do about a line that Python can't read, with what Python says of it; '' where neither tells."""
    known = [fix for pattern, fix in _LINES if re.match(pattern, line)]
    known += [fix for pattern, fix in _CHARACTERS if "character" in error and re.search(pattern, error)]
    return next(iter(known), "")
