"""Hostile text in whatever a submission has a part in stays text, in every form: each form has a checker of its own.

A new form is a module and a row in `grader.render.FORMATS`; the first test here then asks for its checker.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt
from reports import REPORTS
from test_formats import validate

from grader.render import FORMATS, Options, render
from grader.report import Report, read_report

HOSTILE = {
    "terminal codes": "\x1b[2J\x1b]0;title\x07\x9b31m",
    "a workflow command": "::error file=x.py::pwned",
    "a command in a later line": "x\n::set-output name=score::100\r\n::add-mask::a",
    "a command in a later word": f"{'long ' * 30}::stop-commands::x {'w' * 93}::error::y",
    "an old command": "x ##[add-matcher]x.json ##[error]y",
    "a script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "the end of elements": "</pre></details></summary></code>--><!-- ]]> &lt; &#0;",
    "attributes": '"\' onmouseover=alert(1) x="',
    "a formula": "=cmd|' /C calc'!A0",
    "a markup": "[red]x[/red] [link=file:///x]y[/link] [/]",
    "a link": "[x](https://evil.example) ![y](http://evil.example/z.png) www.evil.example <https://evil.example>",
    "a reference": "[x]: https://evil.example\n\n# heading\n\n- item\n\n---\n| a | b |\n|---|---|",
    "a block": "\n\n> quote\n\n1. item\n\n    code\n\nTitle\n=====\n",
    "emphasis": "**bold** __bold__ _x_ ~~x~~ `x` ``y`` $x^2$ $$y$$",
    "fences": "```\n~~~\n`````` ````text",
    "mentions": "@everyone @octocat #1 GH-1 a@example.org",
    "mermaid": 'x"]; click n0 "javascript:alert(1)"; end; %%{init: {}}%% <b>',
    "pipes": "| a \\| b || \\",
    "marks of direction": "\u202eevil\u2066\u2069\u200f\u061c",
    "nothing to see": "a\x00b\u200bc\ufeffd\u00a0e\u2028f\ufffe\uffff\U000e0041",
    "percents": "100%25%0A%0D%3A, a:b,c=d;e",
    "a placeholder": "{0} {1:x} {{2}}",
    "very long": "x" * 2000,
    "wide": "\U0001f600é漢" * 600,
}
MILD = "harmless"

# What a submission has no part in, by the name of its field; whatever is not named here is hostile in these tests.
OURS = frozenset(
    (
        "schema", "verdict", "title", "rules_file", "id", "check", "checks", "needs", "status", "level", "set", "code",
        "option", "op", "kind", "outcome", "claim", "target", "output", "device", "recipe", "stage", "sandbox",
        "versions", "rules_sha256", "sha256", "text", "claim_kind", "environment",
    )
)  # fmt: skip
# Of a module's path and a line of source the report has no line breaks; a file is one that a computer can have.
ONE_LINE = frozenset(("module", "source", "file", "folder", "path", "function"))


def poisoned(report: Report, text: str) -> Report:
    """Return a report with a text wherever a submission has a part."""
    return msgspec.convert(_poisoned(msgspec.to_builtins(report), text), Report)


def _poisoned(value: Any, text: str, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: inner if key in OURS else _poisoned(inner, text, key) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_poisoned(inner, text, name) for inner in value]
    if isinstance(value, str) and value:
        return text.replace("\n", " ").replace("\r", " ") if name in ONE_LINE else text
    return value


# Checkers: each is given the text of a poisoned report, and that of one with harmless text at the same places.

Checker = Callable[[str, str], None]


def no_commands(text: str) -> None:
    found = [line for line in re.split(r"[\r\n]", text) if line.lstrip().startswith("::") or "##[" in line]
    assert found == []


def printable(text: str, also: str = "\n") -> None:
    assert {char for char in text if not char.isprintable()} <= set(also)


def shape(value: Any) -> Any:
    """Return what is left of plain data without its texts and numbers."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value).__name__


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def check_text(text: str, mild: str) -> None:
    printable(text)
    no_commands(text)
    assert text.endswith("\n")


def check_concise(text: str, mild: str) -> None:
    check_text(text, mild)
    assert text.count("\n") == mild.count("\n")


def check_json(text: str, mild: str) -> None:
    printable(text)
    no_commands(text)
    assert shape(json.loads(text)) == shape(json.loads(mild))


def check_report(text: str, mild: str) -> None:
    check_json(text, mild)
    assert render(read_report(text.encode()), "json", Options()) == text


def check_shown_json(schema: str) -> Checker:
    """Return a checker for JSON whose texts are shown as they are, so that these have to be harmless too."""

    def check(text: str, mild: str) -> None:
        check_json(text, mild)
        for found in strings(json.loads(text)):
            printable(found)
            no_commands(found)
        validate(json.loads(text), schema)

    return check


def check_sarif(text: str, mild: str) -> None:
    log, harmless = json.loads(text), json.loads(mild)
    check_json(text, mild)
    validate(log, "sarif-2.1.0-rtm.5.json")
    for run, other in zip(log["runs"], harmless["runs"], strict=True):
        assert run["tool"] == other["tool"]
        for found in strings([run["results"], run["invocations"]]):
            printable(found)
    for message in re.findall(r'"text": ("(?:[^"\\]|\\.)*")', json.dumps(log["runs"][0]["results"])):
        assert not re.search(r"\]\(|\{\d", json.loads(message))
    for uri in re.findall(r'"uri": "([^"]*)"', text):
        assert re.fullmatch(r"(file:///)?[\w/.~%-]+", uri)


