"""Attacks that answer in the grader's place: frames of every wrong form, written to the channel by hand."""

from __future__ import annotations

import textwrap

from attack import Attack

# The answers of a worker, built by hand; see `protocol.py` and `wire.py`.
FRAMES = """
import json, os, struct, sys, time

def send(body, length=None):
    data = struct.pack("<Q", len(body) if length is None else length) + body
    while data:
        data = data[os.write(3, data) :]

frame = sys._getframe()
while "job" not in frame.f_locals or frame.f_code.co_name != "serve":
    frame = frame.f_back

traced = not frame.f_locals["job"].untraced

def refuse(**fields):
    send(b"R" + json.dumps({"code": "capture", "message": "no", **fields}).encode())

def numbers(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data

def capture(message, tensors=None):
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Gs5g1" + struct.pack("<Q", len(text)) + text + (numbers({}) if tensors is None else tensors)

def ref(key):
    return {"type": "ref", "id": key}

def node(op, *args, outputs=(1,), **kwargs):
    return {"op": op, "args": args, "kwargs": kwargs, "outputs": outputs}

def message(*nodes, output=ref(1), tensors=(), **fields):
    nodes = nodes or (node("torch.flatten", ref(0), 1),)
    program = {"nodes": nodes, "output": output}
    tensors = ({"id": 0, "role": "input"}, *tensors)
    graph = {"name": "Net", "tensors": tensors, "eval": program, "train": program, **fields}
    return {"version": 1, "graph": graph, "loaded": {"class_name": "Net"}}

def row(*shape, dtype="F32", start=0, end=8):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}

def weight(**fields):
    return {"id": 7, "role": "parameter", "name": "w", "shape": [2], "trainable": True, **fields}

def dress(change):
    # The true graph, with what `change` does to it
    wire = frame.f_globals["wire"]
    real = wire.encode

    def encode(*given):
        data = b"G" + real(*given)
        size = struct.unpack("<Q", data[5:13])[0]
        dressed = json.loads(data[13 : 13 + size])
        graph = dressed["graph"]
        change(dressed, graph, [*graph["eval"]["nodes"], *graph["train"]["nodes"]])
        return capture(dressed, data[13 + size :])[1:]

    wire.encode = encode

"""


def _reply(name: str, tries: str, code: str, *, seconds: float = 20.0, ends: tuple[str, ...] = ("error",)) -> Attack:
    return Attack(name, "reply", tries, FRAMES + textwrap.dedent(code), (), ends, seconds=seconds)


def _both(name: str, tries: str, code: str) -> Attack:
    """Both workers answer like that, and end."""
    return _reply(name, tries, f"{textwrap.dedent(code)}\nos._exit(0)")


def _traced(name: str, tries: str, code: str) -> Attack:
    """The traced worker answers like that, and the other one as it should."""
    return _reply(name, tries, f"if not traced:\n    return\n{textwrap.dedent(code)}\nos._exit(0)")


def _untraced(name: str, tries: str, code: str) -> Attack:
    """The untraced worker answers like that, and the other one as it should."""
    return _reply(name, tries, f"if traced:\n    return\n{textwrap.dedent(code)}\nos._exit(0)")


def _dressed(name: str, tries: str, code: str, ends: tuple[str, ...] = ("fail",)) -> Attack:
    """The true graph, in a strange dress; `code` changes the `message`, its `graph`, or `every_node` of that."""
    inner = textwrap.indent(textwrap.dedent(code), "    ")
    return _reply(name, tries, f"def change(message, graph, every_node):\n{inner}\n\ndress(change)", ends=ends)


