"""The text of submitted files, as the trusted side shows it and the worker runs it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import notebook
from grader.notebook import cell_at, cell_ranges, manifest_text


def cells(*sources: object, **top: object) -> bytes:
    return json.dumps({"cells": [{"cell_type": "code", "source": item} for item in sources], **top}).encode()


def test_cells_are_joined_under_numbered_comments() -> None:
    text = manifest_text(
        "a.ipynb", cells(["x = 1\n", "y = 2"], "%%time\nz = 3", "%%bash\nls ((", "%%writefile m.py\nw = 4")
    )
    assert text.split("\n") == [
        "# Code cell 1",
        "x = 1",
        "y = 2",
        "# Code cell 2",
        "# %%time",
        "z = 3",
        "# Code cell 3",
        "# %%bash",
        "# ls ((",
        "# Code cell 4",
        "# %%writefile m.py",
        "w = 4",
    ]
    assert [cell_at(text, line) for line in (1, 3, 6, 12)] == [1, 1, 2, 4]
    assert cell_ranges(text) == [(2, 3), (5, 6), (8, 9), (11, 12)]


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ("    x = 1\n    if x:\n        y = 2", ["x = 1", "if x:", "    y = 2"]),
        ("\n  x = 1\ny = 2", ["", "x = 1", "y = 2"]),
        ("\tx = 1\n\t# end", ["x = 1", "# end"]),
        ("if 1:\n    x = 1", ["if 1:", "    x = 1"]),
    ],
)
def test_an_indented_cell_is_read_as_ipython_does(cell: str, lines: list[str]) -> None:
    assert manifest_text("a.ipynb", cells(cell)).split("\n")[1:] == lines


def test_a_cell_can_not_forge_a_mark() -> None:
    text = manifest_text("a.ipynb", cells("# Code cell 7\nx = 1"))
    assert (text, cell_at(text, 3)) == ("# Code cell 1\n## Code cell 7\nx = 1", 1)


MAGICS = {
    "%matplotlib inline": "# %matplotlib inline",
    "!pip install x 'y": "# !pip install x 'y",
    "    !ls": "    pass  # !ls",
    "!pip install \\\n  'torch \\\n  x\ny = '1'": "# !pip install \\\n#   'torch \\\n#   x\ny = '1'",
    "\t%time f()": "\tpass  # %time f()",
    "?print": "# ?print",
    "Net??": "# Net??",
    "np.sum?": "# np.sum?",
    "files = !ls": "files = None  # files = !ls",
    "a, b = %magic x": "a, b = None  # a, b = %magic x",
    "pip install torchsummary": "# pip install torchsummary",
    "pip = 3": "pip = 3",
    "x = (1\n  % 2)": "x = (1\n  % 2)",
    "x = 5 \\\n  % 2": "x = 5 \\\n  % 2",
    '"""\n!not a command\n"""\n!ls': '"""\n!not a command\n"""\n# !ls',
    "s = 'it is # (' # (\n!ls": "s = 'it is # (' # (\n# !ls",
    "s = r'\\'' '''\n%x'''": "s = r'\\'' '''\n%x'''",
    "# why?\nx = 1": "# why?\nx = 1",
    "x != y": "x != y",
}


@pytest.mark.parametrize("source", MAGICS)
def test_what_only_ipython_understands_is_taken_out(source: str) -> None:
    assert manifest_text("a.py", source.encode()) == MAGICS[source]


DECODED = {
    b"\xef\xbb\xbfx = 1\r\ny = 2\rz = 3": "x = 1\ny = 2\nz = 3",
    "# coding: latin-1\n# é".encode("latin-1"): "# coding: latin-1\n# é",
    "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n# é".encode("cp1252"): (
        "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n# é"
    ),
    "x = 1\n# coding: latin-1 counts on the first two lines only, é".encode(): (
        "x = 1\n# coding: latin-1 counts on the first two lines only, é"
    ),
    b"\xff\xfe" + "x = 'é'".encode("utf-16-le"): "x = 'é'",
    b"": "",
}


@pytest.mark.parametrize("data", DECODED)
def test_decoding(data: bytes) -> None:
    assert manifest_text("a.py", data) == DECODED[data]


BAD = {
    "a.py": [
        (b"# \xff", "a.py:1 is not UTF-8 (byte 0xff): save the file as UTF-8"),
        (b"# coding: nonsense", "a.py declares the encoding 'nonsense', which is not one for text: save it as UTF-8"),
        (b"# coding: punycode", "a.py declares the encoding 'punycode', which is not one for text: save it as UTF-8"),
        (b"\n\0", "a.py:2 holds a NUL character: this is not the text of a Python file"),
        (b"#" * (notebook.TEXT_CAP + 1), "a.py holds 4,194,305 characters of code, the limit is 4,194,304"),
        (b"#" * (4 * notebook.TEXT_CAP + 1), "a.py is 16,777,217 bytes long, the limit is 16,777,216"),
    ],
    "a.ipynb": [
        (b"", "a.ipynb:1 is not a notebook: Expecting value in its JSON"),
        (b"[]", "a.ipynb holds no code cells"),
        (b'{"cells": 3, "worksheets": [7, {"cells": null}]}', "a.ipynb holds no code cells"),
        (b'{"cells": [1, null, {"cell_type": "markdown"}]}', "a.ipynb holds no code cells"),
        (b"[" * 200_000, "a.ipynb is not a notebook: its JSON is nested too deeply"),
        (b"\xff", "a.ipynb:1 is not UTF-8 (byte 0xff): save the file as UTF-8"),
    ],
}


@pytest.mark.parametrize(("path", "data", "message"), [(path, *row) for path, rows in BAD.items() for row in rows])
def test_what_has_no_text_is_told(path: str, data: bytes, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        manifest_text(path, data)
    assert str(caught.value) == message


def test_odd_cells_are_empty() -> None:
    assert manifest_text("a.ipynb", cells(None, True, ["x", None], {"a": 1})) == (
        "# Code cell 1\n\n# Code cell 2\n\n# Code cell 3\nx\n# Code cell 4\n"
    )


def test_long_numbers_are_not_read() -> None:
    data = b'{"cells": [{"cell_type": "code", "source": "x", "execution_count": ' + b"9" * 100_000 + b"}]}"
    assert manifest_text("a.ipynb", data) == "# Code cell 1\nx"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text("%!?='\"\\#()\n\t abx", max_size=60).map(str.encode))
def test_any_bytes_give_a_text_of_as_many_lines_or_a_clear_error(data: bytes) -> None:
    try:
        text = manifest_text("a.py", data)
    except ValueError as error:
        assert str(error).startswith("a.py")
    else:
        if not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
            assert text.count("\n") == lines or b"coding" in data
