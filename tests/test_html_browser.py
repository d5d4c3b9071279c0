"""The page in a real browser: nothing runs or leaves, it fits a phone and paper, and everybody can read it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from html_samples import HOSTILE, endless, full, hostile, ungraded

from grader.render import Options, render
from grader.render.escape import visible
from grader.report import Report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
REPORTS: dict[str, Callable[[], Report]] = {
    "graded": full,
    "ungraded": ungraded,
    "hostile": lambda: hostile(full()),
    "hostile-ungraded": lambda: hostile(ungraded()),
}
SCHEMES = ("light", "dark")

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

# Ratio of contrast of each text with what is behind it (WCAG 2.1, 1.4.3), where it is below what its size needs.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return channels("Canvas");
  };
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const poor = new Set();
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= (style.fontWeight >= 700 ? 18.66 : 24);
    const found = ratio(channels(element.closest("svg") ? style.fill : style.color), behind(element));
    seen += 1;
    if (found < (large ? 3 : 4.5)) poor.add(`${element.className || element.tagName}: ${found.toFixed(2)}`);
  }
  for (const drawn of document.querySelectorAll(".rail line, .rail circle.learns, polyline, rect.result, rect.limit")) {
    const style = getComputedStyle(drawn);
    const colour = style.stroke === "none" ? style.fill : style.stroke;
    const found = ratio(channels(colour), behind(drawn.closest("svg").parentElement));
    if (found < 3) poor.add(`${drawn.tagName}.${drawn.className.baseVal}: ${found.toFixed(2)}`);
  }
  return [seen > 20, [...poor]];
}"""

