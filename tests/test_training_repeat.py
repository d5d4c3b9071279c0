"""The same training gives the same numbers, to the last digit: in fresh processes, and by `s5-grade train --report`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from samples import training
from support import HEADER
from test_training import synthetic

from grader import cli
from grader.cli.retraining import compared, told
from grader.protocol import DataReport, EpochRow, SeedReport
from grader.report import Report, read_report

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """
import sys
import msgspec
from test_training import net, trained

layers = "self.a = nn.Conv2d(1, 6, 5, stride=2)\\nself.norm = nn.BatchNorm2d(6)\\nself.fc = nn.Linear(6 * 144, 10)"
forward = "x = F.dropout(F.relu(self.norm(self.a(x))), 0.2, self.training)\\nreturn self.fc(x.flatten(1))"
long = {"epochs": 3, "batch": 64, "peak_lr": 0.01, "rotate": 5, "shift": 1}
report = trained(net(forward, layers), threads=int(sys.argv[1]), target=100.0, peak_lr=1e-4, long=long)
print(msgspec.json.encode(report).decode())
"""


def fresh(threads: int) -> dict[str, Any]:
    """Return the report of a small training in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", SCRIPT, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    return json.loads(done.stdout)


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_fresh_processes_train_alike_to_the_last_digit(threads: int) -> None:
    first, again = fresh(threads), fresh(threads)
    assert first == again
    assert first["threads"] == threads
    assert [row["stage"] for row in first["curve"]] == ["short"] * 2 + ["long"] * 3
    assert len({row["loss"] for row in first["curve"]}) == 5


# --- the command -----------------------------------------------------------------------------------------------------

MODEL = HEADER + (
    "class Net(nn.Module):\n"
    "    def __init__(self, width=4):\n"
    "        super().__init__()\n"
    "        self.conv = nn.Conv2d(1, int(width), 5, stride=2)\n"
    "        self.norm = nn.BatchNorm2d(int(width))\n"
    "        self.out = nn.Conv2d(int(width), 10, 12)\n"
    "    def forward(self, x):\n"
    "        x = F.dropout(F.relu(self.norm(self.conv(x))), 0.1, self.training)\n"
    "        return F.softmax(self.out(x).flatten(1), dim=1)\n"
)
RULES = """\
input: {dataset: toy.npz}
rules:
  - id: accuracy
    points: 20
    checks:
      - accuracy:
          target: 90
          claim: mean
          seeds: 3
          recipe: {epochs: 2, batch: 64, peak_lr: 0.05, medium: null, long: null}
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, rules, a small data set, and the report of a training."""
    folder = tmp_path_factory.mktemp("graded")
    data = synthetic(training=640, noise=250.0)
    images = {
        "train_images": torch.cat([data.training.pixels, data.held_out.pixels])[:, 0].numpy(),
        "train_labels": torch.cat([data.training.labels, data.held_out.labels]).numpy(),
        "test_images": data.test.pixels[:, 0].numpy(),
        "test_labels": data.test.labels.numpy(),
    }
    np.savez(folder / "toy.npz", **images)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "model.py").write_text(MODEL)
    before = Path.cwd()
    try:
        os.chdir(folder)
        command = ["model.py", "--rules", "rules.yaml", "--arg", "width=5", "--train", "--threads", "1", "--seed", "3"]
        assert cli.run([*command, "--format", "json", "--output", "old.json"]) == 0
    finally:
        os.chdir(before)
    return folder


