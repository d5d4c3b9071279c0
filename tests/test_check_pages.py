"""Every check's documentation page is its test: its examples yield exactly what their comments say."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest
from support import HEADER, checked

from grader.checks import checks

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"# (error|warning|note): (.*)$")
OPTIONS = re.compile(r"^# options: (.*)$", re.MULTILINE)


class Example(NamedTuple):
    check: str
    options: dict[str, Any]
    text: str
    expected: list[tuple[str, int, str]]


def examples() -> list[Example]:
    found = []
    for check in checks().values():
        for match in BLOCK.finditer(check.page):
            text = HEADER + match[1]
            options = OPTIONS.search(text)
            expected = [
                (mark[1], number, mark[2])
                for number, line in enumerate(text.splitlines(), start=1)
                if (mark := EXPECTED.search(line))
            ]
            found.append(Example(check.id, json.loads(options[1]) if options else {}, text, expected))
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: f"{example.check}-{len(example.text)}")
def test_example_yields_what_its_comments_say(example: Example) -> None:
    result = checked(example.text, example.check, example.options)
    found = [(item.level, item.span.line if item.span else 0, item.message) for item in result.findings]
    assert found == example.expected
    assert result.status == ("fail" if any(level == "error" for level, _, _ in found) else "pass")


@pytest.mark.parametrize("check", [c for c in checks().values() if c.id != "accuracy"], ids=lambda check: check.id)
def test_page_shows_what_passes_and_what_does_not(check: Any) -> None:
    marks = [bool(example.expected) for example in examples() if example.check == check.id]
    assert {True, False} <= set(marks)


@pytest.mark.parametrize("check", checks().values(), ids=lambda check: check.id)
def test_page_has_a_summary_of_one_sentence(check: Any) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", check.summary)
