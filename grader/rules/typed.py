"""Nodes of a rules file as values of annotated types: every fault is noted with its place, none ends the reading."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import msgspec.inspect as mi

from grader.rules.document import Mapping, Mark, Node, Problem, Scalar, Sequence, Value

Reader = Callable[["Conversion", Node], Any]
TypedReader = Callable[["Conversion", Node, Any, str], Any]


class Failed:
    """Stands for a value that could not be read."""


FAILED = Failed()


class Conversion:
    """Reads nodes by type; faults go to `problems`. `custom` maps classes to their own readers."""

    def __init__(self, problems: list[Problem], custom: dict[type, Reader] | None = None) -> None:
        self.problems = problems
        self.custom = custom or {}

    def note(self, mark: Mark, message: str) -> Failed:
        self.problems.append(Problem(mark, message))
        return FAILED

    def read(self, node: Node, expected: mi.Type, what: str) -> Any:
        """Return a node as a value of the expected type, or FAILED; `what` names it in messages."""
        own = self.custom.get(getattr(expected, "cls", object))
        if own is not None:
            return own(self, node)
        reader: TypedReader = _READERS.get(type(expected), _read_scalar)
        return reader(self, node, expected, what)

    def struct(self, node: Node, cls: type[msgspec.Struct], what: str) -> Any:
        """Return a mapping as a struct, or FAILED."""
        return _read_struct(self, node, mi.type_info(cls), what)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the one that was meant, or all there are."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1) or [name for name in names if word and name.startswith(word)]
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "none is known here"


def shown(node: Node) -> str:
    """Return a node as a message names it."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "nothing"
    text = node.text if len(node.text) <= 40 else node.text[:39] + "…"
    return repr(text) if isinstance(node.value, str) else text


def _read_struct(conversion: Conversion, node: Node, expected: Any, what: str) -> Any:
    if not isinstance(node, Mapping):
        names = ", ".join(field.encode_name for field in expected.fields) or "none"
        return conversion.note(node.mark, f"{what}: expected a mapping with the keys {names}, got {shown(node)}")
    before = len(conversion.problems)
    fields = {field.encode_name: field for field in expected.fields}
    values = {}
    for key, value in node.entries:
        if key.text not in fields:
            hint = suggestion(key.text, fields) if fields else f"{what} has no keys"
            conversion.note(key.mark, f"unknown key {key.text!r} in {what}: {hint}")
        else:
            values[fields[key.text].name] = conversion.read(value, fields[key.text].type, key.text)
    for name, field in fields.items():
        if field.required and node.get(name) is None:
            conversion.note(node.mark, f"{what} needs {name!r}: {describe(field.type)}")
    if len(conversion.problems) > before:
        return FAILED
    try:
        return expected.cls(**values)
    except ValueError as error:  # a rule of the struct's own
        return conversion.note(node.mark, f"{what}: {error}")


def _read_list(conversion: Conversion, node: Node, expected: Any, what: str) -> Any:
    if not isinstance(node, Sequence):
        return conversion.note(node.mark, f"{what}: expected {describe(expected)}, got {shown(node)}")
    values = [conversion.read(item, expected.item_type, what) for item in node.items]
    if len(values) < (expected.min_length or 0):
        return conversion.note(node.mark, f"{what}: expected {describe(expected)}, got an empty list")
    return FAILED if any(value is FAILED for value in values) else tuple(values)


def _read_tuple(conversion: Conversion, node: Node, expected: Any, what: str) -> Any:
    length = len(expected.item_types)
    if not isinstance(node, Sequence):
        return conversion.note(node.mark, f"{what}: expected {describe(expected)}, got {shown(node)}")
    if len(node.items) != length:
        return conversion.note(node.mark, f"{what}: expected {describe(expected)}, got {len(node.items)}")
    values = [conversion.read(item, kind, what) for item, kind in zip(node.items, expected.item_types, strict=True)]
    return FAILED if any(value is FAILED for value in values) else tuple(values)


def _read_union(conversion: Conversion, node: Node, expected: Any, what: str) -> Any:
    """A list or a mapping is read as the one member that can be one, a word as that where a text may stand too."""
    containers = [member for member in expected.types if type(member) in _READERS]
    text = any(isinstance(member, mi.StrType) for member in expected.types)
    if containers and not (isinstance(node, Scalar) and (text or node.value is None)):
        return conversion.read(node, containers[0], what)
    return _read_scalar(conversion, node, expected, what)