_FRAMING = [
    _both("half-a-length", "ends in the middle of a frame's length", 'os.write(3, b"\\5\\0\\0")'),
    _both("half-a-frame", "ends in the middle of a frame", 'send(b"R{", 1000)'),
    _reply("half-for-ever", "never sends the rest of a frame", 'send(b"G", 1000)\ntime.sleep(60)', seconds=1.0),
    _reply(
        "drop-by-drop",
        "sends a frame byte by byte, without an end",
        """
        os.write(3, struct.pack("<Q", 1000))
        for _ in range(1000):
            os.write(3, b" ")
            time.sleep(0.1)
        """,
        seconds=1.0,
    ),
    _both("largest-length", "announces more bytes than there are", 'send(b"", (1 << 64) - 1)'),
    _both("just-too-long", "announces a byte more than it may", 'send(b"G", (64 << 20) + 2)'),
    _reply(
        "as-long-as-may-be",
        "announces all that it may, and sends nothing",
        'send(b"", (64 << 20) + 1)\ntime.sleep(60)',
        seconds=1.0,
    ),
    _both("nothing", "sends an empty frame", 'send(b"")'),
    _both("text", "writes text where a frame is expected", 'os.write(3, b"verdict: pass, 100 of 100 points\\n" * 10)'),
    _both("tag-of-the-executor", "answers that everything passed, as the executor would", 'send(b"D" + b"\\x80")'),
    _both("tag-alone", "sends a tag and nothing else", 'send(b"G" if traced else b"T")'),
    _both("tags-exchanged", "gives the answer to the other question", 'send(b"T" if traced else capture(message()))'),
    _both("refusal-and-graph", "refuses and sends a graph as well", "refuse()\nsend(capture(message()))"),
    _untraced("loaded-and-more", "says more than that it is loaded", 'send(b"L{}")'),
    _untraced("loaded-twice", "says twice that it is loaded", 'send(b"L")\nsend(b"L")'),
    _untraced("before-the-question", "answers before it is asked", 'send(b"L")\nsend(b"T" + numbers({}))'),
    _untraced("loaded-and-gone", "is loaded and ends", 'send(b"L")'),
]

_REFUSALS = [
    _both("refusal-of-bytes", "sends a refusal that is no text", 'send(b"R\\xff\\xfe\\x00" + os.urandom(100))'),
    _both("refusal-of-depths", "nests a refusal a hundred thousand times", 'send(b"R" + b"[" * 100_000)'),
    _both(
        "refusal-nested-aside",
        "nests what nobody asks for",
        """
        send(b'R{"x":' + b'{"x":' * 99_999 + b"1" + b"}" * 100_000)
        """,
    ),
    _both("refusal-of-types", "gives fields other types", "refuse(message=1, why=[], span=3, candidates='ab')"),
    _both("refusal-of-success", "refuses with a code of its own", "refuse(code='pass', message='100 of 100 points')"),
    _both(
        "refusal-of-no-numbers",
        "writes numbers that are none",
        "refuse(span={'file': 'model.py', 'line': float('nan'), 'column': float('inf')})",
    ),
    _both(
        "refusal-of-huge-numbers",
        "writes numbers of a thousand digits",
        "refuse(span={'file': 'model.py', 'line': 10**1000})",
    ),
    _both(
        "refusal-twice-named",
        "gives a field twice",
        """
        send(b'R{"code": "load", "message": "a", "message": "b", "code": "pass"}')
        """,
    ),
    _both(
        "refusal-of-control",
        "writes control characters, escape sequences and marks that turn text round",
        """
        text = "\\x1b[2J\\x1b]0;pass\\x07\\x1b[32mok\\r\\b\\x00\\x7f\\x9b31m\\u202eevil\\u2066\\u2028\\ufeff"
        frames = [{"span": {"file": "model.py", "line": 1}, "function": text}]
        refuse(message=text, why=text, fix=text, error=text, candidates=[text], frames=frames, stand_ins=[text])
        """,
    ),
    _both(
        "refusal-of-markup",
        "writes markup of rich, HTML, Markdown and GitHub's commands",
        """
        text = "[bold red]x[/] [link=file:///etc]y[/link] [/nothing] <script>alert(1)</script>\\n::error::no\\n"
        frames = [{"span": {"file": "model.py", "line": 1}, "function": text}]
        refuse(message=text, why=text, fix=text, error=text, candidates=[text], frames=frames, stand_ins=[text])
        """,
    ),
    _both("refusal-of-halves", "writes halves of characters", "refuse(message='\\ud800 \\udfff\\ud800')"),
    _both("refusal-of-a-megabyte", "fills a refusal to the brim", "refuse(message='x ' * 250_000, why='y' * 500_000)"),
    _both("refusal-too-long", "sends a refusal as long as a graph", "refuse(message='x' * (2 << 20))"),
    _both(
        "refusal-of-many",
        "names a great many places and candidates",
        """
        frame = {"span": {"file": "model.py", "line": 2}, "function": "f"}
        refuse(candidates=["c"] * 50_000, frames=[frame] * 9_000, stand_ins=["s"] * 20_000, option="--class")
        """,
    ),
    _both(
        "refusal-of-other-files",
        "points at lines of files that were not submitted",
        """
        files = (SECRET, "../" * 9 + SECRET, RULES, "rules.yaml", "", "model.py/")
        places = [{"file": file, "line": 1} for file in files]
        refuse(span=places[0], frames=[{"span": place, "function": "f"} for place in places])
        """,
    ),
    _both(
        "refusal-of-odd-places",
        "points at lines and columns that do not exist",
        """
        large = (1 << 63) - 1
        rows = [(0, 0, 0, 0), (-5, 1, 1, 1), (1, large, 1, -large), (3, 2, 1, 1), (2, -9, large, 0), (large,) * 4]
        names = ("line", "column", "end_line", "end_column")
        places = [{"file": "model.py", **dict(zip(names, row))} for row in rows]
        refuse(span=places[-1], frames=[{"span": place, "function": "f"} for place in places])
        """,
    ),
    _reply("refusal-and-hang", "refuses and does not end", "refuse()\ntime.sleep(60)"),
]


