"""The emulator of GitHub's runner that the tests of the action rest on."""

from __future__ import annotations

from typing import Any

import pytest
from expressions import condition, evaluate, insert
from runner import Command, commands, pairs

CONTEXTS = {"inputs": {"train": "True", "path": "it's", "empty": ""}, "steps": {"a": {"outputs": {"max-score": "80"}}}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("inputs.train == 'true'", True),
        ("inputs.path", "it's"),
        ("inputs.path == 'it''s'", True),
        ("inputs.missing.deeper", None),
        ("inputs.missing != true", True),
        ("steps.a.outputs.max-score", "80"),
        ("!(inputs.empty || 'x') && 'y'", False),
        ("inputs.empty != '' && format('rules/{0}', inputs.path) || ''", ""),
        ("inputs.path != '' && format('rules/{0}', inputs.path) || ''", "rules/it's"),
    ],
)
def test_expressions(expression: str, value: Any) -> None:
    assert evaluate(expression, CONTEXTS) == value


@pytest.mark.parametrize("expression", ["inputs.a + 1", "inputs.path inputs.path", "fromJSON('1')"])
def test_expressions_that_the_emulator_does_not_know_are_refused(expression: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        evaluate(expression, CONTEXTS)


def test_values_are_inserted_once() -> None:
    contexts = {"inputs": {"path": "${{ inputs.secret }}", "secret": "!", "train": True}}
    assert insert("<${{ inputs.path }}> ${{ inputs.train }}", contexts) == "<${{ inputs.secret }}> true"


@pytest.mark.parametrize(
    ("text", "failed", "runs"),
    [
        ("success()", False, True),
        ("inputs.train", True, False),
        ("always() && inputs.train", True, True),
        ("${{ !cancelled() && inputs.empty != '' }}", True, False),
    ],
)
def test_a_step_after_a_failure_runs_only_where_it_asks_to(text: str, failed: bool, runs: bool) -> None:
    status = {"success": lambda: not failed, "always": lambda: True, "cancelled": lambda: False}
    assert condition(text, CONTEXTS, status) is runs


def test_commands_of_a_step() -> None:
    text = (
        "plain ::error::no\n"
        "  ::error file=a%2Cb.py,line=3,title=x%3A y::one%0Atwo: %25\r"
        "::stop-commands::t1\n::error::silenced\n##[error]silenced\n::t1::\n"
        "::notice::a::b\n"
        "said ##[set-output name=a]b\n"
    )
    assert commands(text) == [
        Command("error", "one\ntwo: %", {"file": "a,b.py", "line": "3", "title": "x: y"}),
        Command("notice", "a::b"),
        Command("legacy", "said ##[set-output name=a]b"),
    ]


def test_values_that_a_step_wrote() -> None:
    assert pairs("a=1<<2\nb<<X\n\nc=3\nX\n") == {"a": "1<<2", "b": "\nc=3"}
    with pytest.raises(ValueError, match="no line 'X'"):
        pairs("b<<X\nc\n")
    with pytest.raises(ValueError, match="neither"):
        pairs("nothing\n")