def check_junit(text: str, mild: str) -> None:
    printable(text)
    no_commands(text)

    def elements(source: str) -> list[tuple[str, list[str], int]]:
        found = ElementTree.fromstring(source).iter()
        return [(element.tag, sorted(element.attrib), len(element)) for element in found]

    assert elements(text) == elements(mild)


PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS_IN_MARKDOWN = re.compile(r"<span>|</span>|</?details>|<details><summary>[\w ,:]*</summary>")


def check_markdown(text: str, mild: str) -> None:
    printable(text)
    no_commands(text)
    tokens, harmless = PARSER.parse(text), PARSER.parse(mild)

    def blocks(found: list[Any]) -> list[tuple[str, str, str]]:
        return [(token.type, token.tag, token.info) for token in found]

    assert blocks(tokens) == blocks(harmless)
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "html_inline", "text_special", "softbreak"} | (
        {child.type for token in harmless for child in token.children or ()}
    )
    raw = [child.content for child in inline if child.type == "html_inline"]
    raw += [token.content.strip() for token in tokens if token.type == "html_block"]
    assert [piece for piece in raw if not OURS_IN_MARKDOWN.fullmatch(piece)] == []
    # What GitHub makes of text after the Markdown: links without brackets, mentions, formulas.
    outside = "\n".join(token.content for token in tokens if token.type == "inline")
    assert not re.search(r"(?i)(https?|ftp)://|www\.|@\w|\$(?!</span>)", outside)
    for token in tokens:
        if token.type == "fence" and token.info == "mermaid":
            check_mermaid(token.content)


PLAIN = r"[\w .,:×·…()/=+-]*"
LABEL = rf"{PLAIN}((#\d+;|<br/>){PLAIN})*"
MERMAID = re.compile(
    "|".join(
        (
            "flowchart TD",
            rf'  (n\d+|more)\["{LABEL}"\]',
            r'  [xy]\(\["(input|output)"\]\)',
            r"  (n\d+|x|more) --> (n\d+|y|more)",
            "xychart-beta",
            r"""  (title|x-axis|y-axis|line) [\w .,:"%\[\]>-]*""",
        )
    )
)


def check_mermaid(text: str) -> None:
    assert [line for line in text.splitlines() if not MERMAID.fullmatch(line)] == []


COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")
PROPERTY = r"(file|line|endLine|col|endColumn|title)=[^,:\r\n]*"
PROPERTIES = re.compile(f"{PROPERTY}(,{PROPERTY})*")


def check_github(text: str, mild: str) -> None:
    printable(text)

    def commands(source: str) -> list[tuple[str, list[str]]]:
        found = [COMMAND.fullmatch(line) for line in source.splitlines()]
        assert all(command and PROPERTIES.fullmatch(command[2]) for command in found)
        return [(one[1], [part.partition("=")[0] for part in one[2].split(",")]) for one in found if one]

    assert commands(text) == commands(mild)
    for line in text.splitlines():
        assert not re.search(r"%(?!25|0A|0D|3A|2C)", line)


def check_classroom(text: str, mild: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*\n", text)
    found, harmless = base64.b64decode(text).decode(), base64.b64decode(mild).decode()
    check_json(found, harmless)
    for shown in strings(json.loads(found)):
        printable(shown)
        no_commands(shown)  # its reader prints them in a workflow


class Tags(HTMLParser):
    """Collects what a browser would take for markup."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[tuple[str, tuple[str, ...]]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(sorted(name for name, _ in attrs))))


# What the page has of its own for some texts: marked changes, a table that is cut.
OURS_IN_HTML = {("del", ()), ("ins", ()), ("tbody", ("class",))}


def check_html(text: str, mild: str) -> None:
    printable(text)  # it is no text that a step prints, so that commands are of no interest
    found, harmless = Tags(), Tags()
    found.feed(text)
    harmless.feed(mild)
    assert found.found <= harmless.found | OURS_IN_HTML
    assert text.count("<script") == mild.count("<script")


CHECKERS: dict[str, Checker] = {
    "terminal": check_text,
    "text": check_text,
    "concise": check_concise,
    "json": check_report,
    "html": check_html,
    "markdown": check_markdown,
    "sarif": check_sarif,
    "junit": check_junit,
    "github": check_github,
    "gradescope": check_shown_json("gradescope.schema.json"),
    "prairielearn": check_shown_json("prairielearn.schema.json"),
    "classroom50": check_shown_json("classroom50-result.schema.json"),
    "classroom": check_classroom,
}


def test_every_form_has_a_checker() -> None:
    assert set(CHECKERS) == set(FORMATS)


def test_a_poisoned_report_is_poisoned_wherever_a_submission_has_a_part() -> None:
    found = msgspec.to_builtins(poisoned(REPORTS["failing"], "!"))
    finding = found["rules"][0]["findings"][0]
    assert {found["submission"]["class"], found["submission"]["path"], found["submission"]["folder"]} == {"!"}
    assert {finding[name] for name in ("message", "label", "why", "fix")} == {"!"}
    assert finding["span"]["file"] == "!" and set(finding["span"]["source"]) == {"!"}
    assert {layer["module"] for layer in found["model"]["layers"]} == {"!", ""}
    assert found["reproduce"]["command"] == "!" and found["title"] == "Session 5"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("form", CHECKERS)
def test_hostile_text_stays_text(form: str, text: str) -> None:
    for report in REPORTS.values():
        shown = render(poisoned(report, text), form, Options())
        mild = render(poisoned(report, MILD), form, Options())
        if mild:
            CHECKERS[form](shown, mild)
