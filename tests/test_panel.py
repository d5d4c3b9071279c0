"""The panel of models on which the grader's training is compared with a student's, and the scripts that compare."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from grader.grade import grade_in
from grader.protocol import EpochRow
from grader.rules import Rules, read_rules
from grader.sandbox import Template
from grader.settings import Settings
from grader.training.scores import kind_of

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts, which find each other beside them
confirm, cpu_time, panel, plain_training = map(
    importlib.import_module, ("confirm", "cpu_time", "panel", "plain_training")
)
del sys.path[0]

MODELS = panel.read_panel()
ONE = MODELS[1]


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with Template.start() as started:
        yield started


@pytest.fixture(scope="module")
def course() -> Rules:
    return read_rules(None)


def test_the_panel_is_large_enough_to_judge_a_recipe_by() -> None:
    assert len(MODELS) >= 24
    assert len({model.sha256 for model in MODELS}) == len(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_panel_model_gets_the_verdict_that_its_docstring_declares(
    model: panel.Model, template: Template, course: Rules
) -> None:
    report = grade_in(template, model.path, course, Settings())
    assert report.error is None
    found = {rule.id: rule.status for rule in report.rules if rule.id != "accuracy"}
    assert found == {rule: "fail" if rule in model.fails else "pass" for rule in found}
    assert model.fails <= set(found)
    assert report.model is not None and 3_000 <= report.model.parameters < 20_000


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_panel_model_returns_what_its_docstring_declares(model: panel.Model) -> None:
    torch.manual_seed(1)
    net = plain_training.model_of(model.path)
    with torch.no_grad():
        assert kind_of(net(torch.randn(4, 1, 28, 28))) == model.output
    assert model.input in plain_training.PIXELS


# --- results ---------------------------------------------------------------------------------------------------------


def graded(errors: int = 120, outcome: str = "missed", **changes: Any) -> panel.Graded:
    row = panel.Graded(
        model=ONE.name,
        seed=1,
        sha256=ONE.sha256,
        parameters=8652,
        outcome=outcome,
        reason="",
        errors=errors,
        epochs=18,
        training_seconds=90.0,
        seconds=100.4,
        cpu_seconds=80.6,
        output="log-probabilities",
        notes=(),
        curve=(EpochRow(15, 0.1, 98.0, 98.5, 90.0, "long"),),
        versions={},
        rules_sha256=read_rules(None).sha256,
    )
    return msgspec.structs.replace(row, **changes)


def scripted(*errors: int, script: str = "adam") -> list[panel.Scripted]:
    epochs = (panel.Epoch(number, 97.0, count, 9.0, 8.0) for number, count in enumerate(errors, 1))
    return [panel.Scripted(ONE.name, 1, ONE.sha256, script, epoch) for epoch in epochs]


def results_with(path: Path, *rows: panel.Row) -> panel.Results:
    results = panel.Results.read(path, MODELS)
    for row in rows:
        results.add(row)
    return results


def test_rows_are_read_again_as_they_were_written(tmp_path: Path) -> None:
    rows = [graded(), *scripted(130, 110)]
    results_with(tmp_path / "results" / "panel.jsonl", *rows)
    again = panel.Results.read(tmp_path / "results" / "panel.jsonl", MODELS)
    assert list(again.rows.values()) == rows


def test_a_row_cut_short_by_a_kill_and_rows_of_a_changed_model_or_changed_rules_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "panel.jsonl"
    changed = (graded(sha256="of an earlier version", seed=2), graded(rules_sha256="of earlier rules", seed=3))
    results_with(path, graded(), *changed)
    path.write_bytes(path.read_bytes() + msgspec.json.encode(graded(seed=4))[:100])
    assert panel.Results.read(path, MODELS).graded() == [graded()]


def test_a_row_is_whole_though_the_one_before_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "panel.jsonl"
    path.write_bytes(msgspec.json.encode(graded(seed=3))[:100])
    results_with(path, graded())
    assert panel.Results.read(path, MODELS).graded() == [graded()]


@pytest.mark.parametrize(
    ("outcome", "errors", "expected"),
    [
        ("missed", (130, 101, 105), False),
        ("missed", (130, 100, 105), True),
        ("confirmed", (130, 90), False),
        ("open", (130, 90), False),
        ("missed", (), False),
    ],
)
def test_only_a_failed_model_that_a_script_took_to_the_target_is_unfair(
    outcome: str, errors: tuple[int, ...], expected: bool, tmp_path: Path
) -> None:
    row = graded(outcome=outcome)
    assert panel.unfair(row, results_with(tmp_path / "x.jsonl", row, *scripted(*errors))) == expected


def test_the_table_tells_both_trainings(tmp_path: Path) -> None:
    results = results_with(
        tmp_path / "x.jsonl", graded(), *scripted(130, 98, 105), *scripted(140, script="assignment"), graded(seed=2)
    )
    scripts = "adam: 98, 105 after 3 epochs; assignment: 140, 140 after 1 epochs | epoch 2; never"
    assert panel.table(results).splitlines()[2:] == [
        f"| average pool early | 8,652 | **missed: unfair** | 120 | long | 18 | 100 | 81 | {scripts} |",
        "| average pool early, seed 2 | 8,652 | missed | 120 | long | 18 | 100 | 81 |  |  |",
    ]


def test_what_is_said_of_the_rule_tells_how_much_was_tried(tmp_path: Path) -> None:
    results = results_with(tmp_path / "x.jsonl")
    assert panel.standing(results) == "Not broken: 0 trained by the grader, 0 missed, 0 of them tried."
    results.add(graded())
    results.add(graded(seed=2, outcome="confirmed"))
    assert panel.standing(results) == "Not broken: 2 trained by the grader, 1 missed, 0 of them tried."
    for row in scripted(120):
        results.add(row)
    assert panel.standing(results) == "Not broken: 2 trained by the grader, 1 missed, 1 of them tried."
    for row in scripted(90, script="assignment"):
        results.add(row)
    assert panel.standing(results) == f"Broken by {ONE.name}."


def test_what_is_known_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[object, ...]] = []

    def by_grader(model: panel.Model, seed: int, on_progress: object) -> panel.Graded:
        trained.append(("grader", seed))
        return graded(seed=seed)

    def by_script(model: panel.Model, script: str, seed: int, epochs: int) -> Iterator[panel.Scripted]:
        trained.append((script, seed))
        yield from scripted(*range(200, 200 + epochs), script=script)

    monkeypatch.setattr(panel, "cheapest_first", lambda models: models)
    monkeypatch.setattr(panel, "train_by_grader", by_grader)
    monkeypatch.setattr(panel, "train_by_script", by_script)
    results = results_with(tmp_path / "x.jsonl", *scripted(200))
    options = argparse.Namespace(seed=1, long=True, script=["adam"], epochs=2)
    panel.measure([ONE], results, options)
    panel.measure([ONE], panel.Results.read(results.path, MODELS), options)
    assert trained == [("grader", 1), ("adam", 1)]
    assert [epoch.errors for epoch in results.scripted(ONE.name, 1)["adam"]] == [200, 201]


# --- the scripts -----------------------------------------------------------------------------------------------------


def rows_of(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, float, int]]:
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [(row["epoch"], row["train_accuracy"], row["errors"]) for row in rows]


@pytest.mark.parametrize("script", plain_training.SCRIPTS)
def test_a_plain_training_that_was_killed_goes_on_as_if_it_had_not_been(
    script: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(epochs: int, checkpoint: Path) -> list[tuple[int, float, int]]:
        training = plain_training.Training(ONE.path, script, ONE.output, ONE.input, 1)
        plain_training.run(training, epochs, 256, checkpoint)
        return rows_of(capsys)

    first = train(1, tmp_path / "killed.pt")
    whole = train(2, tmp_path / "whole.pt")
    assert train(2, tmp_path / "killed.pt") == whole
    assert whole[:1] == first


def test_a_rotation_by_no_degree_changes_nothing() -> None:
    images = torch.rand(3, 1, 28, 28)
    assert torch.equal(plain_training.rotated(images, 0.0), images)


def watch(seconds: float, cpu: float) -> Any:
    found = cpu_time.Watch()
    found.seconds, found.cpu = seconds, cpu
    return found


def test_times_of_confirmation_stand_beside_those_of_the_script() -> None:
    pairs = [
        confirm.Pair(76, watch(100.0, 80.0), watch(40.0, 40.0)),
        confirm.Pair(70, watch(50.0, 40.0), watch(40.0, 40.0)),
    ]
    assert confirm.table(pairs, None).splitlines()[1:] == [
        "     1      76         100.0     80.0          40.0     40.0",
        "     2      70          50.0     40.0          40.0     40.0",
        "train.py, its 15 epochs: 9.00 times as long, 11.25 times the CPU time (medians of pairs)",
        "train.py never reached 99 % in the run that log.json records",
    ]
    assert confirm.table(pairs, 4).splitlines()[-1] == (
        "train.py, 4 epochs, to 99 %: 2.40 times as long, 3.00 times the CPU time (medians of pairs)"
    )


def test_the_first_epoch_at_the_target_is_read_from_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps([{"epoch": epoch, "test_accuracy": 97.0 + epoch} for epoch in range(1, 5)]))
    assert confirm.first_at_target(log) == 2
    log.write_text(json.dumps([{"epoch": 1, "test_accuracy": 98.99}]))
    assert confirm.first_at_target(log) is None


BUSY = "import time\nwhile time.process_time() < 0.5: pass"
BUSY_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("program", [BUSY, BUSY_CHILD])
def test_cpu_time_is_that_of_all_processes_that_were_started(program: str) -> None:
    with cpu_time.Watch() as found:
        subprocess.run([sys.executable, "-c", program], check=True)
    used = os.times()
    assert 0.2 < found.cpu < used.children_user + used.children_system + used.user + used.system
    assert found.seconds > 0.4


def test_cpu_time_is_that_of_this_process_too() -> None:
    with cpu_time.Watch() as found:
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
    assert 0.2 <= found.cpu < 1.0
