"""What the layers have in common: how each says that it can't be had, and how an error of the kernel is called."""

from __future__ import annotations

import errno


class Unavailable(Exception):
    """A layer that this machine cannot give; the text says why, as the end of 'not in force: …'."""


def error_name(error: OSError) -> str:
    """Return the name of an error, such as 'EPERM'."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))
