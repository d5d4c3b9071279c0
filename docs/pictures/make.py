"""Make the pictures beside this script: python docs/pictures/make.py

They show what s5-grade says of `examples/first_try.py`, graded anew, and of the reference model, whose training takes
minutes: its report is kept in `trained.json`, and `--train` makes that anew too. The class is invented. Needs
playwright and Chromium; the pictures of the repository were made with the fonts Inter and JetBrains Mono installed.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from invented import invented_class
from playwright.sync_api import Browser, FloatRect, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from grader.classroom.page import class_page
from grader.grade import grade
from grader.render import Options, render
from grader.report import Report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TRAINED = HERE / "trained.json"
CAP = 300_000  # bytes of a picture
SCALE = 1.25  # pixels of a picture for each of the page
COLUMNS = 100
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

THEME = TerminalTheme(
    (30, 33, 37),
    (233, 231, 226),
    [
        (30, 33, 37),
        (255, 123, 114),
        (126, 211, 160),
        (241, 189, 98),
        (122, 162, 247),
        (199, 146, 234),
        (127, 208, 213),
        (233, 231, 226),
    ],
)
TERMINAL = """\
<!doctype html>
<meta charset="utf-8">
<style>
body {{ margin: 0; padding: 20px 24px; background: {background}; color: {foreground}; width: max-content; }}
pre {{ margin: 0; font: 13px/1.5 "JetBrains Mono", monospace; font-variant-ligatures: none; }}
.prompt {{ color: #7ed3a0; }}
{stylesheet}
</style>
<pre><span class="prompt">$</span> COMMAND

{code}</pre>
"""


def terminal(report: Report, command: str) -> str:
    """Return a page that looks like the terminal after a command."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    text = render(report, "terminal", Options(COLUMNS, colour=True))
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
    return console.export_html(theme=THEME, code_format=TERMINAL).replace("COMMAND", command)


class Picture(NamedTuple):
    """A part of a page: the element `of`, with a margin around it, cut to a height."""

    name: str
    page: str
    width: int
    scheme: Literal["light", "dark"]
    of: str
    margin: int = 24
    height: float = 10_000

    def clip(self, y: float, height: float) -> FloatRect:
        """Return what to photograph of the page, given where the element stands."""
        top = max(0, y - self.margin)
        return {"x": 0, "y": top, "width": self.width, "height": min(self.height, y + height + self.margin - top)}


def pictures(first: Report, trained: Report) -> list[Picture]:
    first_page, trained_page = (render(report, "html", Options()) for report in (first, trained))
    whole_class = class_page(invented_class(), lambda grade: f"students/{grade.student.id}.html" if grade.key else None)
    return [
        Picture("terminal", terminal(first, "s5-grade examples/first_try.py"), 860, "dark", "body", margin=0),
        Picture("page", first_page, 960, "light", "body", height=1240),
        Picture("page-dark", first_page, 960, "dark", "section.rule:has(#rule-4)"),
        Picture("phone", first_page, 390, "light", "body", height=1180),
        Picture("model", trained_page, 960, "light", "section:has(> #model)", height=900),
        Picture("class", whole_class, 1080, "light", "body", margin=0, height=1240),
        Picture("class-dark", whole_class, 1080, "dark", "section.all", height=577),
        Picture("training", trained_page, 960, "light", "section:has(> #training)"),
    ]


def take(browser: Browser, picture: Picture, folder: Path) -> int:
    """Write a picture, and return its size in bytes."""
    source = folder / "page.html"
    source.write_text(picture.page, "utf-8")
    shot = browser.new_page(
        viewport={"width": picture.width, "height": 800}, color_scheme=picture.scheme, device_scale_factor=SCALE
    )
    shot.goto(source.as_uri())
    box = shot.locator(picture.of).bounding_box()
    assert box is not None
    clip = picture.clip(box["y"], box["height"])
    found = shot.screenshot(path=HERE / f"{picture.name}.png", full_page=True, clip=clip)
    shot.close()
    return len(found)


def main() -> None:
    browser_path = next(filter(None, map(shutil.which, NAMES)), None)
    if browser_path is None:
        sys.exit("there is no Chromium here: install it, for instance with `apt install chromium`")
    os.chdir(ROOT)
    if "--train" in sys.argv[1:]:
        TRAINED.write_text(render(grade("reference_model/model.py", train=True), "json", Options()), "utf-8")
    trained = msgspec.json.decode(TRAINED.read_bytes(), type=Report)
    first = grade("examples/first_try.py")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        arguments = ["--disable-lcd-text", *(["--no-sandbox"] if os.geteuid() == 0 else [])]  # root has no sandbox
        browser = playwright.chromium.launch(executable_path=browser_path, args=arguments)
        for picture in pictures(first, trained):
            size = take(browser, picture, Path(folder))
            if size > CAP:
                sys.exit(f"{picture.name}.png has {size:,} bytes, more than {CAP:,}")
        browser.close()


if __name__ == "__main__":
    main()
