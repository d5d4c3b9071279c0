"""SARIF 2.1.0, as GitHub's code scanning accepts it.

Sources: OASIS, 'Static Analysis Results Interchange Format (SARIF) Version 2.1.0', whose sections are named where it
matters; GitHub's documentation, 'SARIF support for code scanning'. A run that found nothing has no results. Paths are
relative to the folder in which the grader was called: let that be the root of the repository.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from grader.finding import Level
from grader.render import Options
from grader.render.escape import json_text, visible
from grader.render.fingerprints import fingerprints
from grader.render.paths import has_lines, path_of
from grader.render.places import by_place, position
from grader.render.sarif_rules import error_descriptor, rule_descriptor
from grader.report import Edit, ErrorReport, FindingReport, Place, Related, Report, RuleReport

SCHEMA_URI = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"
LEVELS: dict[Level, str] = {"error": "error", "warning": "warning", "note": "note"}
_SEMANTIC = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")

Json = dict[str, Any]


def render(report: Report, options: Options) -> str:
    """Return the report as a SARIF log with one run."""
    return json_text({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [_run(report)]}) + "\n"


def _run(report: Report) -> Json:
    rules = [rule_descriptor(rule) for rule in report.rules]
    if report.error is not None:
        rules.append(error_descriptor(report.error.code))
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    results = _results(report)
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    return {
        "tool": {"driver": {**_driver(report), "rules": rules}},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder in which s5-grade was called."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": results,
        "properties": {"verdict": report.verdict, "score": report.score, "maxScore": report.max_score},
    }


def _driver(report: Report) -> Json:
    version = report.reproduce.versions.get("s5-grade", "")
    return {"name": "s5-grade", **({"semanticVersion": version} if _SEMANTIC.fullmatch(version) else {})}


def _invocation(report: Report) -> Json:
    """Return how the run went: rules that could not be decided are no results, but what the tool has to say."""
    undecided = [rule for rule in report.rules if rule.status == "error" and report.error is None]
    notifications = [
        {
            "level": "warning",
            "message": _message(f"{rule.id} is undecided: {rule.message}"),
            "associatedRule": {"id": _id(rule)},
        }
        for rule in undecided
    ]
    successful = report.error is None or report.error.code != "internal"
    return {"executionSuccessful": successful, "toolExecutionNotifications": notifications}


def _results(report: Report) -> list[Json]:
    if report.error is not None:
        return [_error_result(report, report.error)]
    found = by_place(report)
    marks = fingerprints([(rule.id, finding.span) for rule, finding in found])
    results = [_result(report, rule, finding, mark) for (rule, finding), mark in zip(found, marks, strict=True)]
    bare = [rule for rule in report.rules if rule.status == "fail" and not rule.findings]
    return results + [_bare_result(report, rule) for rule in bare]


def _result(report: Report, rule: RuleReport, finding: FindingReport, fingerprint: str) -> Json:
    fix = f"Fix: {finding.fix}" if finding.fix else ""
    result = _base(report, _id(rule), finding.level, (finding.message, finding.why, fix), finding.span, fingerprint)
    if finding.related:
        result["relatedLocations"] = [
            _related(report, number, related) for number, related in enumerate(finding.related, 1)
        ]
    if finding.edits and all(has_lines(edit.span) for edit in finding.edits):
        result["fixes"] = [_fix(report, finding)]
    return result


def _bare_result(report: Report, rule: RuleReport) -> Json:
    """Return the result of a rule that failed without a finding."""
    (fingerprint,) = fingerprints([(rule.id, None)])
    return _base(report, _id(rule), rule.level, (rule.message,), None, fingerprint)


def _error_result(report: Report, error: ErrorReport) -> Json:
    (fingerprint,) = fingerprints([(error.code, error.span)])
    fix = f"Fix: {error.fix}" if error.fix else ""
    texts = (error.message, error.error if error.error.strip() not in error.message else "", error.why, fix)
    result = _base(report, visible(error.code), "error", texts, error.span, fingerprint)
    if error.frames:
        frames = [{"location": _location(report, frame.span, frame.function)} for frame in reversed(error.frames)]
        result["stacks"] = [{"message": {"text": "The way to it, the innermost call first."}, "frames": frames}]
    return result


def _base(
    report: Report, rule_id: str, level: Level, texts: tuple[str, ...], place: Place | None, fingerprint: str
) -> Json:
    """Return what every result has; a place in a notebook is told in words, as its file has other lines."""
    inside = place is not None and not has_lines(place)
    where = (position(report, place),) if place is not None and inside else ()
    return {
        "ruleId": rule_id,
        "level": LEVELS[level],
        "message": _message("\n\n".join(text for text in (*texts, *where) if text)),
        "locations": [_location(report, place)],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint},
    }


def _related(report: Report, number: int, related: Related) -> Json:
    return {"id": number, **_location(report, related.span, related.label)}


def _location(report: Report, place: Place | None, label: str = "") -> Json:
    physical: Json = {"artifactLocation": _artifact(path_of(report, place)), "region": _region(place)}
    location: Json = {"physicalLocation": physical, **({"message": _message(label)} if label else {})}
    if place is not None and place.cell is not None:
        location["logicalLocations"] = [{"name": f"cell {place.cell}", "kind": "cell"}]
    return location


def _artifact(path: str) -> Json:
    """Return a path as a URI: relative to the root, or, where it is absolute, as what it is."""
    uri = quote(path.encode("utf-8", "surrogatepass"), safe="/")
    return {"uri": f"file://{uri}"} if path.startswith("/") else {"uri": uri, "uriBaseId": ROOT}


def _region(place: Place | None) -> Json:
    """Return a place as a region (3.30); GitHub needs one, so that what has no line stands at the first."""
    if place is None or not has_lines(place):
        return {"startLine": 1, "startColumn": 1}
    if place.column:
        end_line = max(place.line, place.end_line)
        least = place.column if end_line == place.line else 1
        return _span(place.line, place.column, end_line, max(least, place.end_column))
    if not place.source:
        return {"startLine": place.line, "startColumn": 1}
    line = place.source[0]
    return _span(place.line, len(line) - len(line.lstrip()) + 1, place.line, len(line.rstrip()) + 1)


def _span(line: int, column: int, end_line: int, end_column: int) -> Json:
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(report: Report, finding: FindingReport) -> Json:
    """Return the edits of a finding, file by file (3.55)."""
    files: dict[str, list[Edit]] = {}
    for edit in finding.edits:
        files.setdefault(path_of(report, edit.span), []).append(edit)
    changes = [
        {"artifactLocation": _artifact(path), "replacements": [_replacement(edit) for edit in edits]}
        for path, edits in files.items()
    ]
    return {"description": _message(finding.fix or finding.message), "artifactChanges": changes}


def _replacement(edit: Edit) -> Json:
    """Return an edit; its text goes into the file as it is, so nothing in it is spelled out."""
    return {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}


def _id(rule: RuleReport) -> str:
    return visible(rule.id)


def _message(text: str) -> Json:
    """Return a text as a message in which nothing is a link (3.11.6) or a placeholder (3.11.5)."""
    shown = "\n".join(map(visible, text.split("\n")))
    return {"text": re.sub(r"\{(?=\d)", "{ ", shown.replace("](", "] (")) or "-"}
