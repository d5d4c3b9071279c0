"""Data sets other than the embedded one: what rules say of them, and grades on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import grader
from grader.bundle.form import RulesForm, rules_form, rules_of
from grader.datasets import KNOWN, Source, handed
from grader.protocol import DataFile, DataFiles, DataReport, GradeJob, Probe, TrainRequest
from grader.rules import Input, RulesError, read_rules
from grader.rules.starter import _input
from grader.training import train
from grader.training.data import opened
from tests.test_data_sets import NO_NUMBERS, arrays, files_of, idx, save
from tests.test_training import LINEAR, NORMALISE, replay_of

FASHION = Path("/usr/share/datasets/fashion-mnist")
HERE = "rules: [{id: a, checks: [accuracy]}]"

# --- rules -----------------------------------------------------------------------------------------------------------


def read(folder: Path, text: str) -> Input:
    (folder / "r.yaml").write_text(text)
    return read_rules(folder / "r.yaml").input


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        read(folder, text)
    return [str(problem).removeprefix(f"{folder}/r.yaml:") for problem in caught.value.problems]


FOLLOWING: dict[str, tuple[str, tuple[Any, ...]]] = {
    "mnist by its name": ("{dataset: mnist}", ((1, 28, 28), 10, (0.1307,), (0.3081,))),
    "fashion": ("{dataset: fashion-mnist}", ((1, 28, 28), 10, (0.286,), (0.353,))),
    "colours": ("{dataset: cifar10}", ((3, 32, 32), 10, (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))),
    "a file": ("{dataset: data/x.npz}", ((1, 8, 8), 3, (), ())),
    "a folder": ("{dataset: ./idx}", ((1, 8, 8), 3, (), ())),
    "a file with numbers": (
        "{dataset: data/x.npz, normalise: {mean: [0.5], std: [1]}, classes: 3}",
        ((1, 8, 8), 3, (0.5,), (1.0,)),
    ),
    "a file that is not there": ("{dataset: y.npz, shape: [3, 8, 8], classes: 5}", ((3, 8, 8), 5, (), ())),
    "torchvision": ("{dataset: {torchvision: CIFAR100, root: .}}", ((3, 32, 32), 100, (), ())),
}


@pytest.mark.parametrize(("text", "expected"), FOLLOWING.values(), ids=FOLLOWING)
def test_what_is_left_out_follows_from_the_data_set(text: str, expected: tuple[Any, ...], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    save(tmp_path / "data" / "x.npz", arrays())
    idx(arrays(), tmp_path / "idx")
    found = read(tmp_path, f"input: {text}\n{HERE}")
    assert (found.shape, found.classes, found.mean, found.std) == expected


CONTRADICTIONS: dict[str, tuple[str, list[str]]] = {
    "a known shape": (
        "{dataset: cifar10, shape: [1, 28, 28]}",
        ["1:34: shape: [1, 28, 28], but the images of CIFAR-10 are [3, 32, 32]"],
    ),
    "shape and classes of a file": (
        "{dataset: x.npz, shape: [1, 8, 9], classes: 10}",
        ["1:32: shape: [1, 8, 9], but the images of x.npz are [1, 8, 8]", "1:52: classes: 10, but x.npz has 3"],
    ),
    "numbers for other channels": (
        "{dataset: cifar10, normalise: {mean: [0], std: [1]}}",
        ["1:38: input: 3 channels but 1 mean in normalise"],
    ),
    "a slip": (
        "{dataset: fashion-mnst}",
        ["1:18: no data set 'fashion-mnst', and no such file or folder: did you mean 'fashion-mnist'?"],
    ),
    "an absent file": (
        "{dataset: y.npz}",
        ["1:18: dataset: y.npz: there is no such file or folder; give 'shape' and 'classes' to grade without it"],
    ),
    "a damaged file": (
        "{dataset: r.yaml.npz, shape: [1, 8, 8], classes: 3}",
        ["1:18: dataset: r.yaml.npz: not an .npz archive, as numpy.savez writes it"],
    ),
    "a number": (
        "{dataset: 5}",
        ["1:18: dataset: expected text, a mapping with the keys torchvision, root or nothing, got 5"],
    ),
    "a class that torchvision has, but we have not": (
        "{dataset: {torchvision: CIFAR11}}",
        ["1:32: torchvision: expected CIFAR10, CIFAR100 or USPS, got 'CIFAR11': did you mean 'CIFAR10'?"],
    ),
    "a name that no file can have": (
        '{dataset: "\\0/x.npz"}',
        ["1:18: dataset: \0/x.npz: there is no such file or folder; give 'shape' and 'classes' to grade without it"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_told_with_their_line(text: str, expected: list[str], tmp_path: Path) -> None:
    save(tmp_path / "x.npz", arrays())
    (tmp_path / "r.yaml.npz").write_text("title: x")
    assert problems(tmp_path, f"input: {text}\n{HERE}") == expected


def test_a_path_starts_at_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "course").mkdir()
    save(tmp_path / "course" / "x.npz", arrays())
    (tmp_path / "course" / "base.yaml").write_text(f"input: {{dataset: x.npz}}\n{HERE}")
    (tmp_path / "mine.yaml").write_text("extends: course/base.yaml\ntitle: Mine")
    found = read_rules(tmp_path / "mine.yaml").input
    assert (found.shape, found.classes) == ((1, 8, 8), 3)
    assert handed(found.source, found.shape, found.classes) == files_named(tmp_path / "course" / "x.npz")


def files_named(path: Path) -> DataFiles:
    data = DataFile("archive", path.name, memoryview(path.read_bytes()))
    return DataFiles(path.name, "npz", (data,), (1, 8, 8), 3)


def test_the_data_set_is_part_of_what_rules_mean_and_its_folder_is_not(tmp_path: Path) -> None:
    digests = []
    for folder, name in (("a", "x.npz"), ("b", "x.npz"), ("a", "y.npz")):
        (tmp_path / folder).mkdir(exist_ok=True)
        save(tmp_path / folder / name, arrays())
        (tmp_path / folder / "r.yaml").write_text(f"input: {{dataset: {name}}}\n{HERE}")
        digests.append(read_rules(tmp_path / folder / "r.yaml").sha256)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("text", [text for text, _ in FOLLOWING.values()], ids=FOLLOWING)
def test_starters_and_bundles_keep_the_data_set(text: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    save(tmp_path / "data" / "x.npz", arrays())
    idx(arrays(), tmp_path / "idx")
    found = read(tmp_path, f"input: {text}\n{HERE}")
    again = read(tmp_path, f"{_input(found)}{HERE}")
    assert again == found
    kept = msgspec.json.encode(rules_form(read_rules(tmp_path / "r.yaml")))
    assert rules_of(msgspec.json.decode(kept, type=RulesForm)).input == found


def test_digits_stand_for_images_whose_numbers_are_not_known_yet() -> None:
    assert Input((3, 8, 8), 3, (), ()).probe == ((0.1307,) * 3, (0.3081,) * 3)
    assert Input().probe == ((0.1307,), (0.3081,))


# --- training --------------------------------------------------------------------------------------------------------


def trained_on(files: DataFiles) -> Any:
    recipe = {"epochs": 1, "batch": 16, "medium": None, "long": None}
    request = TrainRequest(90.0, recipe, 1, None, 1, data=files)
    return train(replay_of(LINEAR), request, NORMALISE, 10, clock=lambda: 0.0)


def test_a_data_set_that_could_not_be_read_leaves_the_claim_open() -> None:
    files = DataFiles("tiny.npz", "npz", (), (1, 28, 28), 10, problem="tiny.npz: there is no such file or folder")
    report = trained_on(files)
    assert (report.outcome, report.reason) == ("open", "tiny.npz: there is no such file or folder")
    assert report.claim == "this trained model is right on at least 90 % of the test images of tiny.npz"
    assert report.data is None


def test_the_claim_names_the_data_set_and_the_report_its_digest(tmp_path: Path) -> None:
    report = trained_on(files_of(save(tmp_path / "x.npz", arrays((28, 28), 10)), (1, 28, 28), 10))
    assert report.claim == "this trained model makes at most 3 errors on the 30 test images of x.npz"
    assert report.data == DataReport(
        "x.npz", report.data.sha256, 54, 6, 30, (1, 28, 28), 10, *NORMALISE, computed=False
    )


def test_a_job_carries_the_bytes(tmp_path: Path) -> None:
    files = files_of(save(tmp_path / "x.npz", arrays()))
    job = GradeJob(
        b"", b"", Probe(1, (4,)), (1, 8, 8), 3, NO_NUMBERS, (), TrainRequest(90.0, {}, 1, None, 1, data=files)
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=GradeJob) == job


MODEL = """
import torch
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, {channels}, 3, padding=1)
        self.bn = nn.BatchNorm2d({channels})
        self.out = nn.Conv2d({channels}, 3, 8)

    def forward(self, x):
        return self.out(torch.relu(self.bn(self.conv(x)))).flatten(1)
