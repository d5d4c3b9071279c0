"""Convolutions of a special form that rules ask for, or forbid: found in both programs, and judged by their effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from grader.checks._layers import Convolution, counted, distinct
from grader.checks._subject import MODES, Replacement, Subject, resting, span_of
from grader.facts import Facts
from grader.finding import CheckResult, Finding
from grader.graph import Mode

Search = Callable[[Facts], Sequence[Convolution]]
Nearest = Callable[[Facts], tuple[str, "Convolution | None"]]
_NAMES: dict[Mode, str] = {"eval": "evaluation", "train": "training"}


@dataclass(frozen=True)
class Form:
    """A form of convolution: what it is called, why one wants it, what finds it, and how to describe one."""

    check: str
    name: str
    why: str
    search: Search
    describe: Callable[[Convolution], str]


def present(subject: Subject, form: Form, nearest: Nearest, fix: str) -> CheckResult:
    """Return the result for rules that ask for the form: in both modes, together, they must have an effect.

    `nearest` tells what a program has in its place, in words, `fix` how to get one.
    """
    for mode in MODES:
        found = form.search(subject.facts[mode])
        if not found:
            return lacking(subject, form, mode, nearest, fix)
        removed: dict[int, Replacement] = {layer.step.index: "zeros" for layer in found}
        if not subject.experiments.matters(mode, removed):
            message = f"a {form.name} runs, but has no effect on the prediction"
            return failed(subject, form, message, "Let its result reach the output.", found[0])
        rests = resting(subject, mode, removed, form.check, f"a {form.name}", found[0].step)
        if rests is not None:
            return rests
    message = f"{counted(len(found), f'live {form.name}')}: {form.describe(found[0])}"
    return CheckResult(form.check, "pass", message + (" and others" if len(found) > 1 else ""), measured=len(found))


def lacking(subject: Subject, form: Form, mode: Mode, nearest: Nearest, fix: str) -> CheckResult:
    """Return the failed result where a mode has none, with the nearest thing to one that was seen."""
    for other in MODES:
        found = form.search(subject.facts[other])
        if found:
            message = f"a {form.name} runs in {_NAMES[other]} mode only"
            return failed(subject, form, message, f"Let forward run it in {_NAMES[mode]} mode too.", found[0])
    words, layer = nearest(subject.facts[mode])
    return failed(subject, form, f"no {form.name}: {words}" if words else f"no {form.name}", fix, layer)


def failed(subject: Subject, form: Form, message: str, fix: str, layer: Convolution | None) -> CheckResult:
    span = (span_of(layer.step) if layer else None) or subject.graph.span
    related = subject.made_here(layer.step) if layer else ()
    finding = Finding(form.check, "error", message, form.why, fix, span, related=related)
    return CheckResult(form.check, "fail", message, (finding,), measured=0)


def absent(subject: Subject, form: Form, fix: str) -> CheckResult:
    """Return the result for rules that forbid the form; one without an effect so far leaves them undecided."""
    pairs = [(mode, layer) for mode in MODES for layer in form.search(subject.facts[mode].given)]
    acting = [(mode, layer) for mode, layer in pairs if matters(subject, mode, layer)]
    silent = [pair for pair in pairs if pair not in acting]
    errors = distinct(forbidden(subject, form, layer, fix) for _, layer in acting)
    if errors:
        return CheckResult(form.check, "fail", errors[0].message, errors, measured=len(errors))
    warnings = distinct(without_effect(subject, form, layer) for _, layer in silent)
    if warnings:
        return CheckResult(form.check, "error", f"can't be told: {warnings[0].message}", warnings)
    return CheckResult(form.check, "pass", f"no {form.name}", measured=0)


def matters(subject: Subject, mode: Mode, layer: Convolution) -> bool:
    return subject.experiments.matters(mode, {layer.step.index: "zeros"})


def forbidden(subject: Subject, form: Form, layer: Convolution, fix: str) -> Finding:
    message = f"a {form.name}: {form.describe(layer)}"
    why = f"These rules allow no {form.name}."
    return Finding(form.check, "error", message, why, fix, span_of(layer.step), related=subject.made_here(layer.step))


def without_effect(subject: Subject, form: Form, layer: Convolution) -> Finding:
    message = f"a {form.name} is on the way to the prediction, without an effect on the images that were tried"
    why = "Something keeps it from the prediction, and may not do so for other images."
    return Finding(form.check, "warning", message, why, "Delete it.", span_of(layer.step))


def widest(layers: Iterable[Convolution]) -> Convolution | None:
    """Return the convolution with the most weights, None of none."""
    return max(layers, key=lambda layer: layer.weight.size, default=None)
