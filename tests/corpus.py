"""Submissions with known verdicts: reads `tests/models/*.py` and what each file's header expects.

The format stands in `tests/models/README.md`. `python -m tests.corpus` counts the cases; with `--verify` it also runs
them in plain PyTorch, each in a process of its own, and compares what it sees with the headers.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import typing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grader.finding import CheckResult
from grader.protocol import Refusal

MODELS = Path(__file__).parent / "models"
CHECKS = ("parameters", "batch-norm", "dropout", "global-average-pool", "linear", "output")
LIMIT = 20_000  # what `parameters` is checked against
ANY_REFUSAL = "*"
REFUSALS = frozenset(typing.get_args(typing.get_type_hints(Refusal)["code"]))

# `ok` passes with or without warnings; `any` is left open by the rules, only the check's presence is asked for.
Verdict = Literal["pass", "warn", "ok", "fail", "any"]
VERDICTS: tuple[str, ...] = typing.get_args(Verdict)


class FormatError(ValueError):
    """A header that does not follow the format, with file and line."""


@dataclass(frozen=True)
class Expectation:
    """The right outcome of one check.

    `lines` are the places of which a finding of the asked level must name one; empty where the place is free.
    `registered` is the number of the model's own parameters, None where the number is free; `hidden` that of other
    numbers used as weights. Their sum is what must be measured, or with `at_least` the least that must be.
    """

    check: str
    verdict: Verdict
    lines: tuple[int, ...] = ()
    registered: int | None = None
    hidden: int = 0
    at_least: bool = False

    @property
    def measured(self) -> int | None:
        return None if self.registered is None else self.registered + self.hidden

    def mismatch(self, result: CheckResult) -> str | None:
        """Say how a result differs from this expectation; None when it agrees."""
        if self.verdict == "any":
            return None
        wanted = "fail" if self.verdict == "fail" else "pass"
        if result.status != wanted:
            return f"{self.check}: expected {self.verdict}, got {result.status}: {_headline(result)}"
        return self._wrong_number(result) or self._wrong_findings(result)

    def _wrong_number(self, result: CheckResult) -> str | None:
        if self.measured is None:
            return None
        right = result.measured is not None and (
            result.measured >= self.measured if self.at_least else result.measured == self.measured
        )
        sign = ">=" if self.at_least else ""
        return None if right else f"{self.check}: expected {sign}{self.measured} numbers, got {result.measured}"

    def _wrong_findings(self, result: CheckResult) -> str | None:
        warnings = [finding for finding in result.findings if finding.level == "warning"]
        if self.verdict == "pass" and warnings:
            return f"{self.check}: expected no warning, got: {warnings[0].message}"
        if self.verdict == "warn" and not warnings:
            return f"{self.check}: expected a warning, got none"
        level = "error" if self.verdict == "fail" else "warning"
        found = sorted(f.span.line for f in result.findings if f.level == level and f.span is not None)
        if self.lines and not set(found) & set(self.lines):
            return f"{self.check}: expected a finding on line {_or(self.lines)}, got lines {found}"
        return None


@dataclass(frozen=True)
class Case:
    """One submission. It must be refused (`refusals` alone), graded (`expectations` alone), or either will do (both).

    `refusals` are codes of `protocol.Refusal`, or '*' for any of them, a crash or the deadline included. `model` is the
    name to be found in the file; None where nothing is. `plain` says that the file also runs without a grader.
    """

    path: Path
    model: str | None
    expectations: tuple[Expectation, ...]
    refusals: tuple[str, ...]
    note: str
    plain: bool

    @property
    def name(self) -> str:
        return self.path.stem

    def refusal_allowed(self, code: str) -> bool:
        return ANY_REFUSAL in self.refusals or code in self.refusals

    def expected(self, check: str) -> Expectation:
        return next(each for each in self.expectations if each.check == check)

    def mismatches(self, results: tuple[CheckResult, ...]) -> list[str]:
        """Compare all results of one grading with what this case expects, in the order of CHECKS; [] when all agree."""
        if not self.expectations:
            return [f"expected a refusal ({' or '.join(self.refusals)}), but it was graded"]
        found = {result.check: result for result in results}
        absent = [f"{each.check}: no result" for each in self.expectations if each.check not in found]
        present = [each for each in self.expectations if each.check in found]
        return absent + [text for each in present if (text := each.mismatch(found[each.check])) is not None]


def load(folder: Path = MODELS) -> list[Case]:
    """Return every case, sorted by name. Raises FormatError with file and line at the first header that is wrong."""
    return [parse(path) for path in sorted(folder.glob("*.py"))]


_KEYS = ("model", "expect", "note", "unverified")
_HEADER = re.compile(r"# (\w+): (.+)")
_MARKER = re.compile(r"#\s*<-\s*([\w-]+(?:\s*,\s*[\w-]+)*)\s*$")
_ITEM = re.compile(r"([a-z-]+)(?:(=|>=)(\d+)(?:\+(\d+))?)? ([a-z]+)(?:@([\w,-]+))?")


def parse(path: Path) -> Case:
    """Read one submission's header. Raises FormatError."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(lines, 1):
        match = _HEADER.fullmatch(line)
        if match is None:
            break
        key, value = match.groups()
        if key not in _KEYS or key in header:
            raise FormatError(f"{path.name}:{number}: '{key}' is unknown or stands twice; known: {', '.join(_KEYS)}")
        header[key] = (value, number)
    for key in ("expect", "note"):
        if key not in header:
            raise FormatError(f"{path.name}:1: the header has no '# {key}: …' line")
    text, number = header["expect"]
    where = f"{path.name}:{number}"
    expectations, refusals = _outcomes(text, _markers(lines), where)
    model = header["model"][0] if "model" in header else None
    if expectations and model is None:
        raise FormatError(f"{where}: a case that is graded needs a '# model: …' line")
    plain = "unverified" not in header and bool(expectations)
    return Case(path, model, expectations, refusals, header["note"][0], plain)