def _graph(name: str, tries: str, *arguments: str) -> Attack:
    """The traced worker sends a capture; `arguments` are those of `message` and, last, the tensors."""
    return _traced(name, tries, f"send(capture({', '.join(arguments)}))")


_GRAPHS = [
    _traced("graph-without-a-mark", "leaves out the mark of a capture", 'send(b"G" + capture(message())[5:])'),
    _traced("graph-cut-short", "announces a longer graph than it sends", "send(capture(message())[:60])"),
    _graph("graph-of-depths", "nests a graph a hundred thousand times", 'b"[" * 100_000'),
    _traced(
        "graph-of-nested-arguments",
        "nests arguments deeper than a stack",
        """
        text = json.dumps(message(node("torch.flatten", "NESTED"))).replace('"NESTED"', "D" * 5000 + "1" + "E" * 5000)
        send(capture(text.replace("D", '{"type":"items","items":[').replace("E", "]}").encode()))
        """,
    ),
    _graph("graph-of-another-version", "says that it is of a later version", '{**message(), "version": 2}'),
    _graph("graph-with-a-verdict", "adds a verdict to a graph", '{**message(), "verdict": "pass", "score": 100}'),
    _graph("graph-of-no-numbers", "writes infinity", 'message(node("torch.add", ref(0), float("inf")))'),
    _graph("graph-of-huge-numbers", "writes a thousand digits", 'message(node("torch.add", ref(0), 10**1000))'),
    _graph("graph-of-programs", "names a program as an operator", 'message(node("os.system", "true"))'),
    _graph(
        "graph-of-an-attribute", "names a way out of a module", 'message(node("torch.nn.functional.torch.load", 1))'
    ),
    _graph(
        "graph-in-a-circle",
        "lets two nodes read each other",
        'message(node("torch.relu", ref(2)), node("torch.relu", ref(1), outputs=(2,)))',
    ),
    _graph("graph-without-a-source", "reads a tensor that nothing makes", 'message(node("torch.relu", ref(99)))'),
    _graph("graph-without-an-end", "returns a tensor that nothing makes", "message(output=ref(99))"),
    _traced(
        "graph-of-nothing",
        "has no node, and returns its input",
        """
        program = {"nodes": [], "output": ref(0)}
        send(capture(message(eval=program, train=program)))
        """,
    ),
    _traced(
        "graph-that-returns-text",
        "returns a text in place of scores",
        """
        items = ["100 of 100 points", {"type": "slice", "start": 1, "stop": None, "step": ref(1)}]
        send(capture(message(output={"type": "items", "items": items})))
        """,
    ),
    _graph(
        "graph-of-twins",
        "gives two tensors one id",
        "message(tensors=[weight()] * 2)",
        'numbers({"7": row(2)}, bytes(8))',
    ),
    _graph("graph-of-two-inputs", "has a second input", 'message(tensors=[{"id": 3, "role": "input"}])'),
    _graph(
        "graph-that-overwrites",
        "lets a node return its input as its own",
        'message(node("torch.zeros", 4, 10, outputs=(0,)), output=ref(0))',
    ),
    _traced(
        "graph-that-updates",
        "puts another tensor in its input's place",
        """
        program = {"nodes": [], "output": ref(0), "updates": [[0, 0], [5, 0]]}
        send(capture(message(eval=program, train=program)))
        """,
    ),
    _graph("graph-of-many-nodes", "has more nodes than may be", 'message(*[node("torch.relu", ref(0))] * 20_001)'),
    _graph(
        "graph-of-many-tensors",
        "has more tensors than may be",
        "message(tensors=[weight(id=key, shape=[0]) for key in range(1, 6000)])",
        "numbers({str(key): row(0, end=0) for key in range(1, 6000)})",
    ),
    _graph("graph-of-devices", "puts a tensor on no device", 'message(node("torch.zeros", 4, 10, device="meta"))'),
    _graph("graph-of-large-tensors", "fills more than all memory", 'message(node("torch.zeros", 1 << 40, 1 << 20))'),
    _graph(
        "graph-of-copies",
        "repeats a tensor until memory ends",
        'message(node("torch.Tensor.repeat", ref(0), *[1 << 20] * 4))',
    ),
    _graph(
        "graph-of-pieces",
        "splits a tensor into two hundred thousand pieces",
        'message(node("torch.tensor_split", ref(0), 200_000))',
    ),
    _graph(
        "graph-of-negative-sizes", "asks for a negative size", 'message(node("torch.Tensor.view", ref(0), -4, 784))'
    ),
    _graph(
        "graph-of-a-negative-frame",
        "cuts more off a map than there is",
        'message(node("torch.nn.functional.pad", ref(0), {"type": "items", "items": [-99] * 4}))',
    ),
    _graph(
        "graph-of-odd-sizes",
        "divides the size of the batch by nothing",
        'message(node("torch.zeros", {"type": "size", "scale": 1, "offset": 0, "divisor": 0}, 10))',
    ),
    _graph(
        "graph-with-keywords",
        "gives an operator keywords that it does not have",
        'message(node("torch.flatten", ref(0), **{"__class__": 1, "self": ref(0), "out": ref(0), "": 2}))',
    ),
]


