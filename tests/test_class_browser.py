"""The class page in a real browser: a thousand students are searched, sorted and filtered, and nothing leaves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from class_samples import RULES, gradebook
from test_html_browser import BROWSER, CONTRAST, SOUND

from grader.classroom.page import class_page
from grader.classroom.page.write import page_name
from grader.classroom.types import Grade

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

SIZE = 1_000


def link(grade: Grade) -> str | None:
    return f"students/{page_name(grade.student.id)}" if grade.key else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"] if root else [])
        yield found
        found.close()


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("class") / "index.html"
    path.write_text(class_page(gradebook(SIZE), link), "utf-8")
    return path


@pytest.fixture
def visit(browser: Any, big: Path) -> Iterator[Callable[..., Any]]:
    """Open the page of a thousand students; at the end, nothing was said on the console and nothing was requested."""
    pages = []
    events: list[str] = []

    def opened(width: int = 1240, scheme: str = "light", script: bool = True, path: Path = big) -> Any:
        own = path.as_uri()
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
        )
        page = context.new_page()
        page.on("console", lambda message: events.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: events.append(f"error: {error}"))
        page.on("dialog", lambda dialog: events.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: request.url == own or events.append(f"request: {request.url}"))
        page.goto(own)
        pages.append(context)
        return page

    yield opened
    for context in pages:
        context.close()
    assert events == []


def ids(page: Any) -> list[str]:
    """Return the ids of the students whose rows are in the table, in their order."""
    texts = page.evaluate("[...document.querySelectorAll('#table tbody tr')].map(row => row.dataset.also)")
    return [text.split("@")[0] for text in texts]


def told(page: Any) -> str:
    return str(page.evaluate("document.querySelector('output').textContent"))


def test_search_finds_names_ids_addresses_and_results(visit: Callable[..., Any]) -> None:
    page = visit()
    box = page.get_by_label("Search")
    for text, expected in (
        ("s999@x", ["s999"]),
        ("JOSE nandu", ["s7"]),
        ("שלום", ["s5"]),
        ("=cmd", ["s2"]),
        ("<script>window", ["s0"]),
        ("\\x1b[31m", ["s4"]),
        ("x" * 60, ["s8"]),
        ("no such student", []),
    ):
        box.fill(text)
        assert ids(page) == expected
        assert told(page) == f"{len(expected)} of 1,000 students"
    assert page.get_by_text("No student matches.").is_visible()
    page.get_by_role("button", name="Clear").click()
    assert told(page) == "1,000 students"
    assert page.evaluate("[window.pwned === undefined, document.scripts.length, document.images.length]") == [
        True,
        1,
        0,
    ]


COLUMNS: dict[str, Callable[[Grade], Any]] = {
    "Points": lambda grade: grade.final,
    "Parameters": lambda grade: grade.parameters,
    "Accuracy": lambda grade: grade.accuracy,
    "Handed in": lambda grade: grade.submitted,
    "Rules": lambda grade: sum(rule.status == "fail" for rule in grade.rules) if grade.rules else None,
    "Result": lambda grade: ["pass", "fail", "error", "waiting", "missing"].index(grade.verdict),
}
FALLING = ("Points", "Accuracy", "Rules")


def test_each_column_sorts_both_ways_and_what_is_missing_comes_last(visit: Callable[..., Any]) -> None:
    page = visit()
    grades = gradebook(SIZE).grades
    for column, key in COLUMNS.items():
        without = [grade.student.id for grade in grades if key(grade) is None]
        for falling in (column in FALLING, column not in FALLING):
            page.evaluate(
                """column => {
                  [...document.querySelectorAll("thead button")].find(head => head.textContent === column).click();
                  document.querySelector(".every").click();
                }""",
                column,
            )
            known = sorted((grade for grade in grades if key(grade) is not None), key=key, reverse=falling)
            assert ids(page) == [grade.student.id for grade in known] + without
            order = page.evaluate("document.querySelector('th[aria-sort]').ariaSort")
            assert order == ("descending" if falling else "ascending")


NAMES_SHOWN = """() => {
  document.querySelector(".every").click();
  return [...document.querySelectorAll("tbody .clip:first-child bdi")].map(name => name.textContent);
}"""


def test_names_are_sorted_as_people_do(visit: Callable[..., Any]) -> None:
    page = visit()
    page.get_by_label("Search").fill("Student 00")
    names = page.evaluate(NAMES_SHOWN)
    assert (len(names) > 50, names) == (True, sorted(names))
    page.get_by_role("columnheader", name="Student").get_by_role("button").click()
    assert page.evaluate(NAMES_SHOWN) == names[::-1]


def test_filters_by_result_and_by_rule_agree_with_the_gradebook(visit: Callable[..., Any]) -> None:
    page = visit()
    grades = gradebook(SIZE).grades
    for verdict in ("pass", "fail", "error", "missing", "waiting"):
        page.locator("select[name=verdict]").select_option(verdict)
        assert told(page) == f"{sum(grade.verdict == verdict for grade in grades):,} of 1,000 students"
    page.locator("select[name=verdict]").select_option("")
    for rule in (RULES[0], RULES[2]):
        page.locator(".bars a", has_text=rule).click()
        failed = {g.student.id for g in grades if any(r.id == rule and r.status == "fail" for r in g.rules)}
        assert told(page) == f"{len(failed):,} of 1,000 students"
        assert set(ids(page)) <= failed
        assert page.evaluate("document.querySelectorAll('.bars [aria-current]').length") == 1
    page.locator(".bars a", has_text=RULES[2]).click()
    assert told(page) == "1,000 students"


def test_links_lead_to_the_students_pages(visit: Callable[..., Any], big: Path) -> None:
    page = visit()
    page.get_by_role("button", name="Show all").click()
    found = page.evaluate("[...document.querySelectorAll('#table tbody a')].map(a => a.href)")
    expected = {f"{big.parent.as_uri()}/{link(grade)}" for grade in gradebook(SIZE).grades if grade.key}
    assert (len(found), set(found)) == (len(expected), expected)


def test_table_is_as_it_was_when_one_comes_back(visit: Callable[..., Any]) -> None:
    page = visit()
    page.get_by_label("Search").fill("param-count")
    page.get_by_role("columnheader", name="Parameters").get_by_role("button").click()
    before = ids(page)
    page.reload()
    assert (ids(page), page.get_by_label("Search").input_value()) == (before, "param-count")


def test_keyboard_is_enough(visit: Callable[..., Any]) -> None:
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("s12@")
    assert ids(page) == ["s12"]
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    page.get_by_role("columnheader", name="Parameters").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('th[aria-sort]').textContent") == "Parameters"
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('th[aria-sort]').ariaSort") == "descending"


def test_page_is_a_plain_table_without_script(visit: Callable[..., Any]) -> None:
    page = visit(script=False)
    assert page.locator("#table tbody tr").count() == SIZE
    assert page.locator("#table tbody tr").last.is_visible()
    assert [page.locator(tool).is_visible() for tool in (".tools", ".more", ".nobody")] == [False] * 3
    assert page.locator("thead button").count() == 0


def test_paper_holds_every_student(visit: Callable[..., Any]) -> None:
    page = visit(scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(ids(page)) == SIZE
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".tools").is_visible() is False


@pytest.mark.parametrize("width", [360, 768, 1240])
def test_page_fits_its_window(visit: Callable[..., Any], width: int) -> None:
    page = visit(width)
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]


BASICS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const levels = all("h1, h2, h3, h4").map(heading => +heading.tagName[1]);
  return {
    language: document.documentElement.lang,
    titled: document.title.length > 0,
    "one h1": levels.filter(level => level === 1).length,
    "headings that skip a level": levels.filter((level, index) => index && level > levels[index - 1] + 1),
    landmarks: ["header", "nav", "main"].filter(name => all(name).length !== 1),
    "tables without a caption": all("table").filter(table => !table.caption).length,
    "headers without a scope": all("th").filter(cell => !cell.scope).length,
    "rows without a header": all("tbody tr").filter(row => !row.querySelector("th")).length,
    "unnamed drawings": all("svg").filter(svg => svg.ariaHidden !== "true" && !svg.querySelector("title")).length,
    "unnamed regions": all("section, nav").filter(region => !region.ariaLabel
      && !document.getElementById(region.getAttribute("aria-labelledby"))).length,
    "links to nowhere": all("a").filter(a => a.hash && !document.getElementById(a.hash.slice(1))).length,
  };
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(visit: Callable[..., Any], scheme: str) -> None:
    page = visit(scheme=scheme)
    assert page.evaluate(BASICS) == SOUND
    assert page.evaluate(CONTRAST) == [True, []]
    assert (
        page.evaluate("[...document.querySelectorAll('input, select')].filter(one => !one.labels.length).length") == 0
    )


def test_search_answers_at_once(visit: Callable[..., Any]) -> None:
    page = visit()
    milliseconds = page.evaluate("""() => {
      const box = document.querySelector(".search input");
      return ["s", "st", "student 0", "zzz", ""].map(text => {
        const begun = performance.now();
        box.value = text;
        box.dispatchEvent(new Event("input"));
        document.body.getBoundingClientRect();
        return performance.now() - begun;
      });
    }""")
    assert max(milliseconds) < 1_000  # a tenth of it where little else runs
