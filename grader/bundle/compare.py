"""A verdict and its repetition: what is the same, what is not, and what may be the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from grader.bundle.entries import Bundle, digest, graph_bytes
from grader.grade import Grading
from grader.graph import Graph, Mode, Node
from grader.protocol import TrainingReport
from grader.report import ACCURACY, Report
from grader.rules import Rules

NOTHING = "nothing"
MODES: tuple[tuple[Mode, str], ...] = (("eval", "evaluation"), ("train", "training"))


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is one thing in the bundle and another here."""

    what: str
    bundled: str
    here: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a repetition compares with its bundle.

    `differences` keep the verdict from being repeated; `remarks` tell what else was found out; `versions` are those of
    the programs that took part, where they differ. `ungraded` says that there is no verdict here, though there was one,
    `skipped` that a training was not repeated and its rule, the verdict and the score not compared.
    """

    differences: tuple[Difference, ...]
    remarks: tuple[str, ...]
    versions: tuple[Difference, ...]
    ungraded: bool = False
    skipped: bool = False

    @property
    def repeated(self) -> bool:
        return not self.differences


def compared(bundle: Bundle, grading: Grading, *, trained: bool, rules: Rules | None = None) -> Comparison:
    """Compare a bundle with its repetition.

    `trained` says whether a training that the bundle has was repeated: without, the rule about accuracy, the verdict
    and the score are left out. `rules` are those that the bundle is expected to hold.
    """
    skipped = bundle.settings.train and not trained
    there, here = dict(_facts(bundle.report, skipped)), dict(_facts(grading.report, skipped))
    found = [
        Difference(what, there.get(what, NOTHING), here.get(what, NOTHING))
        for what in dict.fromkeys([*there, *here])
        if there.get(what) != here.get(what)
    ]
    if rules is not None and rules.sha256 != bundle.rules.sha256:
        found.append(Difference("rules", _short(bundle.rules.sha256), _short(rules.sha256)))
    remarks = list(_training(bundle.report, grading.report))
    graph = _graphs(bundle, grading)
    found += [graph] if isinstance(graph, Difference) else []
    remarks += [graph] if isinstance(graph, str) else []
    remarks += _weights(bundle, grading)
    ungraded = grading.report.error is not None and bundle.report.error is None
    return Comparison(tuple(found), tuple(remarks), tuple(_versions(bundle, grading.report)), ungraded, skipped)


def _facts(report: Report, skipped: bool) -> Iterator[tuple[str, str]]:
    """Yield what a repetition has to give again; numbers of a training are not among it."""
    if not skipped:
        yield "verdict", report.verdict
    if report.error is not None:
        yield "obstacle", report.error.code
    if report.model is not None:
        yield "class", report.model.class_name
        yield "parameters", f"{report.model.parameters:,}"
    for rule in report.rules:
        if ACCURACY in rule.checks:
            if not skipped:
                yield f"rule {rule.id}", rule.status
            continue
        measured = "" if rule.measured is None else f", measured {rule.measured:,}"
        yield f"rule {rule.id}", f"{rule.status}{measured}"
    if not skipped:
        yield "score", f"{report.score:g} of {report.max_score:g}"


def _training(there: Report, here: Report) -> Iterator[str]:
    """Yield how the trainings compare: another machine adds numbers up in another order."""
    if there.training is None or here.training is None:
        return
    one, other = _learned(there.training), _learned(here.training)
    if one == other:
        yield f"training: the same, {one}"
    else:
        yield f"training: {one} in the bundle, {other} here; another machine rounds otherwise"


def _learned(training: TrainingReport) -> str:
    counts = [seed.errors for seed in training.seeds] or [training.errors]
    if set(counts) == {None}:
        return f"left open ({training.reason})"
    told = ", ".join("?" if count is None else str(count) for count in counts)
    return f"{told} errors after {training.epochs} epoch{'' if training.epochs == 1 else 's'}"


def _graphs(bundle: Bundle, grading: Grading) -> Difference | str | None:
    """Return how the graphs compare: a verdict is about a graph, so that another one is another verdict."""
    now = grading.exported
    if bundle.graph is None or now is None:
        return None  # the obstacle has been told
    one, other = graph_bytes(bundle.graph), graph_bytes(now.graph)
    if one == other:
        return f"graph: the same (sha256 {_short(digest(one))})"
    return Difference("graph", *_first_difference(bundle.graph, now.graph))


def _first_difference(one: Graph, other: Graph) -> tuple[str, str]:
    """Return the first node that is not the same in two graphs, as each has it."""
    for mode, word in MODES:
        pairs = zip_longest(one.program(mode).nodes, other.program(mode).nodes)
        for number, (node, twin) in enumerate(pairs, 1):
            if node != twin:
                where = f"as operator {number} of {word}"
                return f"{_node(node)} {where}", f"{_node(twin)} {where}"
    return "other tensors or modules", "the same operators"


def _node(node: Node | None) -> str:
    if node is None:
        return NOTHING
    place = f" of {node.span.file}:{node.span.line}" if node.span is not None else ""
    return f"{node.op.rpartition('.')[2]}{place}"


def _weights(bundle: Bundle, grading: Grading) -> Iterator[str]:
    if bundle.weights is None or grading.exported is None:
        return
    if bundle.weights == grading.exported.tensors:
        yield "weights: the same to the bit"
    else:
        yield "weights: differ in bits, as they may between versions and processors"


def _versions(bundle: Bundle, here: Report) -> Iterator[Difference]:
    now = here.reproduce.versions
    for name in dict.fromkeys([*bundle.versions, *now]):
        if bundle.versions.get(name) != now.get(name):
            yield Difference(name, bundle.versions.get(name, "none"), now.get(name, "none"))


def _short(sha256: str) -> str:
    return sha256[:12]
