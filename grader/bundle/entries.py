"""The files of a bundle: written from a grading, and read again with everything about them checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from grader.bundle.archive import BundleError, entry_name, pack, path_of, unpack
from grader.bundle.form import (
    SCHEMA,
    Contents,
    RulesForm,
    SubmissionForm,
    rules_form,
    rules_of,
    settings_form,
    settings_of,
)
from grader.grade import Grading
from grader.graph import Graph
from grader.manifest import BYTES_CAP, FILES_CAP, NOTEBOOK_CAP, TOTAL_CAP, Submission
from grader.render import Options, render
from grader.report import Report, ReportError, read_report
from grader.rules import Rules
from grader.settings import Settings

CONTENTS = "bundle.json"
RULES = "rules.json"
REPORT = "report.json"
GRAPH = "graph.json"
WEIGHTS = "weights.safetensors"
FOLDER = "submission/"

MEBIBYTE = 1024 * 1024
# Bytes of each file, and whether a bundle has to have it: a submission that could not be captured has no graph.
CAPS = {
    CONTENTS: (MEBIBYTE, True),
    RULES: (MEBIBYTE, True),
    REPORT: (64 * MEBIBYTE, True),
    GRAPH: (48 * MEBIBYTE, False),
    WEIGHTS: (72 * MEBIBYTE, False),
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds: what was graded, by which rules and how, and what came of it."""

    submission: Submission
    rules: Rules
    settings: Settings
    versions: dict[str, str]
    report: Report
    graph: Graph | None = None
    weights: bytes | None = None


def bundled(grading: Grading, rules: Rules, settings: Settings) -> bytes:
    """Return a bundle of a submission that could be read. The same grading makes the same bytes."""
    submission = grading.submission
    if submission is None:
        raise ValueError("there is nothing to bundle of a submission that could not be read")
    entries = {f"{FOLDER}{entry_name(path)}": data for path, data in submission.files.items()}
    entries[RULES] = _pretty(rules_form(rules))
    entries[REPORT] = render(grading.report, "json", Options()).encode()
    if grading.exported is not None:
        entries[GRAPH] = graph_bytes(grading.exported.graph)
        entries[WEIGHTS] = grading.exported.tensors
    contents = Contents(
        SCHEMA,
        SubmissionForm(submission.path, submission.folder, submission.entry),
        settings_form(settings),
        grading.report.reproduce.versions,
        {name: digest(entries[name]) for name in sorted(entries)},
    )
    return pack({**entries, CONTENTS: _pretty(contents)})


def graph_bytes(graph: Graph) -> bytes:
    """Return a graph as the JSON that its digest is of."""
    return _pretty(graph)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_bundle(data: bytes) -> Bundle:
    """Return what a bundle holds.

    Raises:
        BundleError: it is none, was made by another version, was damaged, or holds what no submission may.
    """
    entries = unpack(data)
    _check_names(entries)
    contents = _contents(entries[CONTENTS])
    _check_digests(entries, contents)
    report = _report(entries[REPORT])
    rules = _decode(entries[RULES], RULES, RulesForm)
    submission = Submission(
        contents.submission.path, contents.submission.folder, contents.submission.entry, dict(_files(entries))
    )
    _check_files(submission)
    if report.submission.sha256 != submission.sha256:
        raise BundleError(f"{REPORT} is about another submission than the one in the bundle")
    graph = _decode(entries[GRAPH], GRAPH, Graph) if GRAPH in entries else None
    return Bundle(
        submission,
        rules_of(rules),
        settings_of(contents.settings),
        contents.versions,
        report,
        graph,
        entries.get(WEIGHTS),
    )


def _pretty(item: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(item, order="deterministic"), indent=1) + b"\n"


def _check_names(entries: Mapping[str, bytes]) -> None:
    for name, data in entries.items():
        if name in CAPS:
            cap = CAPS[name][0]
            if len(data) > cap:
                raise BundleError(f"{name} has {len(data):,} bytes, the limit is {cap:,}")
        elif not name.startswith(FOLDER):
            raise BundleError(f"no bundle has a file {name!r}")
    missing = [name for name, (_, needed) in CAPS.items() if needed and name not in entries]
    if missing:
        raise BundleError(f"not a bundle: {missing[0]} is missing")
    if (GRAPH in entries) != (WEIGHTS in entries):
        raise BundleError(f"of {GRAPH} and {WEIGHTS} one is missing")


class _Schema(msgspec.Struct):
    schema: int


def _contents(data: bytes) -> Contents:
    """Return `bundle.json`, whose number of a schema is read first: another one has other fields."""
    schema = _decode(data, CONTENTS, _Schema).schema
    if schema != SCHEMA:
        raise BundleError(f"a bundle of schema {schema}; this version of s5-grade reads schema {SCHEMA}")
    return _decode(data, CONTENTS, Contents)


def _check_digests(entries: Mapping[str, bytes], contents: Contents) -> None:
    """Compare every file with its digest: a bundle that was damaged or mended by hand is told from a whole one."""
    if set(contents.sha256) != set(entries) - {CONTENTS}:
        odd = min(set(contents.sha256) ^ (set(entries) - {CONTENTS}))
        raise BundleError(f"{CONTENTS} does not list the files that there are: {odd!r}")
    for name, expected in contents.sha256.items():
        if digest(entries[name]) != expected:
            raise BundleError(f"{name} is not what was bundled: its digest is another than {CONTENTS} says")


def _report(data: bytes) -> Report:
    try:
        return read_report(data)
    except ReportError as error:
        raise BundleError(f"{REPORT}: {error}") from None


def _decode(data: bytes, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BundleError(f"{name}: {error}") from None


def _files(entries: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, data in entries.items():
        if name.startswith(FOLDER):
            yield path_of(name.removeprefix(FOLDER)), data


def _check_files(submission: Submission) -> None:
    """Hold the files of a bundle to the limits that a submission is read with."""
    entry = submission.entry
    if entry not in submission.files:
        raise BundleError(f"the file with the model, {entry!r}, is not in the bundle")
    if not entry.lower().endswith((".py", ".ipynb")) or not submission.files[entry].strip():
        raise BundleError(f"{entry!r} is neither a Python file nor a notebook, or it is empty")
    others = {path: data for path, data in submission.files.items() if path != entry}
    caps = {**dict.fromkeys(others, BYTES_CAP), entry: BYTES_CAP if entry.lower().endswith(".py") else NOTEBOOK_CAP}
    for path, data in submission.files.items():
        if len(data) > caps[path]:
            raise BundleError(f"{path!r} has {len(data):,} bytes, the limit of a submission is {caps[path]:,}")
        if path != entry and not path.endswith(".py"):
            raise BundleError(f"{path!r} is no part of a submission: beside the model stand Python files alone")
    if len(others) > FILES_CAP:
        raise BundleError(f"{len(others)} files beside the model, the limit of a submission is {FILES_CAP}")
    total = sum(map(len, others.values()))
    if total > TOTAL_CAP:
        raise BundleError(f"{total:,} bytes beside the model, the limit of a submission is {TOTAL_CAP:,}")
