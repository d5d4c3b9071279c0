"""What is to be graded, and how: the options and the marks of a run of pytest, checked, as `Target`s."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest

from grader.manifest import SubmissionError, read_submission
from grader.protocol import Device
from grader.pytest_plugin.told import spelled
from grader.render.escape import visible
from grader.rules import Rules, RulesError, read_rules
from grader.sandbox import Sandbox
from grader.settings import Settings, default_sandbox

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Kind(NamedTuple):
    """What values there are, as a type and in words."""

    type: Any
    words: str


# The fields of Settings that a run or a mark may choose.
FIELDS = {
    "file": Kind(str, "the name of a file"),
    "class_name": Kind(str, "the name of a class"),
    "arguments": Kind(dict[str, str], "texts by the names of arguments"),
    "train": Kind(bool, "true or false"),
    "seed": Kind(Annotated[int, msgspec.Meta(ge=0, lt=2**31)], f"a whole number from 0 to {2**31 - 1}"),
    "budget": Kind(Seconds, "seconds above 0"),
    "device": Kind(Device, "cpu or cuda"),
    "threads": Kind(Annotated[int, msgspec.Meta(ge=1, le=1024)], "a whole number from 1 to 1024"),
    "timeout": Kind(Seconds, "seconds above 0"),
}
SANDBOX = Kind(Sandbox, "auto, strict or off")
OPTION_OF = {"class_name": "class", "arguments": "arg"}  # where an option has another name than its field


@dataclass(frozen=True, slots=True)
class Target:
    """One submission with what it is graded by; `shown` is its path as one writes it in the folder of the call."""

    shown: str
    path: Path
    course: Rules
    settings: Settings
    sandbox: Sandbox


TARGETS = pytest.StashKey[tuple[Target, ...]]()


def configured(config: pytest.Config) -> tuple[Target, ...]:
    """Return the submissions that the command line names, or else the configuration.

    Raises:
        pytest.UsageError: an option, the rules or a path is wrong.
    """
    if TARGETS not in config.stash:
        with working_in(config.invocation_params.dir):
            config.stash[TARGETS] = _configured(config)
    return config.stash[TARGETS]


def _configured(config: pytest.Config) -> tuple[Target, ...]:
    paths, source, base = _given(config, "path", "--s5")
    if not paths:
        return ()
    _refuse_foreign_configuration(config)
    course, settings, sandbox = _course(_configured_rules(config)), settings_of(config), sandbox_of(config)
    shown = dict.fromkeys(_from_here(config, path, base) for path in paths)
    for path in shown:
        _refuse_missing(path, settings.file, source)
    return tuple(Target(path, _absolute(config, path), course, settings, sandbox) for path in shown)


def settings_of(config: pytest.Config) -> Settings:
    """Return how this run grades, by its options.

    Raises:
        pytest.UsageError: a value is none that the option can have.
    """
    values: dict[str, Any] = {}
    for field, kind in FIELDS.items():
        given, source, _ = _given(config, OPTION_OF.get(field, field))
        if given:
            value = _pairs(given, source) if field == "arguments" else given
            values[field] = _converted(value, kind, source)
    return Settings(**values)


def sandbox_of(config: pytest.Config) -> Sandbox:
    """Return what is done where a layer of the sandbox is missing."""
    given, source, _ = _given(config, "sandbox")
    if given:
        sandbox: Sandbox = _converted(given, SANDBOX, source)
        return sandbox
    return default_sandbox()


def marked(config: pytest.Config, mark: pytest.Mark) -> tuple[Target, ...]:
    """Return what a mark asks for: one submission, or those of the configuration graded in another way.

    Raises:
        pytest.UsageError: the mark asks for something that there is not.
    """
    path, chosen = _arguments(mark)
    rules = chosen.pop("rules", None)
    values = {
        field: _converted(value, FIELDS[field], f"the mark s5, {field}", strict=True) for field, value in chosen.items()
    }
    base = _base(config)
    with working_in(config.invocation_params.dir):
        course = _course(_configured_rules(config) if rules is None else _rules_from_here(config, str(rules), base))
        settings = replace(settings_of(config), **values)
        if path is None:
            return tuple(replace(target, course=course, settings=settings) for target in configured(config))
        shown = _from_here(config, path, base)
        _refuse_missing(shown, settings.file, f"the mark s5({path!r})")
    return (Target(shown, _absolute(config, shown), course, settings, sandbox_of(config)),)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Be in a folder for a while: names of files are those of the call, wherever a test has gone since."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _given(config: pytest.Config, name: str, option: str = "") -> tuple[Any, str, Path | None]:
    """Return the value of an option on the command line, or else in the configuration, and how to name it.

    The third is the folder that its paths are relative to, None for that of the call.
    """
    value = config.getoption(f"s5_{name}")
    if value:
        return value, option or f"--s5-{name}", None
    return config.getini(f"s5_{name}"), f"s5_{name}", _base(config)


def _base(config: pytest.Config) -> Path:
    return config.inipath.parent if config.inipath else config.rootpath


def _from_here(config: pytest.Config, path: str | os.PathLike[str], base: Path | None) -> str:
    """Return a path as one writes it in the folder of the call."""
    written = os.fspath(path)
    if base is None or os.path.isabs(written):  # noqa: PTH117 - a string, to be shown
        return written
    return os.path.relpath(base / written, config.invocation_params.dir)


def _absolute(config: pytest.Config, path: str) -> Path:
    return Path(os.path.normpath(config.invocation_params.dir / path))


def _configured_rules(config: pytest.Config) -> str | None:
    rules, _, base = _given(config, "rules")
    return _rules_from_here(config, rules, base) if rules else None


def _rules_from_here(config: pytest.Config, rules: str, base: Path | None) -> str:
    """Return the name of a rules file in the folder of the call; rules that are shipped go by their bare name."""
    shipped = base is not None and not Path(rules).suffix and not (base / rules).exists()
    return rules if shipped else _from_here(config, rules, base)


def _course(rules: str | None) -> Rules:
    try:
        return read_rules(rules)
    except RulesError as error:
        raise pytest.UsageError(*(visible(str(problem)) for problem in error.problems)) from None


def _refuse_foreign_configuration(config: pytest.Config) -> None:
    """Refuse a configuration that pytest took from where a submission lies.

    Before it knows the option, pytest takes the path in `--s5 PATH` for tests, whose folder may configure it.
    """
    chosen = config.getoption("inifilename") or config.args_source == pytest.Config.ArgsSource.ARGS
    if config.inipath is None or chosen or config.invocation_params.dir.is_relative_to(config.inipath.parent):
        return
    if any(_absolute(config, path).is_relative_to(config.inipath.parent) for path in config.getoption("s5_path") or ()):
        message = f"pytest took its configuration from {config.inipath}, where a submission lies"
        raise pytest.UsageError(f"{visible(message)}: write --s5=PATH, with the equals sign")


def _refuse_missing(path: str, file: str | None, source: str) -> None:
    """Refuse a path that leads to no file; what else is wrong with a submission is for its tests to tell."""
    try:
        read_submission(path, file)
    except SubmissionError as error:
        if error.code == "missing":
            raise pytest.UsageError(f"{source}: {visible(spelled(error.message))}") from None


def _pairs(lines: list[str], source: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines]
    for (key, equals, _), line in zip(pairs, lines, strict=True):
        if not equals or not key.strip().isidentifier():
            raise pytest.UsageError(f"{source}: {line!r} is not KEY=VALUE, such as classes=10")
    return {key.strip(): value for key, _, value in pairs}


def _converted(value: Any, kind: Kind, source: str, *, strict: bool = False) -> Any:
    try:
        return msgspec.convert(value, kind.type, strict=strict)
    except msgspec.ValidationError:
        raise pytest.UsageError(f"{source}: got {value!r}, expected {kind.words}") from None


def _arguments(mark: pytest.Mark) -> tuple[str | os.PathLike[str] | None, dict[str, Any]]:
    """Return the path and the other arguments of a mark."""
    chosen: dict[str, Any] = dict(mark.kwargs)
    paths = [*mark.args, *([chosen.pop("path")] if "path" in chosen else [])]
    known = ("path", "rules", *FIELDS)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise pytest.UsageError(f"the mark s5 has no {unknown[0]!r}; it takes {', '.join(known)}")
    if len(paths) > 1 or not isinstance(paths[0] if paths else "", (str, os.PathLike)):
        raise pytest.UsageError(f"the mark s5 takes one path, got {', '.join(map(repr, paths))}")
    return (paths[0] if paths else None), chosen
