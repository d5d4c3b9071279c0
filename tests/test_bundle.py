"""A bundle repeats a verdict, and one that was damaged or made up is refused with a reason."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import random
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import HEADER

from grader import cli
from grader.bundle import Bundle, BundleError, Comparison, Difference, bundled, compared, read_bundle
from grader.bundle.archive import ENTRIES_CAP, entry_name, pack, path_of, unpack
from grader.bundle.compare import Comparison as Compared
from grader.bundle.form import RulesForm, rules_form, rules_of
from grader.cli.repetition import told
from grader.grade import Grading, examine_in
from grader.manifest import FILES_CAP
from grader.protocol import Exported
from grader.report import Report
from grader.rules import Rules, read_rules
from grader.sandbox import Template
from grader.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SOURCE = HEADER + (
    "class Net(nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.conv = nn.Conv2d(1, 10, 3)\n"
    "        self.norm = nn.BatchNorm2d(10)\n"
    "    def forward(self, x):\n"
    "        return F.dropout(self.norm(self.conv(x)), 0.1, self.training).mean((2, 3))\n"
)
BROKEN = SOURCE.replace("return ", "return 1 / 0 + ")


@dataclasses.dataclass(frozen=True)
class Made:
    """A grading and the bundle of it."""

    grading: Grading
    rules: Rules
    settings: Settings
    data: bytes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("submission")
    (folder / "model.py").write_text(SOURCE)
    (folder / "100%.py").write_text("beside = 1\n")
    rules, settings = read_rules(), Settings(export=True)
    with Template.start() as template:
        grading = examine_in(template, folder / "model.py", rules, settings)
    yield Made(grading, rules, settings, bundled(grading, rules, settings))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Made) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "model.s5bundle").write_bytes(made.data)
    (tmp_path / "model.py").write_text(SOURCE)
    return tmp_path


def changed(data: bytes, *, drop: tuple[str, ...] = (), listed: bool = True, **entries: bytes) -> bytes:
    """Return a bundle with other entries, keys with __ for slashes and dots; `listed` keeps the digests true."""
    kept = {name: content for name, content in unpack(data).items() if name not in drop}
    kept.update({name.replace("___", "/").replace("__", "."): content for name, content in entries.items()})
    if listed and "bundle.json" not in [name.replace("__", ".") for name in entries]:
        contents = json.loads(kept["bundle.json"])
        digests = {name: hashlib.sha256(kept[name]).hexdigest() for name in kept if name != "bundle.json"}
        kept["bundle.json"] = json.dumps({**contents, "sha256": digests}).encode()
    return pack(kept)


def json_of(data: bytes, name: str) -> Any:
    return json.loads(unpack(data)[name])


def test_contents(made: Made) -> None:
    entries = unpack(made.data)
    assert list(entries) == [
        "bundle.json",
        "graph.json",
        "report.json",
        "rules.json",
        "submission/100%25.py",
        "submission/model.py",
        "weights.safetensors",
    ]
    assert entries["submission/model.py"] == SOURCE.encode()
    contents = json.loads(entries["bundle.json"])
    assert contents["sha256"] == {
        name: hashlib.sha256(data).hexdigest() for name, data in entries.items() if name != "bundle.json"
    }
    assert contents["versions"] == made.grading.report.reproduce.versions


def test_the_same_grading_makes_the_same_bytes(made: Made) -> None:
    assert bundled(made.grading, made.rules, made.settings) == made.data


def test_a_bundle_is_read_as_it_was_made(made: Made) -> None:
    assert made.grading.submission is not None
    assert made.grading.exported is not None
    assert read_bundle(made.data) == Bundle(
        made.grading.submission,
        made.rules,
        made.settings,
        made.grading.report.reproduce.versions,
        made.grading.report,
        made.grading.exported.graph,
        made.grading.exported.tensors,
    )


def test_settings_come_back(made: Made) -> None:
    settings = Settings("a.py", "Net", {"width": "3", "é": "x=y"}, True, 7, 60.0, "cuda", 3, 5.0, True)
    assert read_bundle(bundled(made.grading, made.rules, settings)).settings == settings


@pytest.mark.parametrize("name", ["default", *(path.stem for path in sorted((ROOT / "rules").glob("*.yaml")))])
def test_rules_come_back(name: str) -> None:
    rules = read_rules(name)
    again = rules_of(msgspec.json.decode(msgspec.json.encode(rules_form(rules)), type=RulesForm))
    assert (again, again.sha256) == (rules, rules.sha256)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("model.py", "model.py"),
        ("a b/модель.py", "a b/модель.py"),
        ("a\\b.py", "a%5Cb.py"),
        ("100%25.py", "100%2525.py"),
        ("c:x.py", "c%3Ax.py"),
        ("a\u202eb.py", "a%E2%80%AEb.py"),
    ],
)
def test_names_of_entries(path: str, name: str) -> None:
    assert (entry_name(path), path_of(name)) == (name, path)


@pytest.mark.parametrize("name", ["%2e%2e", "a%2Fb", "%5c", "%ff", "%zz", "%"])
def test_names_that_no_bundle_uses(name: str) -> None:
    with pytest.raises(BundleError, match="is not how a bundle names a file"):
        path_of(name)


def zipped(*entries: tuple[zipfile.ZipInfo | str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def entry(name: str, mode: int = stat.S_IFREG | 0o644, **fields: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


def twice() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return zipped(("a", b"1"), ("a", b"2"))


def encrypted(data: bytes) -> bytes:
    place = data.index(b"PK\x01\x02") + 8
    return data[:place] + b"\x01\x00" + data[place + 2 :]


def ended(data: bytes, **fields: int) -> bytes:
    """Return a zip file with other numbers in the record at its end."""
    names = ("disk", "first", "here", "total", "size", "offset", "comment")
    numbers = dict(zip(names, struct.unpack("<4H2LH", data[-18:]), strict=True)) | fields
    return data[:-18] + struct.pack("<4H2LH", *numbers.values())


ARCHIVES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda data: b"", "no zip file begins like that"),
    "text": (lambda data: b"hello", "no zip file begins like that"),
    "cut short": (lambda data: data[:-1], "cut short"),
    "half": (lambda data: data[: len(data) // 2], "cut short"),
    "something after": (lambda data: data + b"x", "cut short, or something follows its end"),
    "something before": (lambda data: b"#!/bin/sh\n" + data, "no zip file begins like that"),
    "a comment": (lambda data: ended(data, comment=1), "the record at its end does not fit it"),
    "two disks": (lambda data: ended(data, disk=1), "the record at its end does not fit it"),
    "another offset": (lambda data: ended(data, offset=3), "the record at its end does not fit it"),
    "many entries": (
        lambda data: zipped(*((str(n), b"") for n in range(ENTRIES_CAP + 1))),
        "257 entries, the limit is 256",
    ),
    "a large list": (lambda data: ended(data, size=1 << 31), "the limit is 256"),
    "zip64": (lambda data: data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:], "zip64"),
    "twice": (lambda data: twice(), "the entry 'a' is there twice"),
    "compressed": (lambda data: zipped(("a", bytes(10**6)), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "a link": (lambda data: zipped((entry("a", stat.S_IFLNK | 0o777), b"/etc/passwd")), "is a symbolic link"),
    "a folder": (lambda data: zipped(("a/", b"")), "is a folder"),
    "a pipe": (lambda data: zipped((entry("a", stat.S_IFIFO), b"")), "is not a plain file"),
    "encrypted": (lambda data: encrypted(zipped(("a", b"1"))), "is encrypted"),
    "absolute": (lambda data: zipped(("/etc/x", b"1")), "leads out of the bundle"),
    "upwards": (lambda data: zipped(("submission/../../x.py", b"1")), "leads out of the bundle"),
    "a drive": (lambda data: zipped(("c:x", b"1")), "a name that no bundle uses"),
    "a backslash": (lambda data: zipped(("..\\x.py", b"1")), "a name that no bundle uses"),
    "a dot": (lambda data: zipped(("submission/./x.py", b"1")), "a name that no bundle uses"),
    "two slashes": (lambda data: zipped(("submission//x.py", b"1")), "a name that no bundle uses"),
    "a control code": (lambda data: zipped(("a\x1b[2J", b"1")), "a name that no bundle uses"),
    "a long name": (lambda data: zipped(("a" * 1001, b"1")), "a name that is too long"),
    "other contents": (lambda data: patched(data, b"beside = 1", b"beside = 2"), "damaged: Bad CRC-32"),
    "other order": (lambda data: zipped(("b", b"1"), ("a", b"1")), "not laid out as s5-grade writes a bundle"),
    "hidden data": (lambda data: zipped((entry("a", extra=b"\x99\x99\x04\x00evil"), b"1")), "not laid out as"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_odd_archives_are_refused(name: str, made: Made) -> None:
    make, message = ARCHIVES[name]
    with pytest.raises(BundleError, match=message):
        read_bundle(make(made.data))


def test_entries_that_overlap_are_refused() -> None:
    """Two entries over the same bytes: such files grow without compression."""
    data = zipped(("a", b"x" * 500), ("b", b""))
    first, second = data.index(b"PK\x01\x02"), data.rindex(b"PK\x01\x02")
    size = data[first + 16 : first + 28]
    forged = data[: second + 16] + size + data[second + 28 :]
    with pytest.raises(BundleError, match=r"larger than itself|damaged|not laid out"):
        unpack(forged)


def test_no_change_of_a_byte_goes_unnoticed(made: Made) -> None:
    chance = random.Random(5)
    for _ in range(300):
        data = bytearray(made.data)
        for _ in range(chance.choice((1, 1, 4))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises(BundleError):
            read_bundle(bytes(data))


def with_json(data: bytes, name: str, change: Callable[[Any], Any]) -> bytes:
    found = json_of(data, name)
    change(found)
    return changed(data, **{name.replace(".", "__"): json.dumps(found).encode()})


def option(name: str, value: Any) -> Callable[[Any], None]:
    return lambda rules: rules["rules"][0]["checks"][0]["options"].update({name: value})


FORMS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "another schema": (
        "bundle.json",
        lambda it: it.update(schema=2),
        "a bundle of schema 2; this version of s5-grade reads schema 1",
    ),
    "an odd field": ("bundle.json", lambda it: it.update(x=1), "unknown field `x`"),
    "a seed": ("bundle.json", lambda it: it["settings"].update(seed=-1), "`int` >= 0"),
    "a timeout": ("bundle.json", lambda it: it["settings"].update(timeout=1e9), "`float` <= 86400.0"),
    "threads": ("bundle.json", lambda it: it["settings"].update(threads="8"), "Expected `int`"),
    "an entry": (
        "bundle.json",
        lambda it: it["submission"].update(entry="../x.py"),
        "the file with the model, '../x.py', is not in the bundle",
    ),
    "an unknown check": (
        "rules.json",
        lambda it: it["rules"][0]["checks"][0].update(check="evil"),
        "rule param-count: this version of s5-grade has no check 'evil'",
    ),
    "an unknown option": ("rules.json", option("evil", 1), "check parameters: Object contains unknown field `evil`"),
    "an odd option": ("rules.json", option("below", "x"), "check parameters: Expected `int`, got `str`"),
    "an odd id": ("rules.json", lambda it: it["rules"][0].update(id="\x1b[2J"), "rules.json: Expected `str` matching"),
    "one id twice": ("rules.json", lambda it: it["rules"].append(it["rules"][0]), "an id stands twice"),
    "no rule": ("rules.json", lambda it: it.update(rules=[]), "length >= 1"),
    "two trainings": (
        "rules.json",
        lambda it: it["rules"].append({**it["rules"][-1], "id": "again"}),
        "accuracy stands twice",
    ),
    "training on what is no digit": (
        "rules.json",
        lambda it: it["input"].update(classes=7),
        "the input is not MNIST's",
    ),
    "a graph": ("graph.json", lambda it: it.update(eval=1), "graph.json: Expected `object`, got `int`"),
}


@pytest.mark.parametrize("name", FORMS)
def test_odd_forms_are_refused(name: str, made: Made) -> None:
    file, change, message = FORMS[name]
    with pytest.raises(BundleError) as caught:
        read_bundle(with_json(made.data, file, change))
    assert message in str(caught.value)


CONTENTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no contents": (lambda data: pack({"rules.json": b""}), "not a bundle: bundle.json is missing"),
    "no rules": (lambda data: changed(data, drop=("rules.json",)), "not a bundle: rules.json is missing"),
    "half a graph": (
        lambda data: changed(data, drop=("graph.json",)),
        "of graph.json and weights.safetensors one is missing",
    ),
    "another file": (lambda data: changed(data, evil__sh=b""), "no bundle has a file 'evil.sh'"),
    "a digest": (lambda data: changed(data, listed=False, submission___model__py=b"x = 1\n"), "its digest is another"),
    "an entry too many": (lambda data: changed(data, listed=False, submission___b__py=b""), "does not list the files"),
    "no JSON": (lambda data: changed(data, bundle__json=b"{"), "bundle.json: Input data was truncated"),
    "no report": (lambda data: changed(data, report__json=b"{}"), "report.json: not a report"),
    "another's report": (
        lambda data: changed(data, submission___model__py=b"class A(nn.Module): pass\n"),
        "report.json is about another submission",
    ),
    "a deep graph": (lambda data: changed(data, graph__json=b"[" * 100_000), "graph.json: "),
    "large rules": (
        lambda data: changed(data, rules__json=b" " * (1 << 20) + b"{}"),
        "rules.json has 1,048,578 bytes, the limit is 1,048,576",
    ),
    "a large file": (
        lambda data: changed(data, submission___b__py=b" " * (1 << 21)),
        "'b.py' has 2,097,152 bytes, the limit of a submission is 1,048,576",
    ),
    "large files": (
        lambda data: changed(data, **{f"submission___{n}__py": bytes(1 << 20) for n in range(9)}),
        "9,437,195 bytes beside the model",
    ),
    "many files": (
        lambda data: changed(data, **{f"submission___{n}__py": b"" for n in range(FILES_CAP)}),
        "201 files beside the model",
    ),
    "no Python": (lambda data: changed(data, submission___secret__txt=b"x"), "'secret.txt' is no part of a submission"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_odd_contents_are_refused(name: str, made: Made) -> None:
    make, message = CONTENTS[name]
    with pytest.raises(BundleError) as caught:
        read_bundle(make(made.data))
    assert message in str(caught.value)


def with_report(made: Made, **changes: Any) -> Grading:
    return dataclasses.replace(made.grading, report=msgspec.structs.replace(made.grading.report, **changes))


def with_rule(report: Report, number: int, **changes: Any) -> tuple[Any, ...]:
    rules = list(report.rules)
    rules[number] = msgspec.structs.replace(rules[number], **changes)
    return tuple(rules)


SAME = ("graph: the same (sha256 ", "weights: the same to the bit")


def compared_with(made: Made, grading: Grading) -> Comparison:
    return compared(read_bundle(made.data), grading, trained=False)


def test_a_repetition(made: Made) -> None:
    found = compared_with(made, made.grading)
    assert (found.differences, found.versions, found.ungraded, found.repeated) == ((), (), False, True)
    assert [remark.startswith(start) for remark, start in zip(found.remarks, SAME, strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (lambda it: {"verdict": "fail"}, [Difference("verdict", "pass", "fail")]),
        (lambda it: {"score": 60}, [Difference("score", "80 of 80", "60 of 80")]),
        (
            lambda it: {"rules": with_rule(it, 0, measured=121)},
            [Difference("rule param-count", "pass, measured 120", "pass, measured 121")],
        ),
        (
            lambda it: {"rules": with_rule(it, 2, status="fail")},
            [Difference("rule dropout", "pass, measured 1", "fail, measured 1")],
        ),
        (lambda it: {"rules": it.rules[:-1]}, [Difference("rule accuracy", "skipped", "nothing")]),
        (lambda it: {"rules": with_rule(it, 4, measured=98.5)}, []),  # a training's number is told elsewhere
        (lambda it: {"notes": ("other words",)}, []),
    ],
)
def test_differences(changes: Callable[[Report], dict[str, Any]], expected: list[Difference], made: Made) -> None:
    found = compared_with(made, with_report(made, **changes(made.grading.report)))
    assert list(found.differences) == expected


def test_another_graph_is_another_verdict(made: Made) -> None:
    exported = made.grading.exported
    assert exported is not None
    nodes = exported.graph.eval.nodes
    other = msgspec.structs.replace(nodes[1], op="torch.relu")
    program = msgspec.structs.replace(exported.graph.eval, nodes=(nodes[0], other, *nodes[2:]))
    graph = msgspec.structs.replace(exported.graph, eval=program)
    grading = dataclasses.replace(made.grading, exported=Exported(graph, exported.tensors[:-1] + b"x"))
    found = compared_with(made, grading)
    assert found.differences == (
        Difference(
            "graph",
            "batch_norm of model.py:10 as operator 2 of evaluation",
            "relu of model.py:10 as operator 2 of evaluation",
        ),
    )
    assert found.remarks == ("weights: differ in bits, as they may between versions and processors",)


def test_versions_are_named(made: Made) -> None:
    reproduce = made.grading.report.reproduce
    changed_versions = msgspec.structs.replace(reproduce, versions={**reproduce.versions, "torch": "2.4.0"})
    found = compared_with(made, with_report(made, reproduce=changed_versions, verdict="fail"))
    assert found.versions == (Difference("torch", reproduce.versions["torch"], "2.4.0"),)
    text = told(found, read_bundle(made.data), "model.s5bundle")
    assert text.splitlines()[1:3] == [
        "not repeated: model.s5bundle says 'pass', and here something is different",
        "  verdict: pass in the bundle, fail here",
    ]
    assert text.splitlines()[-2:] == [
        f"  torch: {reproduce.versions['torch']} in the bundle, 2.4.0 here",
        "  why: other versions may do otherwise",
    ]


def test_text_of_a_bundle_is_made_visible(made: Made) -> None:
    found = Compared((Difference("rule \x1b[2J", "a\nb", "c"),), ("\u202eremark",), ())
    text = told(found, read_bundle(made.data), "\x1b]0;x\x07.s5bundle")
    assert [char for char in text if not char.isprintable() and char != "\n"] == []


def test_command_and_replay(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "model.s5bundle").unlink()
    assert cli.run(["bundle", "model.py"]) == 0
    assert capsys.readouterr().out == "wrote model.s5bundle: 4 passed, 1 skipped. 80 of 80 points.\n"
    (here / "model.py").unlink()  # the bundle needs no other file
    assert cli.run(["replay", "model.s5bundle", "--format", "text"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Checked model.py (class Net) against rules.yaml\n")
    assert "\nrepeated: model.s5bundle says 'pass', and so it is here\n  graph: the same (sha256 " in out


def test_replay_of_a_forged_verdict(here: Path, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """A report that says more than the source does is not repeated: the report of a bundle is believed in nothing."""
    forged = SOURCE.replace("F.dropout(self.norm(self.conv(x)), 0.1, self.training)", "self.norm(self.conv(x))")
    report = json_of(made.data, "report.json")
    report["submission"]["sha256"] = hashlib.sha256(forged.encode()).hexdigest()
    data = changed(made.data, submission___model__py=forged.encode(), report__json=json.dumps(report).encode())
    (here / "model.s5bundle").write_bytes(data)
    assert cli.run(["replay", "model.s5bundle", "--format", "json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["verdict"] == "fail"
    assert captured.err.splitlines()[1:5] == [
        "not repeated: model.s5bundle says 'pass', and here something is different",
        "  verdict: pass in the bundle, fail here",
        "  rule dropout: pass, measured 1 in the bundle, fail, measured 0 here",
        "  score: 80 of 80 in the bundle, 60 of 80 here",
    ]


def test_replay_of_what_cannot_be_graded_here(here: Path, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    report = json_of(made.data, "report.json")
    report["submission"]["sha256"] = hashlib.sha256(BROKEN.encode()).hexdigest()
    data = changed(made.data, submission___model__py=BROKEN.encode(), report__json=json.dumps(report).encode())
    (here / "model.s5bundle").write_bytes(data)
    assert cli.run(["replay", "model.s5bundle"]) == 3
    assert "not repeated: model.s5bundle says 'pass', and here it cannot be graded" in capsys.readouterr().out


def test_replay_of_what_could_not_be_graded(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "model.py").write_text(BROKEN)
    assert cli.run(["bundle", "model.py", "--output", "b.s5bundle"]) == 0
    assert set(unpack((here / "b.s5bundle").read_bytes())) == {
        "bundle.json",
        "report.json",
        "rules.json",
        "submission/model.py",
    }
    assert cli.run(["replay", "b.s5bundle", "--output", "again.txt"]) == 0
    assert "repeated: b.s5bundle says 'error', and so it is here" in capsys.readouterr().out
    assert "ZeroDivisionError" in (here / "again.txt").read_text()


def test_rules_that_a_bundle_must_hold(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "strict.yaml").write_text("extends: default\nwithout: [dropout]\n")
    assert cli.run(["replay", "model.s5bundle", "--rules", "strict.yaml"]) == 1
    assert "  rules: " in capsys.readouterr().out
    assert cli.run(["replay", "model.s5bundle", "--rules", "default"]) == 0


def test_nothing_to_bundle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bundle", "absent.py"]) == 3
    assert "there is no file 'absent.py'" in capsys.readouterr().out
    assert not (here / "absent.s5bundle").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and then nothing", b"\x1b[2J"])
def test_a_broken_bundle_is_told_without_a_grading(here: Path, data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "model.s5bundle").write_bytes(data)
    assert cli.run(["replay", "model.s5bundle"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("Error: model.s5bundle: ")


def test_an_absent_bundle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["replay", "absent.s5bundle"]) == 2
    assert capsys.readouterr().err.endswith("Error: absent.s5bundle: No such file or directory\n")


RECIPE = """\
extends: default
rules:
  - id: accuracy
    points: 20
    checks:
      - accuracy: {target: 20, recipe: {epochs: 1, batch: 512, long: null}}
"""


@pytest.mark.slow
def test_a_training_is_repeated(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rules.yaml").write_text(RECIPE)
    assert cli.run(["bundle", "model.py", "--rules", "rules.yaml", "--train", "--threads", "1"]) == 0
    (here / "rules.yaml").unlink()
    assert cli.run(["replay", "model.s5bundle"]) == 0
    assert "  training: the same, " in capsys.readouterr().out
    assert cli.run(["replay", "model.s5bundle", "--no-train"]) == 0
    assert "\nrepeated but for the training: model.s5bundle says " in capsys.readouterr().out
