"""The rules of a SARIF log: what a course asks for, in the words of the checks' pages."""

from __future__ import annotations

from typing import Any

from grader.checks import checks
from grader.finding import Level
from grader.render.escape import shortened, visible
from grader.report import RuleReport

TEXT_CAP = 1024  # code points of a description on GitHub
SEVERITIES: dict[Level, str] = {"error": "error", "warning": "warning", "note": "recommendation"}

Json = dict[str, Any]


def rule_descriptor(rule: RuleReport) -> Json:
    """Return a rule as a reportingDescriptor; a check that this version does not have is named alone."""
    pages = {name: checks()[name].page if name in checks() else f"The check {visible(name)}." for name in rule.checks}
    paragraphs = [[part.replace("\n", " ") for part in page.split("\n\n")] for page in pages.values()]
    word = " " if rule.needs == "all" else " Or: "
    return {
        "id": visible(rule.id),
        "shortDescription": {"text": shortened(word.join(part[0] for part in paragraphs), TEXT_CAP)},
        "fullDescription": {"text": shortened(" ".join(" ".join(part[:2]) for part in paragraphs), TEXT_CAP)},
        "help": {
            "text": "\n\n".join(pages.values()),
            "markdown": "\n\n".join(f"# {visible(name)}\n\n{page}" for name, page in pages.items()),
        },
        "defaultConfiguration": {"level": rule.level},
        "properties": {"problem.severity": SEVERITIES[rule.level], "tags": ["grading", *map(visible, rule.checks)]},
    }


def error_descriptor(code: str) -> Json:
    """Return the rule of a submission that could not be graded; its id is the error's code."""
    text = f"The submission could not be graded ({visible(code)})."
    told = "The result says what stood in the way, and what to do about it. It says nothing for or against the model."
    return {
        "id": visible(code),
        "shortDescription": {"text": text},
        "fullDescription": {"text": f"{text} {told}"},
        "help": {"text": f"{text} {told}", "markdown": f"{text} {told}"},
        "defaultConfiguration": {"level": "error"},
        "properties": {"problem.severity": "error", "tags": ["grading"]},
    }