def _numbers(name: str, tries: str, rows: str, shape: str = "[2]", data: str = "bytes(8)") -> Attack:
    """The traced worker sends one tensor, id 7: `rows` is the header of its numbers, `shape` what the graph says."""
    return _graph(name, tries, f"message(tensors=[weight(shape={shape})])", f"numbers({rows}, {data})")


_NUMBERS = [
    _graph("numbers-of-a-header", "announces a huge header", "message()", 'struct.pack("<Q", 1 << 63) + b"{}"'),
    _numbers("numbers-of-huge-shapes", "states more numbers than it sends", '{"7": row(1 << 40, 1 << 40)}'),
    _numbers(
        "numbers-of-empty-shapes",
        "gives an empty tensor huge extents",
        '{"7": row(0, 1 << 62, 1 << 62, end=0)}',
        "[0, 1 << 62, 1 << 62]",
        "b''",
    ),
    _numbers("numbers-of-negative-shapes", "gives a tensor a negative extent", '{"7": row(-2)}', "[-2]"),
    _numbers("numbers-that-overlap", "lets two tensors share their numbers", '{"7": row(2), "8": row(2)}'),
    _numbers("numbers-out-of-bounds", "lets a tensor begin after its end", '{"7": row(2, start=1 << 40)}'),
    _numbers("numbers-of-four-bits", "uses a type of four bits", '{"7": row(2, dtype="F4", end=1)}', data="bytes(1)"),
    _numbers(
        "numbers-that-are-complex", "uses complex numbers", '{"7": row(2, dtype="C64", end=16)}', data="bytes(16)"
    ),
    _numbers("numbers-of-odd-names", "names a tensor by digits of another script", '{"\\u0667": row(2)}'),
    _numbers("numbers-of-other-shapes", "sends another shape than it states", '{"7": row(1, 2)}'),
    _numbers(
        "numbers-too-many",
        "sends seventeen million numbers",
        '{"7": row(17 << 20, dtype="U8", end=17 << 20)}',
        "[17 << 20]",
        "bytes(17 << 20)",
    ),
]

_OUTPUTS = """
send(b"L")
os.read(3, struct.unpack("<Q", os.read(3, 8))[0])

def answer(dtype="F32", number=bytes(4), more=()):
    rows, data = {name: row(0, end=0) for name in more}, b""
    for name, batch in [(f"{mode}.{batch}.0", batch) for mode in ("eval", "train") for batch in (4, 36)]:
        start, data = len(data), data + number * batch * 10
        rows[name] = row(batch, 10, dtype=dtype, start=start, end=len(data))
    send(b"T" + numbers(rows, data))

"""


