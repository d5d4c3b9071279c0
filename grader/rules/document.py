"""A YAML text as plain nodes that know their line and column; nothing but mappings, lists and plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Union

import yaml

SIZE_CAP = 256 * 1024  # bytes
DEPTH_CAP = 32

Value = Union[None, bool, int, float, str]

_WORDS: dict[str, Value] = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?\d(_?\d){0,17}")
_NUMBER = re.compile(r"[-+]?(\d(_?\d){0,30}(\.\d{0,30})?|\.\d{1,30})([eE][-+]?\d{1,3})?")
_HALF = re.compile("[\ud800-\udfff]")  # of a character: an escape can name one, no file can hold it


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a rules file: 1-based line and column, 0 where only the file is known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a rules file, with what was expected."""

    mark: Mark
    message: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.message}"


class RulesError(Exception):
    """A rules file that cannot be used; `problems` holds all its faults, in order."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain value; `text` is how it was written."""

    value: Value
    text: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mapping:
    """Pairs of key and value in the order of the file; no key stands twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        return next((node for scalar, node in self.entries if scalar.text == key), None)


Node = Union[Scalar, Sequence, Mapping]


def parse(data: bytes, file: str, problems: list[Problem]) -> Node:
    """Return the one document of a YAML file; keys that stand twice are added to `problems`.

    Plain values are read as YAML 1.2 reads them: `yes` is text, `1e-3` a number. Raises RulesError where nothing more
    can be read: a syntax error, an alias, a tag, too much of anything.
    """
    if len(data) > SIZE_CAP:
        raise RulesError(Problem(Mark(file), f"{len(data):,} bytes, the limit is {SIZE_CAP:,}"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RulesError(Problem(Mark(file, line, 1), "not UTF-8: save the file as UTF-8")) from None
    try:
        return _Composer(text, file, problems).document()
    except yaml.MarkedYAMLError as error:
        raise RulesError(_syntax_problem(error, file)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise RulesError(Problem(Mark(file, line, 1), message)) from None


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Mark(file, mark.line + 1, mark.column + 1) if mark else Mark(file)
    if error.problem and "'\\t'" in error.problem:
        return Problem(place, "a tab: indent with spaces")
    return Problem(place, f"not YAML: {error.problem or error.context}")


class _Composer:
    """Builds nodes from PyYAML's events: these come lazily and never nest, so that hostile depth costs nothing."""

    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self.loader = yaml.SafeLoader(text)
        self.file = file
        self.problems = problems

    def next(self) -> yaml.Event:
        try:
            event: yaml.Event = self.loader.get_event()  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError):  # PyYAML trusts the numbers of escapes and of versions
            mark = self.loader.get_mark()
            place = Mark(self.file, mark.line + 1, mark.column + 1)
            raise RulesError(Problem(place, "not YAML: a number that is too large")) from None
        return event

    def document(self) -> Node:
        self.next()  # the stream's start
        event = self.next()
        if isinstance(event, yaml.StreamEndEvent):
            raise RulesError(Problem(Mark(self.file), "the file is empty"))
        node = self.node(self.next(), 0)
        self.next()  # the document's end
        event = self.next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.refusal(event, "a second document: a rules file holds one")
        return node

    def node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            raise self.refusal(event, f"the alias *{event.anchor}: write the value out")
        if depth > DEPTH_CAP:
            raise self.refusal(event, f"nested more than {DEPTH_CAP} levels deep")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise self.refusal(event, f"the tag {tag!r}: rules are plain data")
        if isinstance(event, yaml.ScalarEvent):
            if half := _HALF.search(event.value):
                raise self.refusal(event, f"U+{ord(half[0]):04X} is half of a character")
            value = plain_value(event.value) if event.implicit[0] else event.value
            return Scalar(value, event.value, self.mark(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self.items(depth)), self.mark(event))
        return Mapping(tuple(self.entries(depth)), self.mark(event))

    def items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            yield self.node(event, depth + 1)

    def entries(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, int] = {}
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise RulesError(Problem(key.mark, "a key must be a word"))
            value = self.node(self.next(), depth + 1)
            if key.text in seen:
                self.problems.append(Problem(key.mark, f"{key.text!r} stands twice, first in line {seen[key.text]}"))
            else:
                seen[key.text] = key.mark.line
                yield key, value

    def mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return Mark(self.file, start.line + 1, start.column + 1) if start else Mark(self.file)

    def refusal(self, event: yaml.Event, message: str) -> RulesError:
        return RulesError(Problem(self.mark(event), message))


def plain_value(text: str) -> Value:
    """Return what an unquoted word means: nothing, true or false, a number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
