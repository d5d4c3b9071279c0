"""The ready rules on whole submissions: what passes, what fails, and in which words; trained models apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import grader
from grader.checks import checks
from grader.grade import Settings, grade_in
from grader.rules import CheckUse, Mark, RulesError, read_rules
from grader.rules.ready import ready_files
from grader.rules.starter import _use, starter
from grader.sandbox import Template

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = "reference_model/model.py"
FIRST_TRY = "examples/first_try.py"


@dataclass(frozen=True)
class Case:
    """A submission under ready rules: the rules that it breaks with their messages, the others in their order."""

    rules: str
    path: str
    passes: str
    fails: dict[str, str] = field(default_factory=dict)
    skipped: str = "accuracy"
    points: int = 80
    of: int = 80


CASES = (
    Case("default", REFERENCE, "param-count batch-norm dropout gap-no-linear"),
    Case(
        "default",
        FIRST_TRY,
        "batch-norm",
        {
            "param-count": "33,882 parameters, limit is 20,000",
            "dropout": "dropout with p=0 drops nothing",
            "gap-no-linear": "no global average pooling: flatten keeps all 14×14 positions apart",
        },
        points=20,
    ),
    Case("gap-or-fc", "tests/models/linear_after_flatten.py", "param-count batch-norm dropout gap-or-fc"),
    Case(
        "gap-or-fc",
        "tests/models/gap_max_pool.py",
        "param-count batch-norm dropout",
        {"gap-or-fc": "max pooling over the 7×7 map is not its mean"},
        points=60,
    ),
    Case("fashion-mnist", REFERENCE, "param-count batch-norm dropout gap-no-linear"),
    Case(
        "fashion-mnist",
        FIRST_TRY,
        "batch-norm",
        {
            "param-count": "33,882 parameters, limit is 20,000",
            "dropout": "dropout with p=0 drops nothing",
            "gap-no-linear": "no global average pooling: flatten keeps all 14×14 positions apart",
        },
        points=20,
    ),
    Case("mnist-99.4", REFERENCE, "param-count batch-norm dropout gap-no-linear wasted-bias"),
    Case(
        "mnist-99.4",
        FIRST_TRY,
        "batch-norm",
        {
            "param-count": "33,882 parameters, limit is 20,000",
            "dropout": "dropout with p=0 drops nothing",
            "gap-no-linear": "no global average pooling: flatten keeps all 14×14 positions apart",
            "wasted-bias": "the batch normalisation behind conv2 cancels its bias: 16 parameters do nothing",
        },
        points=20,
    ),
    Case("mnist-10k", REFERENCE, "param-count batch-norm dropout gap-no-linear wasted-bias"),
    Case(
        "mnist-10k",
        "tests/models/ready/mnist_11k.py",
        "batch-norm dropout gap-no-linear",
        {
            "param-count": "11,162 parameters, limit is 10,000",
            "wasted-bias": (
                "batch normalisation cancels the bias of 8 layers that are made here: 100 parameters do nothing"
            ),
        },
        points=60,
    ),
    Case("mnist-8k", "tests/models/ready/mnist_7952.py", "param-count batch-norm dropout gap-no-linear wasted-bias"),
    Case(
        "mnist-8k",
        REFERENCE,
        "batch-norm dropout gap-no-linear wasted-bias",
        {"param-count": "8,932 parameters, limit is 8,000"},
        points=60,
    ),
    Case(
        "cifar10",
        "tests/models/ready/cifar10_passes.py",
        "param-count receptive-field depthwise-separable dilated gap wasted-bias last-layer",
        skipped="",
        points=100,
        of=100,
    ),
    Case(
        "cifar10",
        "tests/models/ready/cifar10_fails.py",
        "",
        {
            "param-count": "235,722 parameters, limit is 200,000",
            "receptive-field": "the receptive field is 12×12 pixels, must be above 44",
            "depthwise-separable": (
                "no depthwise-separable convolution: a 3×3 convolution has 2 groups for 64 channels"
            ),
            "dilated": "no dilated convolution: dilation=2 does nothing to a 1×1 kernel",
            "gap": "no global average pooling: flatten keeps all 8×8 positions apart",
            "wasted-bias": "the batch normalisation behind conv1 cancels its bias: 64 parameters do nothing",
            "last-layer": "relu bends the scores of the last layer",
        },
        skipped="",
        points=0,
        of=100,
    ),
)


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with Template.start() as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rules}-{Path(case.path).stem}")
def test_statuses_messages_and_points(case: Case, template: Template) -> None:
    report = grade_in(template, ROOT / case.path, read_rules(case.rules), Settings())
    found = {row.id: row.status for row in report.rules}
    passed, skipped = (dict.fromkeys(names.split(), status) for names, status in _named(case))
    assert found == {**passed, **dict.fromkeys(case.fails, "fail"), **skipped}
    assert {row.id: row.message for row in report.rules if row.status == "fail"} == case.fails
    assert (report.score, report.max_score) == (case.points, case.of)
    assert report.verdict == ("fail" if case.points < case.of else "pass")


def _named(case: Case) -> tuple[tuple[str, str], tuple[str, str]]:
    return (case.passes, "pass"), (case.skipped, "skipped")


def test_colour_images_from_python_by_the_name_of_the_rules() -> None:
    report = grader.grade(ROOT / "tests/models/ready/cifar10_passes.py", "cifar10")
    assert (report.verdict, report.score, report.rules_file) == ("pass", 100, "rules/cifar10.yaml")
    assert report.model is not None
    assert next(layer.shape for layer in report.model.layers if layer.kind == "conv") == (32, 32, 32)


def test_every_ready_file_has_a_model_that_passes_and_one_that_fails() -> None:
    assert {(case.rules, bool(case.fails)) for case in CASES} == {
        (name, fails) for name in ready_files() for fails in (False, True)
    }


def test_every_ready_file_says_what_it_is_for() -> None:
    titles = {name: read_rules(name).title for name in ready_files()}
    assert titles == {
        "default": "Session 5",
        "cifar10": "CIFAR-10 architecture",
        "fashion-mnist": "Fashion-MNIST",
        "gap-or-fc": "Session 5, pooling or a linear layer",
        "mnist-10k": "MNIST, 99.4 % with fewer than 10,000 parameters in 15 epochs",
        "mnist-8k": "MNIST, 99.4 % with fewer than 8,000 parameters in 15 epochs",
        "mnist-99.4": "MNIST, 99.4 % in fewer than 20 epochs",
    }


def test_no_training_takes_more_epochs_than_its_rules_say() -> None:
    recipes = {}
    for name in ready_files():
        for use in (use for rule in read_rules(name).rules for use in rule.checks if use.check == "accuracy"):
            recipe = use.options["recipe"]
            recipes[name] = (use.options["target"], recipe["epochs"], recipe["long"]["epochs"])
    assert recipes == {
        "default": (99.0, 2, 20),
        "fashion-mnist": (89.0, 6, 15),
        "gap-or-fc": (99.0, 2, 20),
        "mnist-99.4": (99.4, 15, 19),
        "mnist-10k": (99.4, 15, 15),
        "mnist-8k": (99.4, 15, 15),
    }


@pytest.mark.parametrize("name", ready_files())
def test_a_starter_means_what_its_ready_rules_mean(name: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(starter(name), encoding="utf-8")
    begun, ready = read_rules(tmp_path / "rules.yaml"), read_rules(name)
    assert (begun.title, begun.input) == (ready.title, ready.input)
    assert [
        (rule.id, rule.needs, rule.points, rule.level, [(use.check, use.options) for use in rule.checks])
        for rule in begun.rules
    ] == [
        (rule.id, rule.needs, rule.points, rule.level, [(use.check, use.options) for use in rule.checks])
        for rule in ready.rules
    ]


def test_a_starter_teaches_every_key_and_lists_every_check() -> None:
    text = starter()
    for key in ("title", "input", "shape", "classes", "normalise", "extends", "without", "rules"):
        assert f"{key}:" in text
    for key in ("id", "points", "level", "checks", "any"):
        assert f"{key}:" in text
    comments = [line.removeprefix("#").split() for line in text.splitlines() if line.startswith("#")]
    assert {words[0] for words in comments if words} >= set(checks())
    assert max(map(len, text.splitlines())) <= 120


def test_a_starter_keeps_an_option_that_is_switched_off() -> None:
    use = CheckUse("accuracy", {"target": 99.0, "seeds": None, "recipe": {"long": None}}, Mark("r"))
    assert list(_use(use)) == ["      - accuracy: {target: 99.0, recipe: {long: null}}"]


@pytest.mark.parametrize("name", ["zzz", "rules.yaml", "../rules"])
def test_a_starter_from_rules_that_are_not_there(name: str) -> None:
    with pytest.raises(RulesError, match="no ready rules of that name: "):
        starter(name)
