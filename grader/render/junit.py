"""JUnit XML as pytest writes it: one testcase a rule.

Source: junit-10.xsd of Jenkins' xunit plugin, which is what pytest follows (`_pytest/junitxml.py`). The names of the
suite's properties are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from grader.render import Options
from grader.render.escape import OLD_COMMAND, visible
from grader.render.marks import seconds
from grader.render.plain import about_rule, about_run
from grader.report import Report, RuleReport

# How a rule stands in the file; a rule of level warning or note that is not met breaks no build.
FAILURE, ERROR, SKIPPED = "failure", "error", "skipped"


def render(report: Report, options: Options) -> str:
    """Return the report as XML; what XML 1.0 cannot hold is spelled out."""
    root = Element("testsuites")
    root.append(_suite(report))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text.replace(OLD_COMMAND, "##&#91;")}\n'


def _suite(report: Report) -> Element:
    kinds = [_kind(rule) for rule in report.rules]
    suite = Element(
        "testsuite",
        name="s5-grade",
        errors=str(kinds.count(ERROR)),
        failures=str(kinds.count(FAILURE)),
        skipped=str(kinds.count(SKIPPED)),
        tests=str(len(kinds)),
    )
    if report.training is not None:
        suite.set("time", f"{report.training.seconds:.3f}")
    properties = SubElement(suite, "properties")
    for name, value in _properties(report):
        SubElement(properties, "property", name=name, value=visible(value))
    for rule, kind in zip(report.rules, kinds, strict=True):
        suite.append(_case(report, rule, kind))
    SubElement(suite, "system-out").text = about_run(report)
    return suite


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    submission, again = report.submission, report.reproduce
    yield from (("title", report.title), ("verdict", report.verdict), ("rules", report.rules_file))
    yield from (("score", f"{report.score:g}"), ("max_score", f"{report.max_score:g}"))
    yield from (("submission", submission.path), ("class", submission.class_name), ("sha256", submission.sha256))
    yield from (("sandbox", report.sandbox.level or "not used"), ("command", again.command))
    yield from sorted(again.versions.items())


def _kind(rule: RuleReport) -> str:
    if rule.status == "fail":
        return FAILURE if rule.level == "error" else ""
    return {"pass": "", "error": ERROR, "skipped": SKIPPED}[rule.status]


def _case(report: Report, rule: RuleReport, kind: str) -> Element:
    case = Element("testcase", classname=visible(report.submission.path), name=visible(rule.id))
    case.set("time", f"{seconds(report, rule):.3f}")
    text = about_rule(report, rule)
    if kind:
        message = rule.message if report.error is None else report.error.message
        SubElement(case, kind, type=visible(rule.check), message=visible(message)).text = text
    elif rule.findings or rule.status == "fail":
        SubElement(case, "system-out").text = text
    return case
