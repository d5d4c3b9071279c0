"""What a repetition came to, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from grader.render.escape import visible

if TYPE_CHECKING:
    from grader.bundle import Bundle, Comparison

OTHER_VERSIONS = "other versions may do otherwise"
SAME_VERSIONS = "no version differs: the submission is not the same each time, or the bundle's report is not its own"


def told(comparison: Comparison, bundle: Bundle, file: str) -> str:
    """Return whether a verdict was repeated, each thing that was not, and what may be the reason."""
    lines = [_headline(comparison, bundle, file), *_details(comparison, bundle)]
    return "\n" + "\n".join(map(visible, lines)) + "\n"


def _headline(comparison: Comparison, bundle: Bundle, file: str) -> str:
    says = f"{file} says '{bundle.report.verdict}'"
    if comparison.ungraded:
        return f"not repeated: {says}, and here it cannot be graded"
    if not comparison.repeated:
        return f"not repeated: {says}, and here something is different"
    if comparison.skipped:
        return f"repeated but for the training: {says}; accuracy, verdict and score are not compared"
    return f"repeated: {says}, and so it is here"


def _details(comparison: Comparison, bundle: Bundle) -> Iterator[str]:
    for one in comparison.differences:
        yield f"  {one.what}: {one.bundled} in the bundle, {one.here} here"
    yield from (f"  {remark}" for remark in comparison.remarks)
    yield f"  source: {bundle.submission.entry}, sha256 {bundle.submission.sha256}"
    yield f"  rules: {bundle.rules.file}, sha256 {bundle.rules.sha256}"
    for version in comparison.versions:
        yield f"  {version.what}: {version.bundled} in the bundle, {version.here} here"
    if not comparison.repeated:
        yield f"  why: {OTHER_VERSIONS if comparison.versions else SAME_VERSIONS}"
