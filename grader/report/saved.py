"""A report that was saved as JSON, read again."""

from __future__ import annotations

import msgspec

from grader.report.types import SCHEMA, Report


class ReportError(Exception):
    """Bytes that are no report of this version's schema."""


class _Schema(msgspec.Struct):
    schema: int


def read_report(data: bytes) -> Report:
    """Return a report from its JSON.

    Raises:
        ReportError: the bytes are no report, or one of another schema.
    """
    try:
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema != SCHEMA:
            raise ReportError(f"a report of schema {schema}; this version of s5-grade reads schema {SCHEMA}")
        return msgspec.json.decode(data, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReportError(f"not a report of s5-grade as --format json writes it: {error}") from None
