"""What makes a finding the same one in the next version of a file: the line that it is about, not the line's number."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence

from grader.report import Place


def fingerprints(findings: Sequence[tuple[str, Place | None]]) -> Iterator[str]:
    """Yield a fingerprint for each finding, a rule's id with a place, in the manner of GitHub's `hash:occurrence`.

    The hash is one of the rule, the file and the source line without its white space; equal ones are numbered in order.
    """
    seen: Counter[str] = Counter()
    for rule_id, place in findings:
        file, line = ("", "") if place is None else (place.file, "".join("".join(place.source[:1]).split()))
        meaning = "\0".join((rule_id, file, line))
        digest = hashlib.sha256(meaning.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        seen[digest] += 1
        yield f"{digest}:{seen[digest]}"
