"""The text of a submitted file: decoded, notebooks joined, and what only IPython understands taken out."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

TEXT_CAP = 4 * 1024 * 1024  # code points of one text
NOTEBOOK_CAP = 64 * 1024 * 1024  # bytes; figures inside a notebook make it large
CELL_CAP = 10_000

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#.*)?$")
# Only encodings of text that decode in linear time: no unicode_escape, punycode, idna, utf-7 or rot13.
_ENCODING = re.compile(
    r"utf-(8|16|32)(-[bl]e)?|utf-8-sig|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-[a-z]+"
    r"|gb\w+|big5\w*|shift_jis\w*|euc_\w+|johab|hz"
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_SUSPECT = re.compile(r"^[ \t\f]*[%!?]|\?[ \t]*$|=[ \t]*[!%]|^[ \t]*(?:pip3?|conda)[ \t]", re.MULTILINE)
_MAGIC = re.compile(
    r"([ \t\f]*)(?:[%!?]|\??[\w.]+\?\??[ \t]*$|(?:pip3?|conda)[ \t]+(?:install|uninstall|list|freeze)\b)"
)
_ASSIGNED = re.compile(r"([ \t\f]*[A-Za-z_]\w*(?:[ \t]*,[ \t]*[A-Za-z_]\w*)*[ \t]*=[ \t]*)[!%](?![=])")
_CELL_MAGIC = re.compile(r"[ \t]*%%(\S*)[ \t]*(.*)")
_OTHER_LANGUAGES = frozenset(
    "! bash bigquery cmd cython html javascript js julia latex markdown perl r ruby script sh shell sql svg sx"
    " system".split()
)
_CELL_MARK = re.compile(r"# Code cell (\d+)")

Place = Literal["fresh", "inside", "command"]

_TOKEN = re.compile(r"""#|\\$|'''|\"\"\"|['"]|[()\[\]{}]""")
_CLOSING = {
    "'": re.compile(r"[^\\']*(?:\\.[^\\']*)*'"),
    '"': re.compile(r'[^\\"]*(?:\\.[^\\"]*)*"'),
    "'''": re.compile(r"(?:[^\\']|\\.|'(?!''))*'''"),
    '"""': re.compile(r'(?:[^\\"]|\\.|"(?!""))*"""'),
}


def manifest_text(path: str, data: bytes) -> str:
    """Return the Python text of a submitted file, with `\\n` line ends and no byte-order mark.

    A notebook's code cells are joined, a comment `# Code cell 3` before each. Lines that only IPython understands
    become comments or `pass`, so that every line keeps its number. Raises ValueError, naming the file, when there is no
    such text.
    """
    if is_notebook(path):
        cells = _code_cells(path, data)
        text = "\n".join(line for number, cell in enumerate(cells, 1) for line in _cell_lines(number, cell))
    else:
        text = _without_magics(_normal(_decoded(path, data)))
    if len(text) > TEXT_CAP:
        raise ValueError(f"{path} holds {len(text):,} characters of code, the limit is {TEXT_CAP:,}")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}:{line} holds a NUL character: this is not the text of a Python file")
    return text


def is_notebook(path: str) -> bool:
    """Tell whether a path names a Jupyter notebook."""
    return path.lower().endswith(".ipynb")


def cell_at(text: str, line: int) -> int | None:
    """Return the number of the code cell that a line of a notebook's text stands in; None before the first."""
    for candidate in reversed(text.split("\n")[:line]):
        if mark := _CELL_MARK.fullmatch(candidate):
            return int(mark[1])
    return None


def cell_ranges(text: str) -> list[tuple[int, int]]:
    """Return each code cell's lines as (first, last), 1-based, without the comment before it."""
    lines = text.split("\n")
    marks = [number for number, line in enumerate(lines, 1) if _CELL_MARK.fullmatch(line)]
    return [(start + 1, end - 1) for start, end in zip(marks, [*marks[1:], len(lines) + 1], strict=True)]


def _normal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(path: str, data: bytes) -> str:
    if len(data) > 4 * TEXT_CAP:
        raise ValueError(f"{path} is {len(data):,} bytes long, the limit is {4 * TEXT_CAP:,}")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(path, data[len(mark) :], encoding)
    return _decode_as(path, data, _declared_encoding(path, data))


def _declared_encoding(path: str, data: bytes) -> str:
    """PEP 263: a comment on the first line, or on the second when the first is blank or a comment."""
    for line in data[:4096].splitlines()[:2]:
        if found := _CODING.match(line):
            name = found[1].decode("ascii", "replace")
            try:
                encoding = codecs.lookup(name).name
            except (LookupError, ValueError):
                encoding = ""
            if not _ENCODING.fullmatch(encoding):
                raise ValueError(f"{path} declares the encoding {name!r}, which is not one for text: save it as UTF-8")
            return encoding
        if not _BLANK.match(line):
            break
    return "utf-8"


