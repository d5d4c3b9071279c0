"""The pages of the checks that are published are those of the checks."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from grader.checks import Check, checks
from grader.render import Options
from grader.render.page import page
from grader.rules.reference import OptionRow, option_rows

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "checks"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="needs the source tree")


def test_the_published_pages_are_up_to_date() -> None:
    generated: dict[str, Any] = runpy.run_path(str(FOLDER / "generate.py"))["pages"]()
    published = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert published == generated, "run python docs/checks/generate.py"


def test_the_index_links_every_page() -> None:
    links = re.findall(r"\]\((.*?)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert links == sorted(f"{name}.md" for name in checks())


def test_options_in_words() -> None:
    rows = option_rows(checks()["layer-count"])
    number = "a whole number of at least 0 and of at most 256"
    kinds = "activation, avg-pool, batch-norm, conv, dense, depthwise, dropout, max-pool, norm or pointwise"
    assert rows == (
        OptionRow("kind", kinds, ""),
        OptionRow("at_least", number, "none"),
        OptionRow("at_most", number, "none"),
    )
    assert option_rows(checks()["kernel-size"])[0] == OptionRow(
        "allowed", "a list, each a whole number of at least 1 and of at most 1,024", "none"
    )
    assert option_rows(checks()["dropout"]) == ()


def test_options_inside_others_are_dotted() -> None:
    found = {row.name: row.default for row in option_rows(checks()["accuracy"])}
    assert (found["target"], found["recipe"], found["recipe.batch"]) == ("99.0", "as below", "128")
    assert (found["recipe.long"], found["recipe.long.rotate"]) == ("as below", "7.0")


@pytest.mark.parametrize("check", checks().values(), ids=lambda check: check.id)
def test_every_option_is_explained_and_listed(check: Check) -> None:
    text = page(check, Options())
    own = [row.name for row in option_rows(check) if "." not in row.name]
    explained, _, listed = text.partition("## All options")
    assert [name for name in own if f"`{name}`" not in explained] == []
    assert [name for name in own if f"`{name}`" not in listed] == []