def _read_scalar(conversion: Conversion, node: Node, expected: mi.Type, what: str) -> Any:
    value = _accepted(node.value, expected) if isinstance(node, Scalar) else FAILED
    if value is not FAILED:
        return value
    message = f"{what}: expected {describe(expected)}, got {shown(node)}"
    if isinstance(expected, mi.LiteralType) and isinstance(node, Scalar):
        close = difflib.get_close_matches(node.text, [str(choice) for choice in expected.values], 1)
        message += f": did you mean {close[0]!r}?" if close else ""
    return conversion.note(node.mark, message)


def _accepted(value: Value, expected: mi.Type) -> Any:
    """Return a plain value as the expected type has it, or FAILED."""
    if isinstance(expected, mi.UnionType):
        values = (_accepted(value, choice) for choice in expected.types)
        return next((found for found in values if found is not FAILED), FAILED)
    if isinstance(expected, mi.LiteralType):
        return value if any(value == choice and type(value) is type(choice) for choice in expected.values) else FAILED
    if isinstance(expected, mi.FloatType) and type(value) is int:
        value = float(value)
    if type(value) is not _PLAIN.get(type(expected)):
        return FAILED
    if isinstance(expected, (mi.IntType, mi.FloatType)):
        return value if all(holds(value, limit) for holds, limit, _ in _bounds(expected)) else FAILED
    if isinstance(expected, mi.StrType) and expected.pattern is not None:
        return value if re.search(expected.pattern, str(value)) else FAILED
    return value


_PLAIN: dict[type, type] = {
    mi.IntType: int,
    mi.FloatType: float,
    mi.StrType: str,
    mi.BoolType: bool,
    mi.NoneType: type(None),
}


def _bounds(expected: mi.IntType | mi.FloatType) -> list[tuple[Callable[[Any, Any], bool], float, str]]:
    """Return the limits of a number: the comparison, the limit, and how one says it."""
    limits = [
        (operator.gt, expected.gt, "above"),
        (operator.ge, expected.ge, "of at least"),
        (operator.lt, expected.lt, "below"),
        (operator.le, expected.le, "of at most"),
    ]
    return [(holds, limit, words) for holds, limit, words in limits if limit is not None]


def describe(expected: mi.Type) -> str:
    """Return what a value of a type is, in words."""
    return _DESCRIPTIONS[type(expected)](expected)


def _describe_number(expected: Any) -> str:
    noun = "a whole number" if isinstance(expected, mi.IntType) else "a number"
    limits = [f"{words} {int(limit) if limit == int(limit) else limit:,}" for _, limit, words in _bounds(expected)]
    return " ".join([noun, " and ".join(limits)]).strip()


def _either(choices: list[str]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]] if choices[1:] else choices)


def _describe_list(expected: Any) -> str:
    least = f" of at least {expected.min_length}" if expected.min_length else ""
    return f"a list{least}"


_DESCRIPTIONS: dict[type, Callable[[Any], str]] = {
    mi.IntType: _describe_number,
    mi.FloatType: _describe_number,
    mi.StrType: lambda expected: "a word of a–z, 0–9 and -" if expected.pattern else "text",
    mi.BoolType: lambda _: "true or false",
    mi.NoneType: lambda _: "nothing",
    mi.LiteralType: lambda expected: _either(list(map(str, expected.values))),
    mi.UnionType: lambda expected: _either(list(map(describe, expected.types))),
    mi.StructType: lambda expected: (
        f"a mapping with the keys {', '.join(field.encode_name for field in expected.fields)}"
    ),
    mi.ListType: _describe_list,
    mi.VarTupleType: _describe_list,
    mi.TupleType: lambda expected: f"a list of {len(expected.item_types)}, each {describe(expected.item_types[0])}",
    mi.CustomType: lambda _: "a check",
}


_READERS: dict[type, TypedReader] = {
    mi.StructType: _read_struct,
    mi.ListType: _read_list,
    mi.VarTupleType: _read_list,
    mi.TupleType: _read_tuple,
    mi.UnionType: _read_union,
}
