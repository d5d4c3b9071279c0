"""Fingerprints of submissions: of the graph that was observed, and of the source text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from grader.fingerprint.graphs import fingerprint
from grader.fingerprint.text import text_features
from grader.likeness import Likeness

__all__ = ["fingerprint", "with_text"]


def with_text(likeness: Likeness, files: Mapping[str, bytes]) -> Likeness:
    """Return the likeness of a graph together with that of the source text of the submitted files."""
    return msgspec.structs.replace(likeness, text=text_features(files))
