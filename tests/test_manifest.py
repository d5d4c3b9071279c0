"""What is read of a submission, what is left out, and everything that can be wrong with a path."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from grader import manifest
from grader.manifest import Submission, SubmissionError, model_files, read, read_submission, walk

MODEL = b"class Net(nn.Module):\n    pass\n"
NOTEBOOK = b'{"cells": [{"cell_type": "code", "source": ["x = 1\\n", "class Net(nn.Module):\\n", "    pass"]}]}'


def make(folder: Path, **files: bytes) -> Path:
    """Write files, given as `folder__name_py`."""
    for key, data in files.items():
        write(folder, key.replace("__", "/").replace("_py", ".py").replace("_ipynb", ".ipynb"), data)
    return folder


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def refusal(path: Path | str, file: str | None = None) -> tuple[str, str, str, tuple[str, ...]]:
    with pytest.raises(SubmissionError) as caught:
        read_submission(path, file)
    error = caught.value
    return error.code, error.message, error.fix, error.candidates


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_single_file(here: Path) -> None:
    write(here, "model.py", MODEL)
    found = read_submission("model.py")
    assert found == Submission("model.py", "", "model.py", {"model.py": MODEL})
    assert found.sha256 == hashlib.sha256(MODEL).hexdigest()


def test_a_file_brings_what_stands_beside_and_below_it(here: Path) -> None:
    make(here, hw__model_py=MODEL, hw__utils_py=b"u", hw__pack__a_py=b"a", hw__pack__sub__b_py=b"b", other_py=b"o")
    write(here, "hw/notes.txt", b"n")
    write(here, "hw/other.ipynb", NOTEBOOK)
    found = read_submission("hw/model.py")
    assert (found.path, found.folder, found.entry) == ("hw/model.py", "hw", "model.py")
    assert found.files == {"model.py": MODEL, "utils.py": b"u", "pack/a.py": b"a", "pack/sub/b.py": b"b"}
    assert list(found.files) == ["model.py", "utils.py", "pack/a.py", "pack/sub/b.py"]


def test_folders_that_hold_no_source_are_skipped(here: Path) -> None:
    names = (".git", ".hidden", "venv", "node_modules", "site-packages", "__pycache__", "build", "dist")
    for name in names:
        write(here, f"{name}/a.py", b"a")
    write(here, "myenv/pyvenv.cfg", b"")
    write(here, "myenv/lib.py", b"l")
    write(here, "1/2/3/deep.py", b"d")
    write(here, "1/2/3/4/deeper.py", b"d")
    write(here, ".secret.py", b"s")
    write(here, "model.py", MODEL)
    assert sorted(read_submission("model.py").files) == ["1/2/3/deep.py", "model.py"]


def test_links_are_followed_in_the_path_alone(here: Path) -> None:
    write(here, "real/model.py", MODEL)
    write(here, "real/utils.py", b"u")
    write(here, "secret.py", b"secret")
    write(here, "away/inner.py", b"secret")
    (here / "real" / "link.py").symlink_to(here / "secret.py")
    (here / "real" / "folder").symlink_to(here / "away")
    (here / "alias.py").symlink_to(here / "real" / "model.py")
    (here / "course").symlink_to(here / "real")
    assert sorted(read_submission("real/model.py").files) == ["model.py", "utils.py"]
    assert read_submission("alias.py").files["alias.py"] == MODEL
    assert read_submission("course").files == {"model.py": MODEL, "utils.py": b"u"}
    assert refusal("real", "link.py") == (
        "unreadable",
        "link.py in real is a symbolic link",
        "Hand in the file itself.",
        (),
    )
    assert refusal("real", "folder/inner.py")[:2] == ("unreadable", "folder/inner.py in real is a symbolic link")


def test_too_much_beside_the_model_is_left_out_furthest_first(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "FILES_CAP", 3)
    make(here, model_py=MODEL, a_py=b"a", b_py=b"b", z__c_py=b"c", z__d_py=b"d")
    assert list(read_submission("model.py").files) == ["model.py", "a.py", "b.py", "z/c.py"]


def test_too_many_bytes_beside_the_model(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "TOTAL_CAP", 10)
    make(here, model_py=MODEL, a_py=b"a" * 8, b_py=b"b" * 8, c_py=b"c")
    assert list(read_submission("model.py").files) == ["model.py", "a.py", "c.py"]


def test_a_large_file_beside_the_model_is_left_out(here: Path) -> None:
    make(here, model_py=MODEL, large_py=b"#" * (manifest.BYTES_CAP + 1))
    assert list(read_submission("model.py").files) == ["model.py"]


def test_a_folder_with_one_model(here: Path) -> None:
    make(here, hw__net_py=MODEL, hw__train_py=b"import net", hw__tests__test_net_py=MODEL, hw__setup_py=MODEL)
    found = read_submission("hw")
    assert (found.path, found.folder, found.entry) == ("hw", "hw", "net.py")
    assert sorted(found.files) == ["net.py", "setup.py", "tests/test_net.py", "train.py"]
    assert read_submission("hw/").folder == "hw"


@pytest.mark.parametrize(("name", "data"), [("Model.PY", MODEL), ("Model.IPYNB", NOTEBOOK)])
def test_endings_may_be_written_in_capitals(here: Path, name: str, data: bytes) -> None:
    write(here, f"hw/{name}", data)
    write(here, "hw/README.md", b"read me")
    assert read_submission("hw") == Submission("hw", "hw", name, {name: data})


def test_the_current_folder(here: Path) -> None:
    make(here, model_py=MODEL)
    assert read_submission(".") == Submission(".", "", "model.py", {"model.py": MODEL})


def test_a_folder_with_a_notebook(here: Path) -> None:
    make(here, work_ipynb=NOTEBOOK, helper_py=b"h")
    found = read_submission(".")
    assert (found.entry, found.files) == ("work.ipynb", {"helper.py": b"h", "work.ipynb": NOTEBOOK})


def test_a_file_of_a_folder_by_name(here: Path) -> None:
    make(here, hw__one_py=MODEL, hw__two_py=MODEL, hw__sub__three_py=MODEL)
    assert read_submission("hw", "two.py").entry == "two.py"
    assert read_submission("hw", "./sub/three.py").entry == "sub/three.py"


CHOICES = {
    "a class": ({"a.py": MODEL, "b.py": b"x = 1"}, ("a.py",)),
    "all spellings of the base": (
        {
            "a.py": b"class A(Module): pass",
            "b.py": b"class B(torch.nn.Module, Mixin): pass",
            "c.py": b"if x:\n\tclass C( nn.Module ) : pass",
            "d.py": b"class D[T](\n    nn.Module,\n): pass",
            "e.py": b"class E(pl.LightningModule): pass",
        },
        ("a.py", "b.py", "c.py", "d.py", "e.py"),
    ),
    "a base of another file": ({"base.py": MODEL, "net.py": b"class Big(Net): pass"}, ("base.py", "net.py")),
    "a comment": ({"a.py": b"# class Net(nn.Module):", "model.py": b"x"}, ("model.py",)),
    "another class": ({"data.py": b"class Data(Dataset): pass", "model.py": b"net = resnet()"}, ("model.py",)),
    "a Sequential": ({"a.py": b"net = nn.Sequential(nn.Linear(1, 1))", "b.py": b""}, ("a.py",)),
    "a Sequential beside a class": ({"a.py": b"nn.Sequential(x)", "b.py": MODEL}, ("b.py",)),
    "a notebook": ({"a.ipynb": NOTEBOOK}, ("a.ipynb",)),
    "one file of anything": ({"a.py": b"x = 1"}, ("a.py",)),
    "two files of anything": ({"a.py": b"x = 1", "b.py": b"x = 1"}, ()),
    "nothing": ({}, ()),
}


@pytest.mark.parametrize(("sources", "expected"), CHOICES.values(), ids=CHOICES)
def test_which_files_may_hold_the_model(sources: dict[str, bytes], expected: tuple[str, ...]) -> None:
    assert model_files(sources) == expected


BLOCK = b"from torch import nn\nclass Block(nn.Module):\n    pass\n"
HELPER = b"class %s:\n    def __init__(%s):\n        pass\n\n    def forward(%s):\n        return x\n"
WHOLE = b"from .b import Block\nclass Net(nn.Module):\n    def f(self):\n# a note\n        self.b = Block()\n"


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"b.py": BLOCK, "net.py": WHOLE}, ("net.py",)),
        ({"b.py": BLOCK + b"class Loss(nn.Module):\n    pass\n", "net.py": WHOLE}, ("b.py", "net.py")),
        ({"b.py": BLOCK, "net.py": WHOLE.replace(b"Block()", b"None")}, ("b.py", "net.py")),
        ({"net.py": MODEL, "lit.py": b"class Lit(LightningModule):\n    net = Net()\n"}, ("lit.py",)),
        ({"net.py": MODEL, "train.py": BLOCK + b"Net()\nclass Trainer:\n    net = Net()\n"}, ("net.py", "train.py")),
        ({"a.py": MODEL + b"    b = Block()\n", "b.py": BLOCK + b"    n = Net()\n"}, ("a.py", "b.py")),
        ({"base.py": MODEL, "deep.py": b"class Deep(Net):\n    pass\n"}, ("base.py", "deep.py")),
        ({"a.py": MODEL, "b.py": MODEL + b"    n = Net\n"}, ("a.py", "b.py")),
        ({"net.py": MODEL, "loss.py": HELPER % (b"Focal(nn.Module)", b"self, gamma=2", b"self, x, y")}, ("net.py",)),
        ({"net.py": MODEL, "se.py": HELPER % (b"SEBlock(nn.Module)", b"self, channels", b"self, x")}, ("net.py",)),
        ({"net.py": MODEL, "lit.py": HELPER % (b"Lit(pl.LightningModule)", b"self, net: X", b"self, x")}, ("net.py",)),
        ({"net.py": MODEL, "b.py": HELPER % (b"Top(nn.Module)", b"self, backbone", b"self, x")}, ("b.py", "net.py")),
        ({"net.py": MODEL, "b.py": HELPER % (b"Block(nn.Module)", b"self, c=1", b"self, x")}, ("b.py", "net.py")),
        ({"net.py": MODEL, "b.py": HELPER % (b"B(nn.Module)", b"self", b"self, x, y=(1, 2)")}, ("b.py", "net.py")),
        ({"loss.py": HELPER % (b"Focal(nn.Module)", b"self, gamma=2", b"self, x, y")}, ("loss.py",)),
    ],
)
def test_a_file_of_parts_is_not_the_model(sources: dict[str, bytes], expected: tuple[str, ...]) -> None:
    assert model_files(sources) == expected


def test_paths_that_are_not_there(here: Path) -> None:
    make(here, hw__a_py=MODEL, hw__b_py=MODEL)
    write(here, "hw/c.ipynb", NOTEBOOK)
    assert refusal("absent.py") == ("missing", "there is no file 'absent.py'", "", ())
    assert refusal("hw/a.py/b.py") == ("missing", "there is no file 'hw/a.py/b.py'", "", ())
    assert refusal("a\0b.py") == ("missing", "there is no file 'a\\x00b.py'", "", ())
    assert refusal("hw", "z.py") == ("missing", "there is no file 'z.py' in hw", "", ("a.py", "b.py", "c.ipynb"))
    assert refusal("hw", "../hw/a.py") == ("missing", "--file ../hw/a.py: expected a path inside hw", "", ())
    assert refusal("hw", "/etc/passwd") == ("missing", "--file /etc/passwd: expected a path inside hw", "", ())
    assert refusal("hw/a.py", "b.py") == (
        "missing",
        "hw/a.py is a file: --file b.py needs a folder",
        "Leave out --file.",
        (),
    )


def test_files_that_cannot_be_graded(here: Path) -> None:
    make(here, empty_py=b" \n", large_py=b"#" * (manifest.BYTES_CAP + 1))
    write(here, "model.txt", MODEL)
    write(here, "large.ipynb", b" " * (manifest.NOTEBOOK_CAP + 1))
    os.mkfifo(here / "pipe.py")
    (here / "loop.py").symlink_to("loop.py")
    assert refusal("model.txt") == (
        "file-type",
        "model.txt is neither a Python file (.py) nor a notebook (.ipynb)",
        "",
        (),
    )
    assert refusal("empty.py") == ("empty", "empty.py is empty", "Save the file, then grade it again.", ())
    assert refusal("large.py") == (
        "too-large",
        "large.py is larger than the limit of 1,048,576 bytes",
        "Hand in the source alone.",
        (),
    )
    assert refusal("large.ipynb") == (
        "too-large",
        "large.ipynb is larger than the limit of 10,485,760 bytes",
        "Clear the notebook's outputs and save it again.",
        (),
    )
    assert refusal("pipe.py") == ("unreadable", "pipe.py is not a plain file", "", ())
    assert refusal("loop.py")[:2] == ("unreadable", "loop.py cannot be read: Too many levels of symbolic links")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(here: Path) -> None:
    write(here, "model.py", MODEL).chmod(0)
    assert refusal("model.py") == ("unreadable", "model.py cannot be read: Permission denied", "", ())


def test_folders_that_cannot_be_graded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "none").mkdir()
    make(here, two__a_py=MODEL, two__b_py=MODEL, plain__a_py=b"x = 1", plain__b_py=b"y = 2", empty__model_py=b"")
    assert refusal("none") == (
        "no-model",
        "none holds no Python file and no notebook",
        "Add the file with the model.",
        (),
    )
    assert refusal("two") == (
        "ambiguous",
        "2 files in two may hold the model",
        "Name the one to grade.",
        ("a.py", "b.py"),
    )
    assert refusal("plain") == (
        "no-model",
        "no file in plain defines a model (a subclass of nn.Module)",
        "Name the file with --file.",
        ("a.py", "b.py"),
    )
    assert refusal("empty") == ("empty", "empty/model.py is empty", "Save the file, then grade it again.", ())
    monkeypatch.setattr(walk, "FILES_CAP", 1)
    assert refusal("two") == (
        "ambiguous",
        "two holds too many files to look for the model in all of them",
        "Name the file with the model.",
        ("a.py",),
    )
    assert read_submission("two", "b.py").files == {"a.py": MODEL, "b.py": MODEL}


def test_names_that_are_no_text(here: Path) -> None:
    name = os.fsdecode(b"mod\xe9l.py")
    write(here, name, MODEL)
    write(here, "model.py", MODEL)
    found = read_submission(name)
    assert (found.path, found.entry, found.files) == (
        "mod\\xe9l.py",
        "mod\\xe9l.py",
        {"mod\\xe9l.py": MODEL, "model.py": MODEL},
    )
    assert list(read_submission("model.py").files) == ["model.py"]


def test_a_file_of_nothing_but_beginnings_is_read_in_one_go() -> None:
    """Where reading took a time that grows with the square of the size, these would take hours."""
    for beginning in (b"\nclass a[", b"\nclass a(", b'"class a[', b"\\nclass a["):
        assert model_files({"model.py": beginning * 400_000}) == ("model.py",)


def test_a_long_line_of_heirs_is_followed_to_its_end() -> None:
    chain = b"".join(b"class A%d(A%d): pass\n" % (number, number + 1) for number in range(20_000))
    heirs = {"heirs.py": chain + b"class A20000(Module): pass\n", "model.py": b"x = 1\n"}
    assert model_files(heirs) == ("heirs.py",)