"""

RULES = """
input: {dataset: data/tiny.npz}
rules:
  - id: accuracy
    points: 10
    checks:
      - accuracy: {target: 70, recipe: {epochs: 1, batch: 16, peak_lr: 0.1, medium: null, long: null}}
  - id: dropout
    level: note
    checks: [dropout]
"""


def tiny_course(folder: Path, model: str) -> Path:
    (folder / "data").mkdir()
    save(folder / "data" / "tiny.npz", arrays((8, 8, 3), count=200))
    (folder / "rules.yaml").write_text(RULES)
    (folder / "model.py").write_text(model)
    return folder


def test_a_grade_on_a_data_set_of_ones_own(tmp_path: Path) -> None:
    course = tiny_course(tmp_path, MODEL.format(channels=8))
    report = grader.grade(course / "model.py", course / "rules.yaml", train=True, threads=1)
    assert (report.verdict, report.score) == ("pass", 10)
    assert report.training is not None
    assert report.training.claim == "this trained model makes at most 9 errors on the 30 test images of tiny.npz"
    about = report.training.data
    assert about is not None
    assert (about.name, about.training, about.held_out, about.test) == ("tiny.npz", 180, 20, 30)
    assert (about.shape, about.classes, about.computed, len(about.sha256)) == ((3, 8, 8), 3, True, 64)
    pixels = arrays((8, 8, 3), count=200)["train_images"] / 255
    assert about.mean == pytest.approx(pixels.mean((0, 1, 2)), abs=1e-4)
    assert about.std == pytest.approx(pixels.std((0, 1, 2)), abs=1e-4)


def test_a_submission_cannot_read_the_data_set(tmp_path: Path) -> None:
    looking = """