BASICS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const levels = all("h1, h2, h3, h4, h5, h6").map(heading => +heading.tagName[1]);
  return {
    language: document.documentElement.lang,
    titled: document.title.length > 0,
    "one h1": levels.filter(level => level === 1).length,
    "headings that skip a level": levels.filter((level, index) => index && level > levels[index - 1] + 1),
    landmarks: ["header", "nav", "main"].filter(name => all(name).length !== 1),
    "tables without a caption": all("table").filter(table => !table.caption).length,
    "headers without a scope": all("th").filter(cell => !cell.scope).length,
    "rows without a header": all("tbody tr:not(.gap), tfoot tr").filter(row => !row.querySelector("th")).length,
    "unnamed drawings": all("svg").filter(svg => svg.ariaHidden !== "true" && !svg.querySelector("title")).length,
    "unnamed regions": all("section, nav").filter(region => !region.ariaLabel && !region.ariaLabelledByElements?.length
      && !document.getElementById(region.getAttribute("aria-labelledby"))).length,
    "links to nowhere": all("a").filter(link => !document.getElementById(link.hash.slice(1))).length,
  };
}"""
SOUND = {
    "language": "en",
    "titled": True,
    "one h1": 1,
    "headings that skip a level": [],
    "landmarks": [],
    "tables without a caption": 0,
    "headers without a scope": 0,
    "rows without a header": 0,
    "unnamed drawings": 0,
    "unnamed regions": 0,
    "links to nowhere": 0,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"] if root else [])
        yield found
        found.close()


class Visit:
    """A report that is open in the browser, and all that it did beside showing itself."""

    def __init__(self, browser: Any, path: Path, report: Report, width: int, scheme: str) -> None:
        path.write_text(render(report, "html", Options()), "utf-8")
        self.events: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.page.on("console", lambda message: self.events.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.events.append(f"dialog: {dialog.message}"))
        self.page.on("request", lambda request: self.events.append(f"request: {request.url}"))
        self.page.goto(path.as_uri())
        assert self.events == [f"request: {path.as_uri()}"]
        self.events.clear()

    def __call__(self, script: str) -> Any:
        return self.page.evaluate(script)


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def open_report(report: Report, width: int = 1000, scheme: str = "light") -> Visit:
        visits.append(Visit(browser, tmp_path / "report.html", report, width, scheme))
        return visits[-1]

    yield open_report
    for each in visits:
        each.page.close()
        assert each.events == []


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_page_is_accessible(visit: Callable[..., Visit], report: Callable[[], Report], scheme: str) -> None:
    opened = visit(report(), scheme=scheme)
    assert opened(BASICS) == SOUND
    assert opened(CONTRAST) == [True, []]


@pytest.mark.parametrize("width", [360, 1000])
@pytest.mark.parametrize("report", [*REPORTS.values(), lambda: endless(500)], ids=[*REPORTS, "endless"])
def test_page_fits_its_window(visit: Callable[..., Visit], report: Callable[[], Report], width: int) -> None:
    opened = visit(report(), width)
    assert opened("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    outside = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert opened(f"{outside}.map(e => e.outerHTML.slice(0, 80))") == []


def test_hostile_text_is_shown_and_does_nothing(visit: Callable[..., Visit]) -> None:
    opened = visit(hostile(full()))
    text = visible(HOSTILE)
    assert opened("[window.pwned === undefined, document.scripts.length, document.images.length]") == [True, 0, 0]
    assert opened("document.querySelector('h1').textContent") == text
    assert opened("document.querySelector('h4').textContent") == f"error {text}"
    assert opened("document.querySelector('.line code').textContent") == text
    assert opened("document.querySelector('.added ins').textContent").startswith(text[:20])


def test_source_is_shown_as_it_was_written(visit: Callable[..., Visit]) -> None:
    opened = visit(full())
    lines = "[...finding.querySelectorAll('.line code')].map(line => line.textContent)"
    assert opened(f"[...document.querySelectorAll('.finding')].map(finding => {lines})") == [
        [
            "        self.fc = nn.Linear(",
            "            8 * 26 * 26,",
            "            10,",
            "        )",
            "        return self.fc(x.flatten(1))",
        ],
        ["    x = self.conv(x) + x.mean()"],
        [],
    ]
    marked = "[...document.querySelectorAll('.excerpt.error mark')].map(mark => mark.textContent)"
    assert opened(marked) == ["nn.Linear(", "8 * 26 * 26,", "10,", ")", "self.fc(x.flatten(1))"]
    changed = "[...document.querySelectorAll('.change mark')].map(mark => mark.textContent)"
    assert opened(changed) == ["nn.Conv2d(1, 8, 3)", "nn.Conv2d(1, 9, 3)", "x.flatten(1)", "x.mean((2, 3))"]


def test_dark_scheme_has_colours_of_its_own(visit: Callable[..., Visit]) -> None:
    colours = "['html', '.word', 'mark', '.excerpt'].map(s => document.querySelector(s)).map(getComputedStyle)"
    script = f"{colours}.map(style => [style.color, style.backgroundColor])"
    light, dark = (visit(full(), scheme=scheme)(script) for scheme in SCHEMES)
    assert [left == right for left, right in zip(light, dark, strict=True)] == [False] * 4


def test_paper_is_white_whatever_the_screen_is(visit: Callable[..., Visit]) -> None:
    opened = visit(full(), scheme="dark")
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert opened("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert opened("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert opened(CONTRAST) == [True, []]
    assert opened.page.pdf().startswith(b"%PDF")


def test_keyboard_reaches_report_and_rules(visit: Callable[..., Visit]) -> None:
    opened = visit(full())
    opened.page.keyboard.press("Tab")
    assert opened("document.activeElement.textContent") == "Skip to the report"
    assert opened("document.activeElement.getBoundingClientRect().height > 10") is True
    opened.page.keyboard.press("Enter")
    assert opened("document.activeElement.id") == "content"
    opened.page.keyboard.press("Tab")
    assert opened("document.activeElement.hash") == "#rule-1"
    opened.page.keyboard.press("Enter")
    assert opened("[location.hash, Math.abs(document.querySelector('#rule-1').getBoundingClientRect().top) < 40]") == [
        "#rule-1",
        True,
    ]


def test_drawings_are_laid_out(visit: Callable[..., Visit]) -> None:
    opened = visit(full())
    heights = "[...document.querySelectorAll('.model .rail svg')].map(s => [s, s.closest('tr')])"
    script = f"{heights}.map(([s, row]) => s.getBoundingClientRect().height - row.getBoundingClientRect().height)"
    assert all(abs(difference) < 1 for difference in opened(script))
    assert opened(
        "[...document.querySelectorAll('.curve > svg')].map(s => s.getBoundingClientRect().height > 150)"
    ) == [
        True,
        True,
    ]
