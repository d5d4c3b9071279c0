"""Rules files: what is read from them, and everything that can be wrong with them."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from grader.checks import Check, checks
from grader.rules import CheckUse, Input, Mark, Rule, Rules, RulesError, default_path, read_rules
from grader.rules.document import DEPTH_CAP, SIZE_CAP, plain_value

ROOT = Path(__file__).resolve().parents[1]
READY = "default, cifar10, fashion-mnist, gap-or-fc, mnist-10k, mnist-8k, mnist-99.4"
NOT_THERE = f"there is no such file, and no ready rules of that name: known: {READY}"


class Nothing(msgspec.Struct, frozen=True):
    """No options."""


class Below(msgspec.Struct, frozen=True):
    below: int


class Depth(msgspec.Struct, frozen=True):
    epochs: Annotated[int, msgspec.Meta(ge=1)] = 3
    rate: Annotated[float, msgspec.Meta(gt=0, le=10)] = 0.3
    tail: float | None = None


class Trained(msgspec.Struct, frozen=True):
    target: float = 99.0
    recipe: Depth = Depth()
    mode: Literal["fast", "slow"] = "fast"
    quiet: bool = False
    name: str = ""
    sizes: tuple[int, ...] = ()
    long: Depth | None = Depth()

    def __post_init__(self) -> None:
        if self.target > 100:
            raise ValueError("the target is above 100 %")


def check(id: str, options: type[msgspec.Struct]) -> Check:
    return Check(id, options, f"About {id}.", lambda subject, given: None)  # type: ignore[arg-type,return-value]


TABLE = {
    name: check(name, options)
    for name, options in {"parameters": Below, "dropout": Nothing, "linear": Nothing, "accuracy": Trained}.items()
}


def read(folder: Path, text: str | bytes, name: str = "r.yaml") -> Rules:
    """Read rules with the checks of this file, as somebody in that folder does."""
    write(folder, name, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return read_rules(name, TABLE)


def write(folder: Path, name: str, text: str | bytes) -> None:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def problems(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(RulesError) as caught:
        read(folder, text)
    return str(caught.value).splitlines()


def test_a_whole_file(tmp_path: Path) -> None:
    text = """\
title: Course
input:
  shape: [3, 32, 32]
  classes: 100
  normalise: {mean: [0, 0.5, 1], std: [1, 2, 3]}
rules:
  - id: small
    points: 2.5
    checks:
      - parameters: {below: 20_000}
  - id: either
    level: warning
    any: [dropout, linear]
