"""A rules file to begin with: every key with what it is for, and every check that there is, as comments."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from grader.checks import checks
from grader.datasets import Source
from grader.rules.document import Mark, Problem, RulesError, plain_value
from grader.rules.read import read_rules
from grader.rules.ready import DEFAULT, no_such_rules, ready_files
from grader.rules.reference import option_rows
from grader.rules.types import CheckUse, Input, Rule

WIDTH = 110  # columns of a comment
FLOW = 60  # columns of a mapping that may stand on one line

HEAD = """\
# Rules for s5-grade: what a course asks of a model, and what each rule is worth. Grade by them with
#   s5-grade model.py --rules rules.yaml
# A fault in this file is told with its line and what was expected. An editor checks it while you write, with
# docs/schema/rules.schema.json of s5-grade as its schema.

# What reports call these rules.
"""
EXTENDS = """
# A file can build on another one: on a path from this file's folder, or on one that comes with s5-grade
# ({names}).
# Its rules come first; a rule of the same id here takes the place of the one there.
#   extends: {name}
# Rules of that file that do not apply:
#   without: [{first}]

# What models are fed: the shape of one image (channels, height, width), how many classes there are, and the mean and
# standard deviation of each channel, by which images are shifted and scaled. A model is trained on MNIST, or on
#   dataset: fashion-mnist
# or cifar10, an .npz file, a folder with files like those of MNIST. What is left out here follows from the data set.
"""
RULES = """
# Each rule has
#   id: what the course calls it, in words of a-z and 0-9 with hyphens
#   points: what it is worth; without points it is worth 0
#   level: error (breaking it fails the submission; the default), warning or note
#   checks: a list of checks which must all hold
#   any: in place of checks, a list of which one is enough
# A check is its name, or its name with options:
#   checks: [dropout, linear: {pointwise: forbid}]
#   any:
#     - global-average-pool
#     - linear: {expect: present}
"""
CHECKS = """
# All checks, each with its options and their defaults. `s5-grade explain CHECK` tells more.
#
"""


def starter(name: str = DEFAULT) -> str:
    """Return a commented rules file that means what ready rules mean. Raises RulesError for a name that none have."""
    if name not in ready_files():
        raise RulesError(Problem(Mark(name), no_such_rules(name)))
    rules = read_rules(name)
    names = ", ".join(ready_files())
    parts = [
        HEAD,
        f"title: {_scalar(rules.title)}\n",
        EXTENDS.format(name=name, names=names, first=rules.rules[0].id),
        _input(rules.input),
        RULES,
        "rules:\n",
        "\n".join("\n".join(_rule(rule)) + "\n" for rule in rules.rules),
        CHECKS,
        "\n".join(_checks()) + "\n",
    ]
    return "".join(parts)


def _input(images: Input) -> str:
    lines = ["input:"]
    if images.dataset is not None:
        lines.append(f"  dataset: {_dataset(images.dataset)}")
    lines += [f"  shape: {_flow(list(images.shape))}", f"  classes: {images.classes}"]
    if images.mean:
        mean, std = (_flow(list(numbers)) for numbers in (images.mean, images.std))
        lines.append(f"  normalise: {{mean: {mean}, std: {std}}}")
    return "".join(f"{line}\n" for line in lines)


def _dataset(source: Source) -> str:
    if source.torchvision:
        return _flow({"torchvision": source.torchvision, "root": source.name})
    return _scalar(source.name)


def _rule(rule: Rule) -> Iterator[str]:
    yield f"  - id: {rule.id}"
    if rule.points:
        yield f"    points: {rule.points:g}"
    if rule.level != "error":
        yield f"    level: {rule.level}"
    yield "    checks:" if rule.needs == "all" else "    any:"
    for use in rule.checks:
        yield from _use(use)


def _use(use: CheckUse) -> Iterator[str]:
    absent = {row.name for row in option_rows(checks()[use.check]) if row.default == "none"}
    given = {name: value for name, value in use.options.items() if value is not None or name not in absent}
    if not given:
        yield f"      - {use.check}"
    elif _is_short(given):
        yield f"      - {use.check}: {_flow(given)}"
    else:
        yield f"      - {use.check}:"
        yield from _block(given, "          ")


def _block(mapping: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in mapping.items():
        if isinstance(value, dict) and not _is_short(value):
            yield f"{indent}{name}:"
            yield from _block(value, indent + "  ")
        else:
            yield f"{indent}{name}: {_flow(value)}"


def _is_short(mapping: dict[str, Any]) -> bool:
    return len(_flow(mapping)) <= FLOW


def _flow(value: Any) -> str:
    """Return plain data on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_flow, value))}]"
    return _scalar(value) if isinstance(value, str) else json.dumps(value)


def _scalar(text: str) -> str:
    """Return a text as it may stand in YAML: in quotes where it would mean something else without them."""
    plain = re.fullmatch(r"[A-Za-z][\w %.,()-]*", text) is not None and "," not in text and plain_value(text) == text
    return text if plain else json.dumps(text, ensure_ascii=False)


def _checks() -> Iterator[str]:
    """Yield a comment on each check: what it says of a model, and its options with their defaults."""
    for check in sorted(checks().values(), key=lambda check: check.id):
        yield f"# {check.id}"
        yield from textwrap.wrap(check.summary, WIDTH, initial_indent="#     ", subsequent_indent="#     ")
        rows = [row for row in option_rows(check) if "." not in row.name]
        if rows:
            shown = (row.default.replace("as below", "{…}") or "must be given" for row in rows)
            options = "; ".join(f"{row.name}: {default}" for row, default in zip(rows, shown, strict=True))
            yield f"#     Options: {options}"