def channels():
    try:
        with open({path!r}, "rb") as file:
            return 8 if file.read(1) else 4
    except OSError:
        return 4
"""
    model = looking.format(path=str(tmp_path / "data" / "tiny.npz")) + MODEL.format(channels="channels()")
    course = tiny_course(tmp_path, model)
    report = grader.grade(course / "model.py", course / "rules.yaml", train=True, threads=1)
    if report.sandbox.level == "none":
        pytest.skip("this machine can confine no submission")
    assert report.model is not None
    assert [layer.shape[0] for layer in report.model.layers if layer.kind == "conv"] == [4, 3]
    assert report.training is not None
    assert report.training.data is not None


def test_training_on_data_that_is_not_there_leaves_the_rule_undecided(tmp_path: Path) -> None:
    course = tiny_course(tmp_path, MODEL.format(channels=4))
    (course / "data" / "tiny.npz").unlink()
    text = RULES.replace("data/tiny.npz}", "data/tiny.npz, shape: [3, 8, 8], classes: 3}")
    (course / "rules.yaml").write_text(text)
    report = grader.grade(course / "model.py", course / "rules.yaml", train=True, threads=1)
    assert {row.id: row.status for row in report.rules} == {"accuracy": "error", "dropout": "fail"}
    assert report.training is not None
    assert report.training.reason == "data/tiny.npz: there is no such file or folder"


needs_fashion = pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's package dataset-fashion-mnist is not here")


@needs_fashion
def test_fashion_mnist_as_debian_has_it() -> None:
    files = handed(Source("fashion-mnist"), (1, 28, 28), 10)
    assert files is not None
    data = opened(files, NO_NUMBERS)
    known = KNOWN["fashion-mnist"]
    assert data.about == DataReport(
        "Fashion-MNIST", known.sha256, 55_000, 5_000, 10_000, (1, 28, 28), 10, known.mean, known.std, computed=True
    )
    assert data.test.labels.bincount().tolist() == [1000] * 10


@needs_fashion
def test_a_grade_on_fashion_mnist(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(f"input: {{dataset: fashion-mnist}}\n{HERE}")
    reference = Path(__file__).resolve().parents[1] / "reference_model" / "model.py"
    report = grader.grade(reference, tmp_path / "rules.yaml", train=True, threads=1, budget=4)
    assert report.training is not None
    assert report.training.claim == (
        "this trained model makes at most 100 errors on the 10,000 test images of Fashion-MNIST"
    )
    assert report.training.outcome == "open"
    assert report.training.reason.startswith("the budget of 4 s ended")
    assert report.training.data is not None
    assert report.training.data.sha256 == KNOWN["fashion-mnist"].sha256
