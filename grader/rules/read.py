"""A rules file, with those it extends, as `Rules`; or all its problems at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping as Table
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import msgspec

from grader.checks import Check, checks
from grader.rules.document import SIZE_CAP, Mapping, Mark, Node, Problem, RulesError, Scalar, parse
from grader.rules.form import CheckForm, RuleForm, RulesForm
from grader.rules.images import input_of
from grader.rules.ready import DEFAULT, could_be_ready, no_such_file, ready_files, ready_path
from grader.rules.typed import FAILED, Conversion, shown, suggestion
from grader.rules.types import CheckUse, Input, Rule, Rules

EXTENDS_CAP = 8  # files in a row that extend each other
UNTRAINABLE = "accuracy is measured on MNIST: it needs the input shape [1, 28, 28] and 10 classes, or another dataset"


def default_path() -> Path:
    """Return the path of the rules that are used when none are named."""
    return ready_path(DEFAULT)


def read_rules(source: str | os.PathLike[str] | None = None, table: Table[str, Check] | None = None) -> Rules:
    """Return the rules of a file; None means the default ones, a name such as `gap-or-fc` others that are shipped.

    `table` holds the checks that there are. Raises RulesError with every problem of the file and of those it extends.
    """
    name = DEFAULT if source is None else os.fspath(source)
    problems: list[Problem] = []
    reading = _Reading(checks() if table is None else table, problems)
    rules = reading.file(*_resolved(name, Path()), ())
    if rules is not None:
        reading.validate(rules)
    if problems or rules is None:
        raise RulesError(*sorted(problems, key=lambda problem: astuple(problem.mark)))
    return replace(rules, source="" if name == DEFAULT else name)


def rules_files(source: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
    """Return the files that `read_rules` reads for a source: it, what it extends, and so on; also those not there."""
    name = DEFAULT if source is None else os.fspath(source)
    path, shown_as = _resolved(name, Path())
    reading = _Reading(checks(), [])
    reading.file(path, shown_as, ())
    return tuple(dict.fromkeys([path, *reading.bases]))


def _resolved(name: str, folder: Path, prefix: str = "") -> tuple[Path, str]:
    """Return the file that a name stands for, of a folder or else one that is shipped, and how messages name it."""
    path = folder / name
    if could_be_ready(name) and name in ready_files() and not _exists(path):
        return ready_path(name), ready_files()[name]
    return path, os.path.normpath(Path(prefix) / name)


def _exists(path: Path) -> bool:
    """Tell whether there is a file; unlike a path's own method, of names that no file can have too."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _bytes_of(path: Path, mark: Mark) -> bytes:
    """Return a file's bytes. Raises RulesError, at `mark`, where it has none."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise RulesError(
                Problem(mark, f"{'a folder' if stat.S_ISDIR(mode) else 'not a file'}, expected a rules file")
            )
        with path.open("rb") as file:
            return file.read(SIZE_CAP + 1)
    except FileNotFoundError:
        raise RulesError(Problem(mark, no_such_file(mark.file))) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RulesError(Problem(mark, f"cannot be read: {reason}")) from None


class _Reading:
    """One call of `read_rules`: the checks that there are, and the problems found so far."""

    def __init__(self, table: Table[str, Check], problems: list[Problem]) -> None:
        self.table = table
        self.problems = problems
        self.bases: list[Path] = []
        self.conversion = Conversion(problems, {CheckForm: self.check, RuleForm: self.rule})

    def file(self, path: Path, name: str, extending: tuple[Path, ...]) -> Rules | None:
        """Return the rules of one file, merged into those it extends; None where they could not be read."""
        try:
            node = parse(_bytes_of(path, Mark(name)), name, self.problems)
        except RulesError as error:
            self.problems.extend(error.problems)
            return None
        form = self.conversion.struct(node, RulesForm, "a rules file")
        base = self.base(node, path, name, (*extending, path.resolve()))
        return None if form is FAILED else self.merged(form, node, base, name, path.parent)

    def base(self, node: Node, path: Path, name: str, extending: tuple[Path, ...]) -> Rules | None:
        """Return the rules that a file extends, None where it extends none."""
        named = node.get("extends") if isinstance(node, Mapping) else None
        if not isinstance(named, Scalar) or not isinstance(named.value, str):
            return None
        base, base_name = _resolved(named.value, path.parent, str(Path(name).parent))
        self.bases.append(base)
        if not _exists(base):
            self.conversion.note(named.mark, f"extends {named.value!r}: {no_such_file(named.value)}")
        elif base.resolve() in extending:
            self.conversion.note(named.mark, f"extends goes in a circle: {named.value!r} leads back to itself")
        elif len(extending) >= EXTENDS_CAP:
            self.conversion.note(named.mark, f"more than {EXTENDS_CAP} files extend each other")
        else:
            return self.file(base, base_name, extending)
        return None

    def merged(self, form: RulesForm, node: Node, base: Rules | None, name: str, folder: Path) -> Rules:
        """Return a file's rules over those of its base: the same id takes the same place, new ones follow.

        `folder` is that of the file.
        """
        own: Any = form.rules  # `rule` read them
        rules = {rule.id: rule for rule in base.rules} if base else {}
        for unwanted in form.without:
            if rules.pop(unwanted, None) is None and (base or form.extends is None):
                place = node.get("without") if isinstance(node, Mapping) else None
                hint = suggestion(unwanted, rules) if base else "'without' needs 'extends'"
                self.conversion.note((place or node).mark, f"without: there is no rule {unwanted!r}: {hint}")
        seen: dict[str, Mark] = {}
        for rule in own:
            if rule.id in seen:
                message = f"the id {rule.id!r} stands twice, first in line {seen[rule.id].line}"
                self.conversion.note(rule.mark, message)
            seen[rule.id] = rule.mark
            rules[rule.id] = rule
        images = base.input if base else Input()
        if form.input is not None:
            place = node.get("input") if isinstance(node, Mapping) else None
            images = input_of(form.input, place or node, folder, self.conversion.note)
        title = form.title or (base.title if base else "")
        return Rules(name, title, images, tuple(rules.values()))

    def validate(self, rules: Rules) -> None:
        """Note what is wrong with rules as a whole."""
        if not rules.rules and not self.problems:
            self.conversion.note(Mark(rules.file), "no rules: add at least one under 'rules'")
        trained = rules.uses_of("accuracy")
        for use in trained[1:]:
            self.conversion.note(
                use.mark, f"accuracy stands in line {trained[0].mark.line} already: a model is trained once"
            )
        if trained and not rules.input.is_trainable:
            self.conversion.note(trained[0].mark, UNTRAINABLE)

    def rule(self, conversion: Conversion, node: Node) -> Any:
        """Read one rule, with the place of its id."""
        form = conversion.struct(node, RuleForm, "a rule")
        if form is FAILED:
            return FAILED
        named = node.get("id") if isinstance(node, Mapping) else None
        points = int(form.points) if form.points.is_integer() else form.points
        uses: Any = form.any if form.checks is None else form.checks  # `check` read them
        return Rule(form.id, uses, "any" if form.checks is None else "all", points, form.level, (named or node).mark)

    def check(self, conversion: Conversion, node: Node) -> Any:
        """Read a check: `dropout`, or `parameters: {below: 20000}`."""
        named, given = self.named(conversion, node)
        if named is None:
            return FAILED
        if named.text not in self.table:
            return conversion.note(named.mark, f"unknown check {named.text!r}: {suggestion(named.text, self.table)}")
        options = conversion.struct(given, self.table[named.text].options, f"the check {named.text!r}")
        if options is FAILED:
            return FAILED
        return CheckUse(named.text, msgspec.to_builtins(options), named.mark)

    def named(self, conversion: Conversion, node: Node) -> tuple[Scalar | None, Node]:
        """Return the id of a check and the mapping of its options."""
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node, Mapping((), node.mark)
        if not isinstance(node, Mapping) or not node.entries:
            example = "such as dropout or parameters: {below: 20000}"
            conversion.note(node.mark, f"expected a check, {example}, got {shown(node)}")
            return None, node
        (key, value), *others = node.entries
        if others:
            other = others[0][0]
            message = f"{other.text!r} stands beside the check {key.text!r}"
            conversion.note(other.mark, f"{message}: indent its options, and give each check a dash of its own")
            return None, node
        if isinstance(value, Scalar) and value.value is None:
            return key, Mapping((), key.mark)
        return key, value