def _decode_as(path: str, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line} is not {encoding.upper()} (byte 0x{data[error.start]:02x}): save the file as UTF-8"
        ) from None


def _code_cells(path: str, data: bytes) -> list[str]:
    if len(data) > NOTEBOOK_CAP:
        raise ValueError(f"{path} is {len(data):,} bytes long, the limit is {NOTEBOOK_CAP:,}: clear its outputs")
    try:
        # Numbers stay text: no code depends on them, and long ones are slow to read.
        book = json.loads(_decode_as(path, data.removeprefix(codecs.BOM_UTF8), "utf-8"), parse_int=str, parse_float=str)
    except (RecursionError, MemoryError):
        raise ValueError(f"{path} is not a notebook: its JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno} is not a notebook: {error.msg} in its JSON") from None
    cells = [cell for cell in _all_cells(book) if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    if not cells:
        raise ValueError(f"{path} holds no code cells")
    if len(cells) > CELL_CAP:
        raise ValueError(f"{path} holds {len(cells):,} code cells, the limit is {CELL_CAP:,}")
    return [_normal(_source(cell)) for cell in cells]


def _all_cells(book: Any) -> Iterator[Any]:
    """Cells of nbformat 4, or of the worksheets of nbformat 3."""
    holders: list[Any] = [book]
    if isinstance(book, dict) and isinstance(book.get("worksheets"), list):
        holders += book["worksheets"]
    for holder in holders:
        if isinstance(holder, dict) and isinstance(holder.get("cells"), list):
            yield from holder["cells"]


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))  # nbformat 3 says input
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    return source if isinstance(source, str) else ""


def _cell_lines(number: int, cell: str) -> Iterator[str]:
    yield f"# Code cell {number}"
    # A cell's own line of this form would count as a mark; no code is lost by changing a comment.
    cell = "\n".join("#" + line if _CELL_MARK.fullmatch(line) else line for line in cell.split("\n"))
    first = next((line for line in cell.split("\n") if line.strip()), "")
    if (magic := _CELL_MAGIC.match(first)) and not _is_python_cell(magic[1], magic[2]):
        yield from (f"# {line}" for line in cell.split("\n"))
    else:
        yield from _without_magics(_dedented(cell)).split("\n")


def _dedented(cell: str) -> str:
    """A cell without the indentation of its first line, as IPython reads it."""
    first = next((line for line in cell.split("\n") if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    return "\n".join(line.removeprefix(indent) for line in cell.split("\n")) if indent else cell


def _is_python_cell(magic: str, rest: str) -> bool:
    if magic in ("writefile", "file"):
        return rest.split("#", maxsplit=1)[0].strip().strip("\"'").endswith(".py")
    return magic.lower() not in _OTHER_LANGUAGES


def _without_magics(text: str) -> str:
    if not _SUSPECT.search(text):
        return text
    lines = text.split("\n")
    return "\n".join(_READ_AS[place](line) for line, place in zip(lines, _places(lines), strict=True))


def _plain(line: str) -> str:
    """A comment at the margin, `pass` in a block that it may have to fill; a command's result becomes None."""
    if found := _ASSIGNED.match(line):
        return f"{found[1]}None  # {line.strip()}"
    if found := _MAGIC.match(line):
        return f"{found[1]}pass  # {line.strip()}" if found[1].strip("\f") else f"# {line.strip()}"
    return line


def _places(lines: Iterable[str]) -> Iterator[Place]:
    """Tell for each line where it stands: inside a string, bracket or continued line, or a command's, or in none."""
    quote, depth, continued, command = "", 0, False, False
    for line in lines:
        fresh = not quote and depth == 0 and not continued
        yield "command" if command else "fresh" if fresh else "inside"
        if command or (fresh and _MAGIC.match(line)):
            command = line.rstrip().endswith("\\")
            continue  # quotes in a shell command open no string
        position, continued = 0, False
        while True:
            if quote:
                closing = _CLOSING[quote].match(line, position)
                if closing is None:
                    if len(quote) == 1:
                        quote = quote if line.endswith("\\") else ""
                    break
                position, quote = closing.end(), ""
            token = _TOKEN.search(line, position)
            if token is None or token[0] == "#":
                break
            position = token.end()
            if token[0] == "\\":
                continued = True
            elif token[0] in _CLOSING:
                quote = token[0]
            else:
                depth = max(0, depth + (1 if token[0] in "([{" else -1))


_READ_AS: dict[Place, Callable[[str], str]] = {"fresh": _plain, "inside": str, "command": "# {}".format}