def _markers(lines: list[str]) -> dict[str, tuple[int, ...]]:
    marked: dict[str, tuple[int, ...]] = {}
    for number, line in enumerate(lines, 1):
        match = _MARKER.search(line)
        for name in re.split(r"\s*,\s*", match[1]) if match else ():
            marked[name] = (*marked.get(name, ()), number)
    return marked


def _outcomes(
    text: str, marked: dict[str, tuple[int, ...]], where: str
) -> tuple[tuple[Expectation, ...], tuple[str, ...]]:
    if text.startswith("ungradable "):
        codes = tuple(text.removeprefix("ungradable ").split("|"))
        unknown = [code for code in codes if code not in REFUSALS and code != ANY_REFUSAL]
        if unknown:
            raise FormatError(f"{where}: no refusal has the code '{unknown[0]}'; known: {', '.join(sorted(REFUSALS))}")
        return (), codes
    refusals = (ANY_REFUSAL,) if text.startswith("capture-or: ") else ()
    items = text.removeprefix("capture-or: ").split("; ")
    expectations = tuple(_expectation(item, marked, where) for item in items)
    if tuple(each.check for each in expectations) != CHECKS:
        raise FormatError(f"{where}: expected each check once, in this order: {', '.join(CHECKS)}")
    used = {name for item in items if "@" in item for name in item.split("@")[1].split(",")}
    if unused := set(marked) - used:
        raise FormatError(f"{where}: no check refers to the marker '# <- {min(unused)}'")
    return expectations, refusals


def _expectation(item: str, marked: dict[str, tuple[int, ...]], where: str) -> Expectation:
    match = _ITEM.fullmatch(item)
    if match is None or match[1] not in CHECKS or match[5] not in VERDICTS:
        raise FormatError(f"{where}: '{item}' is not 'check[=N[+M]] {'|'.join(VERDICTS)}[@place]'")
    check, sign, registered, hidden, verdict, places = match.groups()
    if (registered is None) != (check != "parameters" or sign is None):
        raise FormatError(f"{where}: '{item}': only 'parameters' has a number")
    if places and verdict not in ("warn", "fail"):
        raise FormatError(f"{where}: '{item}': a place needs 'warn' or 'fail'")
    expected = Expectation(
        check,
        typing.cast(Verdict, verdict),
        tuple(sorted(line for place in (places or "").split(",") if place for line in _lines(place, marked, where))),
        int(registered) if registered else None,
        int(hidden or 0),
        sign == ">=",
    )
    if expected.measured is not None and (expected.measured < LIMIT) != (verdict in ("pass", "ok", "warn")):
        raise FormatError(f"{where}: '{item}': {expected.measured} and '{verdict}' contradict each other")
    return expected


def _lines(place: str, marked: dict[str, tuple[int, ...]], where: str) -> tuple[int, ...]:
    if place.isdigit():
        return (int(place),)
    if place not in marked:
        raise FormatError(f"{where}: no line bears the marker '# <- {place}'")
    return marked[place]


def _headline(result: CheckResult) -> str:
    return result.findings[0].message if result.findings else result.message


def _or(lines: tuple[int, ...]) -> str:
    return " or ".join(map(str, lines))


