"""A bundle: one file with all that a verdict came from, which repeats it elsewhere."""

from __future__ import annotations

from grader.bundle.archive import SIZE_CAP, BundleError
from grader.bundle.compare import Comparison, Difference, compared
from grader.bundle.entries import Bundle, bundled, read_bundle

__all__ = ["SIZE_CAP", "Bundle", "BundleError", "Comparison", "Difference", "bundled", "compared", "read_bundle"]