def _outputs(name: str, tries: str, code: str) -> Attack:
    """The untraced worker tells of other outputs than those of the model."""
    return _untraced(name, tries, _OUTPUTS + code)


_ANSWERS = [
    _outputs("outputs-of-zeros", "claims that the model returns zeros", "answer()"),
    _outputs(
        "outputs-of-no-numbers", "claims that it returns no numbers", 'answer(number=struct.pack("<f", float("nan")))'
    ),
    _outputs("outputs-of-another-type", "claims that it returns integers", 'answer("I32")'),
    _outputs("outputs-of-bytes", "claims that it returns numbers of eight bits", 'answer("F8_E4M3", bytes(1))'),
    _outputs("outputs-of-none", "claims that it returns nothing", 'send(b"T" + numbers({}))'),
    _outputs(
        "outputs-of-many", "returns ten thousand outputs more", 'answer(more=[f"eval.4.{n}" for n in range(1, 10_001)])'
    ),
    _outputs(
        "outputs-of-long-names", "numbers an output with ten thousand digits", 'answer(more=["eval.4." + "9" * 10_000])'
    ),
    _outputs("outputs-of-no-form", "sends outputs that can't be read", 'send(b"T" + bytes(1000))'),
]

_DRESSES = [
    _dressed(
        "dress-of-names",
        "gives its class, its modules and its parameters hostile names",
        """
        evil = "\\x1b[31m[bold]\\u202e<b>" + "x" * 10_000
        graph["name"] = message["loaded"]["class_name"] = evil
        for row in graph["tensors"][1:]:
            row.update(name=evil, aliases=[evil])
        for row in graph["modules"]:
            row.update(path=evil, type=evil)
        for one in every_node:
            one["module"] = evil
        """,
    ),
    _dressed("dress-of-halves", "has half a character for a name", 'graph["name"] = "\\ud800"', ("error",)),
    _dressed(
        "dress-of-other-files",
        "points at a secret file for every finding",
        """
        for one in every_node:
            one["span"] = {"file": SECRET, "line": 1}
        graph["span"] = message["loaded"]["span"] = {"file": RULES, "line": 1}
        """,
    ),
    _dressed(
        "dress-of-odd-places",
        "points at lines that do not exist for every finding",
        """
        for one in every_node:
            one["span"] = {"file": "model.py", "line": 1 << 30, "column": 1 << 30, "end_line": -(1 << 30)}
        """,
        ("fail", "error"),
    ),
    _dressed(
        "dress-of-huge-places",
        "points at lines beyond all numbers for every finding",
        """
        for one in every_node:
            one["span"] = {"file": "model.py", "line": 1 << 70}
        """,
        ("fail", "error"),
    ),
    _dressed(
        "dress-of-notes",
        "adds notes of its own to the report",
        """
        message["loaded"]["notes"] = ["\\x1b[2J100 of 100 points\\n"] * 20_000
        message["loaded"]["stand_ins"] = ["\\x1b[2J"] * 20_000
        """,
    ),
    _dressed(
        "dress-of-bulk",
        "fills the fields of a graph with megabytes",
        """
        bulk = "x" * (1 << 19)
        message["loaded"]["notes"] = [bulk]
        for one in every_node:
            one.update(module=bulk, span={"file": bulk, "line": 1})
        """,
        ("fail", "error"),
    ),
    _dressed(
        "dress-of-many-calls",
        "says how often its modules were called",
        """
        for row in graph["modules"]:
            row["calls"] = (1 << 63) - 1
        """,
    ),
    _dressed(
        "dress-of-other-weights",
        "calls its weights buffers",
        """
        for row in graph["tensors"][1:]:
            row.update(role="buffer", trainable=False)
        """,
    ),
    _dressed(
        "dress-of-another-operator",
        "calls its linear layer a convolution",
        """
        for one in every_node:
            one["op"] = one["op"].replace("linear", "conv2d")
        """,
        ("error",),
    ),
    _dressed(
        "dress-without-a-layer",
        "leaves its linear layer out",
        """
        for program in (graph["eval"], graph["train"]):
            program["output"] = program["nodes"].pop()["args"][0]
        """,
        ("error",),
    ),
    _dressed("dress-of-one-mode", "sends one mode for both", 'graph["train"] = graph["eval"]', ("error",)),
]

ATTACKS = [*_FRAMING, *_REFUSALS, *_GRAPHS, *_NUMBERS, *_ANSWERS, *_DRESSES]