def verify(case: Case) -> list[str]:
    """Run one plain case in this process and return what its header gets wrong.

    Checks that the model builds and runs in both modes for batches of 2 and 5, the registered parameters, the output's
    shape, and how training mode behaves: dropout makes it random, batch norm mixes the images of a batch. It believes
    nothing that the model's class overrides, but runs its code: call it in a process to spare.
    """
    import torch

    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": "submission", "__file__": str(case.path)}
    exec(compile(case.path.read_bytes(), str(case.path), "exec", dont_inherit=True), namespace)
    found = namespace[case.model or ""]
    model = found if isinstance(found, torch.nn.Module) else found()
    wrong = []
    for mode, batch, shape in _shapes(model):
        verdict = case.expected("output").verdict
        if shape is not None and (shape == (batch, 10)) == (verdict == "fail"):
            wrong.append(f"{mode}, batch {batch}: the output is {shape}, expected {verdict}")
    expected, parameters = case.expected("parameters"), _parameters(model)
    counted = sum(parameter.shape.numel() for parameter in parameters)
    if expected.registered not in (None, counted):
        wrong.append(f"{counted} registered parameters, the header says {expected.registered}")
    if case.expected("output").verdict != "fail":
        seen = _behaviour(model, parameters)
        wrong += [
            f"{check}: expected {verdict}, but training mode {text}"
            for check, (acts, text) in seen.items()
            if (verdict := case.expected(check).verdict) in ("pass", "warn", "ok") and not acts
        ]
    return wrong


def _shapes(model: Any) -> Iterator[tuple[str, int, tuple[int, ...] | None]]:
    """Yield mode, batch and the output's shape: None where it has the right shape but must fail for its values."""
    import torch

    with torch.no_grad():
        for training in (True, False):
            model.train(training)
            for batch in (2, 5):
                output = model(torch.randn(batch, 1, 28, 28))
                odd = not isinstance(output, torch.Tensor)
                shape = () if odd else tuple(output.shape)
                spoilt = not odd and shape == (batch, 10) and _valueless(output)
                yield "train" if training else "eval", batch, None if spoilt else shape


def _behaviour(model: Any, parameters: list[Any]) -> dict[str, tuple[bool, str]]:
    """Tell whether training mode is random and whether it mixes the images of a batch, with learned numbers drawn."""
    import torch

    model.train()
    images = torch.randn(6, 1, 28, 28)
    others = torch.cat([images[:1], 2 * torch.randn(5, 1, 28, 28) + 1])

    def first(batch: Any, seed: int) -> Any:
        torch.manual_seed(seed)
        return model(batch)[0]

    with torch.no_grad():
        for parameter in parameters:
            parameter.normal_(0.1, 0.5)
        reference = first(images, 1)
        random = any(not torch.allclose(reference, first(images, seed)) for seed in range(2, 8))
        mixed = not torch.allclose(reference, first(others, 1))
    return {"dropout": (random, "is not random"), "batch-norm": (mixed, "treats each image alone")}


def _valueless(output: Any) -> bool:
    return not output.isfinite().all() or bool((output == output[:1]).all())


def _parameters(model: Any) -> list[Any]:
    """Return the parameters in the modules' own dictionaries, each tensor once."""
    seen, found, pending = set(), {}, [model]
    while pending:
        module = pending.pop()
        if module is None or id(module) in seen:
            continue
        seen.add(id(module))
        pending.extend(vars(module)["_modules"].values())
        found.update({id(p): p for p in vars(module)["_parameters"].values() if p is not None})
    return list(found.values())


def _verify_apart(case: Case) -> list[str]:
    """Verify in a fork, so that one submission's patches reach no other."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            text = "\n".join(verify(case))
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answers:
        text = answers.read().decode()
    os.waitpid(child, 0)
    return text.splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(description="The corpus of submissions with known verdicts.")
    parser.add_argument("--verify", action="store_true", help="run the honest models in plain PyTorch")
    parser.add_argument("names", nargs="*", help="only these cases")
    options = parser.parse_args()
    cases = [case for case in load() if not options.names or case.name in options.names]
    verdicts = Counter(f"{each.check} {each.verdict}" for case in cases for each in case.expectations)
    print(f"{len(cases)} cases, {sum(not case.expectations for case in cases)} to be refused")
    print("\n".join(f"  {name}: {count}" for name, count in sorted(verdicts.items())))
    if not options.verify:
        return 0
    import torch

    torch.set_num_threads(1)
    wrong = [f"{case.name}: {text}" for case in cases if case.plain for text in _verify_apart(case)]
    print("\n".join(wrong) or f"{sum(case.plain for case in cases)} models agree with plain PyTorch")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
