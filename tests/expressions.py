"""The expressions of GitHub Actions, as far as the workflows of this repository use them.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w.-]*)|(?P<sign>&&|\|\||==|!=|[!(),]))")
INSERTED = re.compile(r"\$\{\{(.*?)\}\}", re.S)
LITERALS = {"true": True, "false": False, "null": None}

Contexts = Mapping[str, Any]
Functions = Mapping[str, Callable[..., Any]]


def evaluate(expression: str, contexts: Contexts, functions: Functions | None = None) -> Any:
    """Return the value of an expression; raise ValueError where it is more than this evaluator knows."""
    return _Reader(expression, contexts, {"format": str.format, **(functions or {})}).whole()


def insert(text: str, contexts: Contexts) -> str:
    """Return a text with the value of every `${{ }}` in its place."""
    return INSERTED.sub(lambda found: as_text(evaluate(found[1], contexts)), text)


def condition(text: str, contexts: Contexts, functions: Functions) -> bool:
    """Return whether a step with this `if` runs; one that asks for no status runs only while nothing has failed."""
    whole = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", text, re.S)
    expression = whole[1] if whole else text
    asks = any(re.search(rf"\b{name}\s*\(", expression) for name in functions)
    return bool(evaluate(expression, contexts, functions)) and (asks or functions["success"]())


def as_text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class _Reader:
    """A recursive descent over the tokens of one expression."""

    def __init__(self, expression: str, contexts: Contexts, functions: Functions) -> None:
        self.contexts = contexts
        self.functions = functions
        self.tokens: list[str] = []
        place, end = 0, len(expression.rstrip())
        while place < end:
            found = TOKEN.match(expression, place)
            if found is None:
                raise ValueError(f"unknown to this evaluator: {expression[place:]!r}")
            self.tokens.append(found[0].strip())
            place = found.end()

    def whole(self) -> Any:
        value = self.either()
        if self.tokens:
            raise ValueError(f"unexpected {self.tokens[0]!r}")
        return value

    def taken(self, *signs: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in signs else None

    def either(self) -> Any:
        value = self.both()
        while self.taken("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.taken("&&"):
            other = self.compared()
            value = value and other
        return value

    def compared(self) -> Any:
        value = self.single()
        while sign := self.taken("==", "!="):
            value = _equal(value, self.single()) == (sign == "==")
        return value

    def single(self) -> Any:
        if self.taken("!"):
            return not self.single()
        if self.taken("("):
            value = self.either()
            self.expect(")")
            return value
        token = self.tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in LITERALS:
            return LITERALS[token]
        if self.taken("("):
            return self.functions[token](*self.arguments())
        return self.looked_up(token)

    def arguments(self) -> list[Any]:
        """Return the values between the parentheses of a call, the first of which was read."""
        values: list[Any] = []
        while not self.taken(")"):
            if values:
                self.expect(",")
            values.append(self.either())
        return values

    def expect(self, sign: str) -> None:
        if self.taken(sign) is None:
            raise ValueError(f"expected {sign!r}, found {self.tokens[:1]}")

    def looked_up(self, name: str) -> Any:
        """Return what a name such as steps.grade.outputs.score stands for; null where there is no such thing."""
        first, *rest = name.split(".")
        value = self.contexts[first]
        for key in rest:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def _equal(one: Any, other: Any) -> bool:
    """Compare as GitHub does: strings without case, unlike things as numbers."""
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    if type(one) is type(other):
        return bool(one == other)
    return _number(one) == _number(other)


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return float("nan")