def changed(folder: Path, **changes: Any) -> Path:
    """Write the report once more, with another training."""
    report = read_report((folder / "old.json").read_bytes())
    assert report.training is not None
    replaced = msgspec.structs.replace(report.training, **changes)
    path = folder / "changed.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(report, training=replaced)))
    return path


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.run(["train", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_saved_report_is_repeated(graded: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(graded)
    report = read_report((graded / "old.json").read_bytes())
    assert report.training is not None
    assert (report.training.claim_kind, report.training.output) == ("mean", "probabilities")
    counts = ", ".join(str(seed.errors) for seed in report.training.seeds)
    code, out, err = called(capsys, "--report", "old.json")
    compared_to = f"the same to the last digit as in old.json: {counts} errors on 300 test images"
    assert (code, out) == (0, f"{compared_to} (36 numbers compared)\n")
    assert err.startswith("training, seed 1 of 3, short stage, epoch 1 of 2, 0 s\n")


def test_what_differs_is_told_number_by_number(graded: Path, monkeypatch: Any, capsys: Any) -> None:
    """The same submission elsewhere, by rules that have changed since: the report's recipe is what counts."""
    report = read_report((graded / "old.json").read_bytes())
    assert report.training is not None
    rows = list(report.training.curve)
    loss, rows[1] = rows[1].loss, msgspec.structs.replace(rows[1], loss=0.5)
    changed(graded, curve=tuple(rows), environment=report.training.environment | {"torch": "2.4.0"})
    (graded / "elsewhere").mkdir(exist_ok=True)
    (graded / "elsewhere" / "model.py").write_text(MODEL)
    (graded / "later.yaml").write_text(RULES.replace("target: 90", "target: 80").replace("epochs: 2", "epochs: 5"))
    monkeypatch.chdir(graded)
    place = "elsewhere/model.py"
    code, out, _ = called(capsys, "--report", "changed.json", place, "--rules", "later.yaml")
    assert code == 1
    lines = out.splitlines()
    assert lines[0].endswith("; 1 of 36 numbers differ")
    assert lines[1] == f"  seed 3, epoch 2 of the short stage, loss: 0.5 in the report, {loss} here"
    assert lines[2] == f"  torch of the training: 2.4.0 in the report, {torch.__version__} here"
    assert lines[-1] == "  why: other versions, processors and rules round or train otherwise"
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--report", "none.json"], "none.json: No such file or directory"),
        (["--report", "rules.yaml"], "rules.yaml: not a report of s5-grade as --format json writes it: "),
        (["--report", "untrained.json"], "untrained.json: its model was not trained: grade it with --train"),
        (["--report", "old.json", "other.py"], "other.py is not the submission that old.json is about: its sha256 is "),
        (["--report", "old.json", "absent.py"], "absent.py: "),
        (["--report", "moved.json"], "gone.py: "),
        (["--report", "old.json", "--rules", "absent.yaml"], "absent.yaml: there is no such file"),
        (["--report", "old.json", "--rules", "plain.yaml"], "plain.yaml has no accuracy rule: name the report's rules"),
        (["--report", "odd.json"], "odd.json: the command line that it tells can't be read: "),
        (["--report", "quote.json"], "quote.json: the command line that it tells can't be read: No closing quotation"),
        (["--report", "recipe.json"], "the report's recipe is none that this version knows: "),
        ([], "Missing option '--report'."),
    ],
)
def test_what_cannot_be_repeated_is_said(
    arguments: list[str], message: str, graded: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(graded)
    report = read_report((graded / "old.json").read_bytes())
    assert report.training is not None
    replace = msgspec.structs.replace
    odd = {
        "untrained.json": replace(report, training=None),
        "moved.json": replace(report, submission=replace(report.submission, path="gone.py")),
        "odd.json": replace(report, reproduce=replace(report.reproduce, command="s5-grade model.py --version")),
        "quote.json": replace(report, reproduce=replace(report.reproduce, command="s5-grade 'model.py")),
        "recipe.json": replace(report, training=replace(report.training, recipe={"epochs": 0})),
    }
    for name, one in odd.items():
        (graded / name).write_bytes(msgspec.json.encode(one))
    (graded / "other.py").write_text(MODEL + "# changed\n")
    (graded / "plain.yaml").write_text("rules: [{id: a, checks: [dropout]}]")
    code, out, err = called(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_submission_that_cannot_be_graded_here_is_said(graded: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(graded)
    report = read_report((graded / "old.json").read_bytes())
    command = report.reproduce.command.replace("--arg width=5", "--arg height=5")
    again = msgspec.structs.replace
    moved = again(report, reproduce=again(report.reproduce, command=command))
    (graded / "moved.json").write_bytes(msgspec.json.encode(moved))
    code, out, _ = called(capsys, "--report", "moved.json")
    assert code == 3
    assert out.startswith("not repeated: here the submission can't be graded: ")


# --- comparing -------------------------------------------------------------------------------------------------------

CURVE = (EpochRow(1, 0.5, 90.0, 95.0, 1.0), EpochRow(2, 0.25, 96.0, 97.5, 2.0, test_errors=79))


def report_of(**changes: Any) -> Report:
    from reports import trained  # hand-made

    base = training(curve=CURVE, seeds=(SeedReport(1, 79, 99.21, 2, 2.0, "short"),))
    return msgspec.structs.replace(trained(), training=msgspec.structs.replace(base, **changes))


def test_seconds_are_not_compared() -> None:
    later = tuple(msgspec.structs.replace(row, seconds=9.0) for row in CURVE)
    comparison = compared(report_of(), report_of(seconds=99.0, curve=later))
    assert (comparison.numbers, comparison.causes, comparison.count) == ((), (), 16)


def test_a_last_digit_counts() -> None:
    rows = (msgspec.structs.replace(CURVE[0], loss=0.5000000000000001), CURVE[1])
    text = told(compared(report_of(), report_of(curve=rows)), "old.json")
    assert text == (
        "not the same as in old.json: here 79 errors on 10,000 test images; 1 of 16 numbers differ\n"
        "  epoch 1 of the short stage, loss: 0.5 in the report, 0.5000000000000001 here\n"
        "  why: nothing is known to differ: the submission is not the same each time, or the report is not its own\n"
    )


def test_what_went_in_is_told_where_it_differs() -> None:
    data = DataReport("MNIST", "ab" * 32, 55_000, 5_000, 10_000, (1, 28, 28), 10, (0.1307,), (0.3081,))
    text = told(compared(report_of(), report_of(data=data, threads=4)), "old.json")
    assert text.splitlines()[1:] == [
        "  images: unknown in the report, sha256 abababababab… here",
        "  threads: 2 in the report, 4 here",
    ]


def test_epochs_that_only_one_has_are_told() -> None:
    text = told(compared(report_of(), report_of(curve=CURVE[:1], outcome="open", accuracy=None, reason="r")), "o")
    assert text.splitlines()[0] == "not the same as in o: here left open (r); 6 of 16 numbers differ"
    assert "  epoch 2 of the short stage, test errors: 79 in the report, nothing here" in text.splitlines()


def test_many_differences_are_counted() -> None:
    rows = tuple(EpochRow(number, 0.5, 90.0, 95.0, 1.0) for number in range(1, 11))
    lines = told(compared(report_of(), report_of(curve=rows)), "o").splitlines()
    assert len([line for line in lines if " in the report, " in line]) == 12
    assert "  and 24 more" in lines
