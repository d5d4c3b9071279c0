"""No attack gets anywhere: nothing is harmed, nothing leaks, the verdict is right, and the next submission is fine.

The slow tests show that the attacks are real (each succeeds where nothing is confined), that each layer alone stops
what it is said to stop, and that all this holds for a user without rights as for root.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from attack import Attack, Group
from catalogue import ATTACKS, LIMITS
from suite import reference, run
from world import REPOSITORY, World

from grader.protocol import MISSING
from grader.sandbox import SandboxError, Standing, Template
from grader.sandbox.control import LayerName

LAYERS: tuple[LayerName, ...] = ("limits", "privileges", "landlock", "seccomp", "bubblewrap")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if sys.platform != "linux":
        pytest.skip("the attacks are on Linux")
    with World() as made:
        yield made


@pytest.fixture(scope="module")
def template(world: World) -> Iterator[Template]:
    with Template.start() as started:
        assert reference(started) == []
        standing = started.standing
        if standing is None or standing.level != "sealed":
            pytest.skip(f"this machine gives no sealed sandbox: {standing}")
        yield started


def is_held(standing: Standing, layer: str) -> bool:
    return not standing.layers.get(layer, MISSING).startswith(MISSING)


def test_the_catalogue() -> None:
    assert [name for name, count in Counter(attack.name for attack in ATTACKS).items() if count > 1] == []
    assert {attack.group for attack in ATTACKS} == set(get_args(Group))
    assert len(ATTACKS) >= 100
    assert [attack.name for attack in ATTACKS if not set(attack.stopped_by) <= set(LAYERS)] == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_gets_nowhere(attack: Attack, world: World, template: Template) -> None:
    """An attack whose verdict must be right to the letter shows that the one before it left nothing behind.

    After others, and every now and then, it is the reference model that shows it.
    """
    assert template.standing is not None
    held = [layer for layer in attack.stopped_by if is_held(template.standing, layer)]
    if attack.stopped_by and not held:
        pytest.skip(f"this machine has none of what stops it: {', '.join(attack.stopped_by)}")
    outcome = run(attack, world, template)
    tells_nothing = attack.bomb or attack.whole or attack.ends != ("fail",)
    after = reference(template) if tells_nothing or ATTACKS.index(attack) % 10 == 9 else []
    assert [*outcome.wrong, *after] == []


@pytest.mark.parametrize("attack", LIMITS, ids=lambda attack: attack.name)
def test_what_is_not_guaranteed(attack: Attack, world: World, template: Template) -> None:
    """A model that is another one in all that the grader does is graded as that one: docs/security.md says so."""
    assert run(attack, world, template).wrong == ()


def fared(attacks: list[Attack], world: World, *layers: LayerName) -> dict[str, bool]:
    """Return which attacks are stopped where only these layers are in force; a template may die of an attack."""
    stopped = {}
    template = Template.start(layers=layers)
    try:
        for attack in attacks:
            try:
                stopped[attack.name] = run(attack, world, template).stopped
            except SandboxError:  # noqa: PERF203 - each attack is on its own
                stopped[attack.name] = False
                template.close()
                template = Template.start(layers=layers)
    finally:
        template.close()
    return stopped


@pytest.mark.slow
def test_attacks_that_a_layer_stops_are_real(world: World) -> None:
    attacks = [attack for attack in ATTACKS if attack.stopped_by and not attack.bomb]
    assert [name for name, stopped in fared(attacks, world).items() if stopped] == []


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_alone_stops_what_it_is_said_to_stop(layer: LayerName, world: World, template: Template) -> None:
    assert template.standing is not None
    if not is_held(template.standing, layer):
        pytest.skip(f"this machine has no {layer}: {template.standing.layers.get(layer)}")
    attacks = [attack for attack in ATTACKS if layer in attack.stopped_by and not attack.bomb]
    assert [name for name, stopped in fared(attacks, world, layer).items() if not stopped] == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_rights_is_as_safe() -> None:
    suite = str(Path(__file__))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "nowhere", suite]
    script = str(REPOSITORY / "tests" / "unprivileged.py")
    done = subprocess.run([sys.executable, script, *command], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed is not None, done.stdout[-2000:]
    assert int(passed[1]) == len(ATTACKS)
