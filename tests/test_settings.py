"""What repeats a grading: the command line of the options that are not at their defaults."""

from __future__ import annotations

import platform
import shlex
from dataclasses import replace
from importlib.metadata import version

from samples import rule, rules

from grader.report import Reproduction
from grader.rules import CheckUse, Mark
from grader.settings import Settings, reproduction

COURSE = rules(rule("a", "linear"))


def command(settings: Settings, path: str = "model.py", source: str = "") -> list[str]:
    return shlex.split(reproduction(path, replace(COURSE, source=source), settings).command)


def test_defaults_are_not_repeated() -> None:
    assert reproduction("model.py", COURSE, Settings()) == Reproduction(
        "s5-grade model.py",
        {
            "s5-grade": version("s5-grade"),
            "python": platform.python_version(),
            "torch": version("torch"),
            "platform": f"{platform.system()} {platform.machine()}",
        },
        COURSE.sha256,
    )


def test_every_option_is_told() -> None:
    settings = Settings("m.py", "Net", {"width": "8"}, True, 3, 60.0, "cuda", 2, 5.5)
    expected = "s5-grade hw --rules own.yaml --file m.py --class Net --arg width=8 --timeout 5.5 --train --budget 60"
    assert command(settings, "hw", "own.yaml") == [*expected.split(), *"--device cuda --threads 2 --seed 3".split()]


def test_a_training_tells_its_seed_and_threads() -> None:
    assert command(Settings(train=True)) == ["s5-grade", "model.py", "--train", "--threads", "1", "--seed", "1"]


def test_odd_paths_are_quoted() -> None:
    assert reproduction("my model.py", COURSE, Settings()).command == "s5-grade 'my model.py'"


def test_the_digest_is_of_what_rules_mean() -> None:
    moved = rules(rule("a", "linear", line=99))
    assert replace(moved, file="other.yaml", source="other.yaml").sha256 == COURSE.sha256
    use = CheckUse("linear", {"expect": "present"}, Mark("rules.yaml", 10, 9))
    others = [
        rules(rule("b", "linear")),
        rules(rule("a", "linear", points=1)),
        rules(rule("a", "linear", level="note")),
        rules(rule("a", "linear", needs="any")),
        rules(replace(rule("a", "linear"), checks=(use,))),
        replace(COURSE, title="other"),
        replace(COURSE, input=replace(COURSE.input, classes=7)),
    ]
    assert len({course.sha256 for course in [COURSE, *others]}) == 1 + len(others)