"""
    mark = lambda line, column: Mark("r.yaml", line, column)  # noqa: E731
    assert read(tmp_path, text) == Rules(
        "r.yaml",
        "Course",
        Input((3, 32, 32), 100, (0.0, 0.5, 1.0), (1.0, 2.0, 3.0)),
        (
            Rule("small", (CheckUse("parameters", {"below": 20000}, mark(10, 9)),), "all", 2.5, "error", mark(7, 9)),
            Rule(
                "either",
                (CheckUse("dropout", {}, mark(13, 11)), CheckUse("linear", {}, mark(13, 20))),
                "any",
                0,
                "warning",
                mark(11, 9),
            ),
        ),
    )


def test_options_have_their_defaults_filled_in(tmp_path: Path) -> None:
    text = "rules: [{id: a, checks: [accuracy: {recipe: {epochs: 9, tail: null}, sizes: [1, 2], long: null}]}]"
    (use,) = read(tmp_path, text).rules[0].checks
    assert use.options == {
        "target": 99.0,
        "recipe": {"epochs": 9, "rate": 0.3, "tail": None},
        "mode": "fast",
        "quiet": False,
        "name": "",
        "sizes": (1, 2),
        "long": None,
    }


def test_the_default_rules() -> None:
    found = read_rules()
    assert (found.file, found.title, found.input) == ("rules.yaml", "Session 5", Input())
    assert [
        (rule.id, rule.points, rule.level, rule.needs, [use.check for use in rule.checks]) for rule in found.rules
    ] == [
        ("param-count", 20, "error", "all", ["parameters"]),
        ("batch-norm", 20, "error", "all", ["batch-norm"]),
        ("dropout", 20, "error", "all", ["dropout"]),
        ("gap-no-linear", 20, "error", "all", ["global-average-pool", "linear"]),
        ("accuracy", 20, "error", "all", ["accuracy"]),
    ]
    assert found.rules[0].checks[0].options == {"below": 20000}
    assert found.rules[4].checks[0].options["target"] == 99.0
    lines = default_path().read_text(encoding="utf-8").splitlines()
    assert [lines[rule.mark.line - 1] for rule in found.rules] == [f"  - id: {rule.id}" for rule in found.rules]


@pytest.mark.parametrize("name", ["gap-or-fc", str(ROOT / "rules" / "gap-or-fc.yaml")])
def test_rules_that_allow_a_linear_layer(name: str) -> None:
    found = read_rules(name)
    assert [rule.id for rule in found.rules] == ["param-count", "batch-norm", "dropout", "accuracy", "gap-or-fc"]
    last = found.rules[-1]
    assert (last.needs, last.points) == ("any", 20)
    assert [use.check for use in last.checks] == ["global-average-pool", "linear"]
    assert last.checks[1].options["expect"] == "present"


def test_shipped_rules_have_short_names_in_messages() -> None:
    found = read_rules("gap-or-fc")
    assert [found.file, *sorted({rule.mark.file for rule in found.rules})] == [
        "rules/gap-or-fc.yaml",
        "rules.yaml",
        "rules/gap-or-fc.yaml",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zzz", f"zzz: {NOT_THERE}"),
        ("mnist-9k", "mnist-9k: there is no such file, and no ready rules of that name: did you mean 'mnist-8k'?"),
        ("zzz.yaml", "zzz.yaml: there is no such file"),
        ("rules/zzz", "rules/zzz: there is no such file"),
    ],
)
def test_a_name_that_nothing_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RulesError) as caught:
        read_rules(name)
    assert str(caught.value) == expected


def test_a_file_comes_before_a_shipped_name(tmp_path: Path) -> None:
    assert [rule.id for rule in read(tmp_path, "rules: [{id: own, checks: [dropout]}]", "gap-or-fc").rules] == ["own"]


def test_extending(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = "rules: [{id: a, checks: [dropout]}, {id: b, checks: [linear]}, {id: c, any: [linear]}]"
    write(tmp_path, "base/b.yaml", f"title: Base\ninput: {{classes: 5}}\n{base}")
    own = "extends: base/b.yaml\nwithout: [c]\nrules: [{id: d, checks: [linear]}, {id: a, points: 7, checks: [linear]}]"
    found = read(tmp_path, own)
    assert (found.title, found.input.classes) == ("Base", 5)
    assert [(rule.id, rule.points, str(rule.mark)) for rule in found.rules] == [
        ("a", 7, "r.yaml:3:41"),
        ("b", 0, "base/b.yaml:3:42"),
        ("d", 0, "r.yaml:3:14"),
    ]


def test_extending_the_default_by_name() -> None:
    assert read_rules(None) == read_rules("default")


FAULTY = {
    "an unknown key": (
        "titel: x\nrules: [{id: a, checks: [dropout]}]",
        ["1:1: unknown key 'titel' in a rules file: did you mean 'title'?"],
    ),
    "an unknown key, far from all": (
        "rules: [{id: a, zzz: 1, checks: [dropout]}]",
        ["1:17: unknown key 'zzz' in a rule: known: id, points, level, checks, any"],
    ),
    "no id": ("rules: [{checks: [dropout]}]", ["1:9: a rule needs 'id': a word of a–z, 0–9 and -"]),
    "a bad id": ("rules: [{id: A b, checks: [dropout]}]", ["1:14: id: expected a word of a–z, 0–9 and -, got 'A b'"]),
    "two ids": (
        "rules:\n- {id: a, checks: [dropout]}\n- {id: a, checks: [linear]}",
        ["3:8: the id 'a' stands twice, first in line 2"],
    ),
    "no checks": (
        "rules: [{id: a}]",
        ["1:9: a rule: expected either 'checks' (all must hold) or 'any' (one is enough)"],
    ),
    "checks and any": (
        "rules: [{id: a, checks: [dropout], any: [linear]}]",
        ["1:9: a rule: expected either 'checks' (all must hold) or 'any' (one is enough)"],
    ),
    "an empty list of checks": (
        "rules: [{id: a, checks: []}]",
        ["1:25: checks: expected a list of at least 1, got an empty list"],
    ),
    "checks that are no list": (
        "rules: [{id: a, checks: dropout}]",
        ["1:25: checks: expected a list of at least 1, got 'dropout'"],
    ),
    "an unknown check": (
        "rules: [{id: a, checks: [dropuot]}]",
        ["1:26: unknown check 'dropuot': did you mean 'dropout'?"],
    ),
    "an unknown check, far from all": (
        "rules: [{id: a, checks: [zzz]}]",
        ["1:26: unknown check 'zzz': known: parameters, dropout, linear, accuracy"],
    ),
    "a number for a check": (
        "rules: [{id: a, checks: [3]}]",
        ["1:26: expected a check, such as dropout or parameters: {below: 20000}, got 3"],
    ),
    "options beside their check": (
        "rules:\n- id: a\n  checks:\n  - parameters:\n    below: 3",
        [
            (
                "5:5: 'below' stands beside the check 'parameters': "
                "indent its options, and give each check a dash of its own"
            )
        ],
    ),
    "an option that is needed": (
        "rules: [{id: a, checks: [parameters]}]",
        ["1:26: the check 'parameters' needs 'below': a whole number"],
    ),
    "a text for a number": (
        "rules:\n- id: a\n  checks:\n  - parameters: {below: many}",
        ["4:25: below: expected a whole number, got 'many'"],
    ),
    "a fraction for a whole number": (
        "rules: [{id: a, checks: [parameters: {below: 1.5}]}]",
        ["1:46: below: expected a whole number, got 1.5"],
    ),
    "a number in quotes": (
        "rules: [{id: a, checks: [parameters: {below: '7'}]}]",
        ["1:46: below: expected a whole number, got '7'"],
    ),
    "options where there are none": (
        "rules: [{id: a, checks: [dropout: {p: 1}]}]",
        ["1:36: unknown key 'p' in the check 'dropout': the check 'dropout' has no keys"],
    ),
    "options that are no mapping": (
        "rules: [{id: a, checks: [parameters: 3]}]",
        ["1:38: the check 'parameters': expected a mapping with the keys below, got 3"],
    ),
    "nested options": (
        "rules: [{id: a, checks: [accuracy: {recipe: {epochs: 0, rate: 11, epoch: 3}}]}]",
        [
            "1:54: epochs: expected a whole number of at least 1, got 0",
            "1:63: rate: expected a number above 0 and of at most 10, got 11",
            "1:67: unknown key 'epoch' in recipe: did you mean 'epochs'?",
        ],
    ),
    "a choice": (
        "rules: [{id: a, checks: [accuracy: {mode: fats}]}]",
        ["1:43: mode: expected fast or slow, got 'fats': did you mean 'fast'?"],
    ),
    "a word of YAML 1.1": (
        "rules: [{id: a, checks: [accuracy: {quiet: yes}]}]",
        ["1:44: quiet: expected true or false, got 'yes'"],
    ),
    "a list for a number": (
        "rules: [{id: a, checks: [accuracy: {target: [1]}]}]",
        ["1:45: target: expected a number, got a list"],
    ),
    "nothing for a text": (
        "rules: [{id: a, checks: [accuracy: {name: }]}]",
        ["1:42: name: expected text, got nothing"],
    ),
    "a check's own rule": (
        "rules: [{id: a, checks: [accuracy: {target: 101}]}]",
        ["1:36: the check 'accuracy': the target is above 100 %"],
    ),
    "accuracy twice": (
        "rules: [{id: a, checks: [accuracy]}, {id: b, checks: [accuracy]}]",
        ["1:55: accuracy stands in line 1 already: a model is trained once"],
    ),
    "accuracy on other images": (
        "input: {shape: [1, 32, 32]}\nrules: [{id: a, checks: [accuracy]}]",
        [
            (
                "2:26: accuracy is measured on MNIST: it needs the input shape [1, 28, 28] and 10 classes,"
                " or another dataset"
            )
        ],
    ),
    "a negative number of points": (
        "rules: [{id: a, points: -1, checks: [dropout]}]",
        ["1:25: points: expected a number of at least 0 and of at most 1,000,000, got -1"],
    ),
    "a wrong level": (
        "rules: [{id: a, level: eror, checks: [dropout]}]",
        ["1:24: level: expected error, note or warning, got 'eror': did you mean 'error'?"],
    ),
    "a short shape": (
        "input: {shape: [28, 28]}\nrules: [{id: a, checks: [dropout]}]",
        ["1:16: shape: expected a list of 3, each a whole number of at least 1 and of at most 1,024, got 2"],
    ),
    "means for other channels": (
        "input: {shape: [3, 28, 28]}\nrules: [{id: a, checks: [dropout]}]",
        ["1:8: input: 3 channels but 1 mean in normalise"],
    ),
    "uneven normalisation": (
        "input: {normalise: {mean: [0], std: [1, 2]}}\nrules: [{id: a, checks: [dropout]}]",
        ["1:20: normalise: 1 means but 2 standard deviations"],
    ),
    "a deviation of 0": (
        "input: {normalise: {mean: [0], std: [0]}}\nrules: [{id: a, checks: [dropout]}]",
        ["1:38: std: expected a number above 0, got 0"],
    ),
    "no rules": ("title: x", [": no rules: add at least one under 'rules'"]),
    "a list": (
        "- a\n- b",
        ["1:1: a rules file: expected a mapping with the keys title, extends, without, input, rules, got a list"],
    ),
    "an empty file": ("# nothing\n", [": the file is empty"]),
    "a key that stands twice": (
        "title: a\ntitle: b\nrules: [{id: a, checks: [dropout]}]",
        ["2:1: 'title' stands twice, first in line 1"],
    ),
    "a key that is a list": ("[a]: 1", ["1:1: a key must be a word"]),
    "a tab": ("rules:\n\t- id: a", ["2:1: a tab: indent with spaces"]),
    "a bracket left open": ("rules: [", ["1:9: not YAML: expected the node content, but found '<stream end>'"]),
    "an alias": ("title: &a x\nextends: *a", ["2:10: the alias *a: write the value out"]),
    "a tag": (
        "title: !!python/object/apply:os.system [true]",
        ["1:8: the tag 'tag:yaml.org,2002:python/object/apply:os.system': rules are plain data"],
    ),
    "a tag that is more than a line": ("title: !a%0ab x", ["1:8: the tag '!a\\nb': rules are plain data"]),
    "an underscore that ends a number": (
        "rules: [{id: a, checks: [parameters: {below: 20_}]}]",
        ["1:46: below: expected a whole number, got '20_'"],
    ),
    "a number that is too large": (
        "input: {normalise: {mean: [1e999], std: [1]}}\nrules: [{id: a, checks: [dropout]}]",
        ["1:28: mean: expected a number, got '1e999'"],
    ),
    "an escape of no character": ('title: "\\U00110000"', ["1:11: not YAML: a number that is too large"]),
    "an escape of far too high a number": ('title: "\\UFFFFFFFF"', ["1:11: not YAML: a number that is too large"]),
    "an escape of half a character": ('title: "\\ud83d"', ["1:8: U+D83D is half of a character"]),
    "a version of many digits": (f"%YAML 1.{'1' * 5000}\n---\ntitle: a", ["1:9: not YAML: a number that is too large"]),
    "two documents": ("title: a\n---\ntitle: b", ["2:1: a second document: a rules file holds one"]),
    "too deep": ("title: " + "[" * 200_000, [f"1:{8 + DEPTH_CAP}: nested more than {DEPTH_CAP} levels deep"]),
    "too large": ("#" * (SIZE_CAP + 1), [f": {SIZE_CAP + 1:,} bytes, the limit is {SIZE_CAP:,}"]),
    "another encoding": (b"title: a\ntitle: \xe9", ["2:1: not UTF-8: save the file as UTF-8"]),
    "a control character": (b"title: a\nb: \x00", ["2:1: the character U+0000 is not allowed in YAML"]),
    "without extends": (
        "without: [b]\nrules: [{id: a, checks: [dropout]}]",
        ["1:10: without: there is no rule 'b': 'without' needs 'extends'"],
    ),
    "an extended file that is not there": (
        "extends: other.yaml\nrules: [{id: a, checks: [dropout]}]",
        ["1:10: extends 'other.yaml': there is no such file"],
    ),
    "an extended file of a name that none can have": (
        'extends: "a\\0b"\nrules: [{id: a, checks: [dropout]}]',
        [f"1:10: extends 'a\\x00b': {NOT_THERE}"],
    ),
    "an extended file of too long a name": (
        f"extends: {'a' * 300}\nrules: [{{id: a, checks: [dropout]}}]",
        [f"1:10: extends {'a' * 300!r}: {NOT_THERE}"],
    ),
    "a file that extends itself": (
        "extends: r.yaml\nrules: [{id: a, checks: [dropout]}]",
        ["1:10: extends goes in a circle: 'r.yaml' leads back to itself"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), FAULTY.values(), ids=FAULTY)
def test_every_fault_has_its_message(tmp_path: Path, text: str | bytes, expected: list[str]) -> None:
    assert problems(tmp_path, text) == [f"r.yaml{':' if line[0].isdigit() else ''}{line}" for line in expected]


def test_all_faults_are_told_at_once_in_order(tmp_path: Path) -> None:
    text = "titel: x\nrules:\n- id: a\n  checks: [dropuot, parameters: {belw: 3}]\n- points: many\n  any: [linear]\n"
    assert problems(tmp_path, text) == [
        "r.yaml:1:1: unknown key 'titel' in a rules file: did you mean 'title'?",
        "r.yaml:4:12: unknown check 'dropuot': did you mean 'dropout'?",
        "r.yaml:4:33: the check 'parameters' needs 'below': a whole number",
        "r.yaml:4:34: unknown key 'belw' in the check 'parameters': did you mean 'below'?",
        "r.yaml:5:3: a rule needs 'id': a word of a–z, 0–9 and -",
        "r.yaml:5:11: points: expected a number of at least 0 and of at most 1,000,000, got 'many'",
    ]


def test_faults_of_an_extended_file_bear_its_name(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", "titel: x\nrules: [{id: a, checks: [dropout]}]")
    assert problems(tmp_path, "extends: base.yaml\nrules: [{id: b, checks: [zzz]}]") == [
        "base.yaml:1:1: unknown key 'titel' in a rules file: did you mean 'title'?",
        "r.yaml:2:26: unknown check 'zzz': known: parameters, dropout, linear, accuracy",
    ]


def test_a_long_row_of_files(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path, f"{number}.yaml", f"extends: {number + 1}.yaml")
    assert problems(tmp_path, "extends: 0.yaml") == ["6.yaml:1:10: more than 8 files extend each other"]


def test_a_circle_of_two(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "extends: r.yaml\nrules: [{id: a, checks: [dropout]}]")
    assert problems(tmp_path, "extends: a.yaml") == [
        "a.yaml:1:10: extends goes in a circle: 'r.yaml' leads back to itself"
    ]


def test_a_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    assert problems(tmp_path, "extends: a.yaml") == ["r.yaml:1:10: extends 'a.yaml': there is no such file"]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    found = {}
    for name in ("absent.yaml", "folder", "no-such-name", "a\0b", "a" * 300):
        with pytest.raises(RulesError) as caught:
            read_rules(name, TABLE)
        found[name] = str(caught.value)
    assert re.fullmatch(r"a\0b: cannot be read: .*embedded null.*", found.pop("a\0b"))  # in Python's own words
    assert found == {
        "absent.yaml": "absent.yaml: there is no such file",
        "folder": "folder: a folder, expected a rules file",
        "no-such-name": f"no-such-name: {NOT_THERE}",
        "a" * 300: f"{'a' * 300}: cannot be read: {os.strerror(errno.ENAMETOOLONG)}",
    }


def test_what_words_mean() -> None:
    words: dict[str, Any] = {
        "": None, "~": None, "null": None, "true": True, "false": False,
        "12": 12, "-3": -3, "20_000": 20000, "1.5": 1.5, ".5": 0.5, "1e-3": 0.001, "3e4": 30000.0,
        "yes": "yes", "on": "on", "True": "True", ".nan": ".nan", ".inf": ".inf", "0x10": "0x10", "1:30": "1:30",
        "1" * 400: "1" * 400, "1_": "1_", "1__0": "1__0", "1_.5": "1_.5", "_1": "_1", "1_0.5": 10.5, "1e999": "1e999",
    }  # fmt: skip
    assert {word: plain_value(word) for word in words} == words
    assert {type(plain_value(word)) for word in ("12", "010")} == {int}


def test_the_published_schemas_are_up_to_date() -> None:
    path = ROOT / "docs" / "schema" / "generate.py"
    specification = importlib.util.spec_from_file_location("generate", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    published = {name: json.loads(path.with_name(name).read_text(encoding="utf-8")) for name in module.schemas()}
    assert published == json.loads(json.dumps(module.schemas())), "run python docs/schema/generate.py"


def test_the_options_of_every_check_can_be_read(tmp_path: Path) -> None:
    needed = {
        "parameters": "{below: 3}",
        "macs": "{below: 3}",
        "kernel-size": "{at_most: 3}",
        "layer-count": "{kind: conv, at_least: 3}",
        "receptive-field": "{above: 3}",
    }
    items = ", ".join(f"{id}: {needed[id]}" if id in needed else id for id in checks())
    write(tmp_path, "r.yaml", f"rules: [{{id: a, checks: [{items}]}}]")
    (rule,) = read_rules(tmp_path / "r.yaml").rules
    assert [use.check for use in rule.checks] == list(checks())
    given = {use.check: msgspec.convert(use.options, checks()[use.check].options) for use in rule.checks}
    assert {id: type(options) for id, options in given.items()} == {id: made.options for id, made in checks().items()}
