"""Grade PyTorch models against architecture constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grader.grade import grade

__all__ = ["grade"]


def __getattr__(name: str) -> Any:
    """Import `grade` when it is first asked for: much of the package runs where it must not be loaded."""
    if name != "grade":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from grader.grade import grade

    return grade
