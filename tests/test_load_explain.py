"""What students are told when their code raises."""

from __future__ import annotations

import sys

import pytest
import torch

from grader.finding import Span
from grader.protocol import CaptureJob, Refusal
from grader.worker import explain, places
from grader.worker.load import load
from grader.worker.refusal import Refused

PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def told(layers: str, forward: str, batch: int = 2) -> Refusal:
    """What forward's exception is told as; `forward` stands on line 9."""
    text = f"""{HEAD}
class Net(nn.Module):
    def __init__(self):
        super().__init__(); {layers}
    def forward(self, x):
        {forward}
"""
    job = CaptureJob({"m.py": text.encode()}, "m.py", None, {}, (1, 28, 28), 10, 3)
    model = load(job).model
    with pytest.raises(BaseException) as caught:
        model(torch.randn(batch, 1, 28, 28))
    return explain.refuse_exception(caught.value, "forward", job)


CASES = {
    "a layer made of the images": (
        "self.d = nn.Dropout(0.1)",
        "return self.d(nn.ReLU(x))",
        "forward",
        "in forward the layer nn.ReLU is given where a tensor is expected",
    ),
    "a rate made of the images": (
        "pass",
        "return nn.Dropout(x)",
        "forward",
        "RuntimeError: Boolean value of Tensor with more than one value is ambiguous (in forward)",
    ),
    "a list of layers": (
        "self.c = [nn.ReLU()]",
        "return self.c(x)",
        "forward",
        "in forward a list is called like a layer",
    ),
    "a comma too many": (
        "self.c = nn.ReLU(),",
        "return self.c(x)",
        "forward",
        "in forward a tuple is called like a layer",
    ),
    "no layer at all": ("self.c = None", "return self.c(x)", "forward", "in forward None is called like a layer"),
    "channels of the images": (
        "self.c = nn.Conv2d(3, 8, 3)",
        "return self.c(x)",
        "input-shape",
        "the first convolution expects 3 input channels, the images have 1",
    ),
    "channels between layers": (
        "self.c = nn.Conv2d(1, 8, 3); self.d = nn.Conv2d(16, 8, 3)",
        "return self.d(self.c(x))",
        "forward",
        "a convolution expects 16 channels and is given 8",
    ),
    "features of the images": (
        "self.f = nn.Linear(3072, 10)",
        "return self.f(x.flatten(1))",
        "input-shape",
        "a linear layer expects 3072 features and is given 784",
    ),
    "unflattened": (
        "self.f = nn.Linear(784, 10)",
        "return self.f(x)",
        "input-shape",
        "a linear layer expects 784 features and is given 28",
    ),
    "features between layers": (
        "self.f = nn.Linear(320, 10)",
        "return self.f(x[:, :, 1:].flatten(1))",
        "forward",
        "a linear layer expects 320 features and is given 756",
    ),
    "a batch written into the model": (
        "pass",
        "return x.view(64, 784)",
        "single-batch",
        "a reshape to (64, 784) works for a batch of 64 only",
    ),
    "a batch of one": (
        "pass",
        "return x.view(1, 784)",
        "single-batch",
        "a reshape to (1, 784) works for a batch of 1 only",
    ),
    "a batch with a free size": (
        "pass",
        "return x.view(64, 7, -1).view(999, -1)",
        "single-batch",
        "a reshape to (64, 7, -1) works for a batch of 64 only",
    ),
    "a flattened size": (
        "pass",
        "return x.view(-1, 400)",
        "input-shape",
        "a reshape to (-1, 400) does not fit 1,568 numbers",
    ),
    "too small a map": (
        "self.c = nn.Conv2d(1, 8, 3)",
        "return self.c(F.max_pool2d(x, 14))",
        "input-shape",
        (
            "the map becomes smaller than a kernel: RuntimeError: Calculated padded input size per channel: (2 x 2). "
            "Kernel size: (3 x 3). Kernel size can't be greater than actual input size"
        ),
    ),
    "sizes": (
        "pass",
        "return x + torch.ones(27)",
        "forward",
        (
            "shapes do not fit in forward: RuntimeError: The size of tensor a (28) must match the size of tensor b "
            "(27) at non-singleton dimension 3"
        ),
    ),
    "no such attribute": (
        "pass",
        "return self.conv1(x)",
        "forward",
        "Net has no self.conv1 (in forward)",
    ),
    "a layer that torch lacks": (
        "pass",
        "return nn.Batchnorm2d(1)(x)",
        "forward",
        "nn has no Batchnorm2d (in forward)",
    ),
    "a method that tensors lack": ("pass", "return x.sofmax(1)", "forward", "a tensor has no sofmax (in forward)"),
    "a missing import": ("pass", "return np.mean(x)", "forward", "NameError: name 'np' is not defined (in forward)"),
    "types of numbers": (
        "self.c = nn.Conv2d(1, 8, 3).half()",
        "return self.c(x)",
        "forward",
        "in forward a layer is given numbers of another type than its weights",
    ),
    "a prompt": (
        "pass",
        "raise EOFError('EOF when reading a line')",
        "forward",
        "EOFError: EOF when reading a line (in forward)",
    ),
    "recursion": ("pass", "return self.forward(x)", "forward", "in forward the code calls itself without end"),
    "exit": ("pass", "raise SystemExit(0)", "forward", "the code ends the program in forward"),
    "interrupt": ("pass", "raise KeyboardInterrupt", "forward", "the code interrupts the program in forward"),
    "memory": ("pass", "raise MemoryError", "limit", "in forward the memory ran out"),
    "an absent import": (
        "pass",
        "import importlib; importlib.import_module('timm')",
        "import",
        "timm is neither installed here nor part of the submission, and the model needs it",
    ),
    "not implemented": ("pass", "raise NotImplementedError", "forward", "NotImplementedError (in forward)"),
    "controls": ("pass", "raise ValueError('\\x1b[31m\\u202e' + 'x' * 5000)", "forward", None),
}


@pytest.mark.parametrize("case", CASES)
def test_exceptions_of_forward(case: str) -> None:
    layers, forward, code, message = CASES[case]
    refusal = told(layers, forward)
    assert refusal.code == code
    if message is None:
        assert refusal.message == "ValueError: \ufffd[31m\ufffd" + "x" * 281 + "… (in forward)"
        assert len(refusal.error) == explain.TEXT_CAP
    else:
        assert refusal.message == message
    assert refusal.span is not None
    assert (refusal.span.file, refusal.span.line) == ("m.py", 9)
    assert all((refusal.why, refusal.fix))


def test_a_layer_that_was_never_made() -> None:
    refusal = told("self.conv1 = nn.Conv2d(1, 10, 3); self.pool = nn.MaxPool2d(2)", "return self.conv(x)")
    assert refusal.message == "Net has no self.conv (in forward)"
    assert refusal.fix == "Set self.conv in __init__, or write self.conv1."
    assert told("pass", "return self.conv(x)").fix == "Set self.conv in __init__."


@pytest.mark.parametrize(
    ("forward", "fix"),
    [
        ("return nn.Batchnorm2d(1)(x)", "Did you mean nn.BatchNorm2d?"),
        ("return F.max_pool_2d(x, 2)", "Did you mean F.max_pool2d?"),
        ("return torch.flaten(x, 1)", "Did you mean torch.flatten?"),
        ("return x.mena(1)", "Did you mean mean?"),
        ("return torch.qqqqqq(x)", "Look it up in PyTorch's documentation."),
        ("return np.mean(x)", "Add the import: import numpy as np."),
        ("images = x; return image.mean()", "Did you mean images?"),
        ("return qqqqqq(x)", "Give qqqqqq a value before this line, or import it."),
    ],
)
def test_a_misspelt_name(forward: str, fix: str) -> None:
    assert told("pass", forward).fix == fix


def test_the_name_of_another_class_in_super() -> None:
    text = f"{HEAD}class MyNet(nn.Module):\n  def __init__(self):\n    super(Net, self).__init__()\n"
    text += "  def forward(self, x):\n    return x\n"
    with pytest.raises(Refused) as caught:
        load(CaptureJob({"m.py": text.encode()}, "m.py", None, {}, (1, 28, 28), 10, 3))
    refusal = caught.value.refusal
    assert refusal.fix == "The class is called MyNet: write super().__init__(), which needs no name."
    assert refusal.span is not None and refusal.span.line == 6


def test_the_class_is_named_whose_constructor_fails() -> None:
    text = f"{HEAD}class MyNet(nn.Module):\n  def __init__(self):\n    raise ValueError\n"
    text += "  def forward(self, x):\n    return x\n"
    with pytest.raises(Refused) as caught:
        load(CaptureJob({"m.py": text.encode()}, "m.py", None, {}, (1, 28, 28), 10, 3))
    assert caught.value.refusal.fix == "Construct it once on its own: model = MyNet()."


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("<<<<<<< HEAD", "Keep one of the two versions, and delete the lines with which git marks the conflict."),
        (">>> import torch", "Delete the prompts of the console, >>> and ..., in front of the code."),
        ("```python", "Delete the line: it belongs to Markdown, not to the code."),
        ("<!DOCTYPE html>", "This is a web page: download the file itself."),
        ("oid sha256:4d7a21461", "This is a pointer of Git LFS: submit the file itself."),
        ("Traceback (most recent call last):", "Delete the error message that was pasted into the file."),
        ("x = \u201cNet\u201d", "Type the quotation marks anew: these come from a word processor."),
        ("x =\u00a01", "Replace the odd spaces by plain ones: they come from a web page."),
        ("class Net\uff1a", "Type the full-width signs anew, as (, ), : and the comma of Python."),
        ("x = '\u201cNet\u201d' +", f"Run the file once with {PYTHON} before you submit it."),
    ],
)
def test_a_line_from_elsewhere(line: str, fix: str) -> None:
    with pytest.raises(Refused) as caught:
        load(CaptureJob({"m.py": f"{line}\n".encode()}, "m.py", None, {}, (1, 28, 28), 10, 3))
    assert (caught.value.refusal.code, caught.value.refusal.fix) == ("syntax", fix)


def test_an_assert_of_the_model_is_told_apart_from_those_of_torch() -> None:
    own = told("pass", "assert x.is_cuda, 'GPU'")
    assert (own.message, own.fix) == (
        "AssertionError: GPU (in forward)",
        "Take it out, or ask for what holds on every machine and for every batch.",
    )
    other = told("pass", "return nn.MultiheadAttention(5, 2)(x)")
    assert other.message == "AssertionError: embed_dim must be divisible by num_heads (in forward)"
    assert other.fix == "Try it: model(torch.randn(2, 1, 28, 28))."


def test_a_file_that_was_not_submitted() -> None:
    refusal = explain.need_of_stand_in(".blocks.Block", None)
    assert refusal.message == "blocks is not part of the submission, and the model needs it: .blocks.Block"
    assert refusal.fix == "Submit blocks.py beside the model."


@pytest.mark.parametrize("name", ["_init_", "__int__", "init", "_init__"])
def test_a_misspelt_constructor(name: str) -> None:
    text = (
        f"{HEAD}class Net(nn.Module):\n  def {name}(self):\n    pass\n  def forward(self, x):\n    return self.a(x)\n"
    )
    job = CaptureJob({"m.py": text.encode()}, "m.py", None, {}, (1, 28, 28), 10, 3)
    with pytest.raises(AttributeError) as caught:
        load(job).model(torch.randn(2, 1, 28, 28))
    refusal = explain.refuse_exception(caught.value, "forward", job)
    assert refusal.fix == f"Rename {name} to __init__, with two underscores on each side: it is never called."


@pytest.mark.parametrize(
    ("view", "code", "message"),
    [
        ("x.view(-1, 4, 28, 28)", "single-batch", "a reshape to (-1, 4, 28, 28) does not fit every batch"),
        ("x.view(-1, 1, 27, 28)", "input-shape", "a reshape to (-1, 1, 27, 28) does not fit 1,568 numbers"),
        ("x.view(-1, 3136)", "input-shape", "a reshape to (-1, 3136) does not fit 1,568 numbers"),
    ],
)
def test_a_reshape_that_splits_the_batch(view: str, code: str, message: str) -> None:
    refusal = told("pass", f"return {view}")
    assert (refusal.code, refusal.message) == (code, message)


def test_a_batch_of_one_under_batch_norm() -> None:
    refusal = told("self.b = nn.BatchNorm2d(1)", "return self.b(x.mean((2, 3), keepdim=True))", batch=1)
    assert (refusal.code, refusal.message) == ("single-batch", "batch normalisation refuses a batch of one image")


def test_a_shape_of_the_images_is_said() -> None:
    assert (
        told("self.c = nn.Conv2d(3, 8, 3)", "return self.c(x)").why
        == "The model is given images of shape (N, 1, 28, 28)."
    )


def test_the_traceback_is_trimmed_to_the_submission() -> None:
    refusal = told("self.body = nn.Sequential(nn.ReLU(), nn.Linear(3, 3))", "return self.body(x)")
    assert [(frame.span.line, frame.function) for frame in refusal.frames] == [(9, "forward")]
    refusal = told("pass", "return self.forward(x)")
    assert len(refusal.frames) == places.FRAME_CAP


def test_columns_count_code_points() -> None:
    refusal = told("pass", "y = 'ü€\U0001d54f'; return x.viev(3)")
    assert refusal.span is not None
    found = (refusal.span.column, refusal.span.end_column)
    assert found in ((27, 33), (0, 0))  # Python 3.10 knows the line only


class Odd(Exception):
    def __init__(self, text: object) -> None:
        self.odd = text

    def __str__(self) -> str:
        if isinstance(self.odd, BaseException):
            raise self.odd
        return self.odd  # type: ignore[return-value]


class Liar(str):
    def __getitem__(self, key: object) -> str:  # type: ignore[override]
        raise ValueError

    def split(self, *args: object) -> list[str]:  # type: ignore[override]
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Odd(SystemExit()), "Odd: (its text could not be made)"),
        (Odd(3), "Odd: (its text could not be made)"),
        (Odd(Liar("a lie")), "Odd: a lie"),
        (Odd("\ud800"), "Odd: ?"),
        (Odd("x" * 3000), "Odd: " + "x" * 1994 + "…"),
        (Odd(""), "Odd"),
    ],
)
def test_hostile_exceptions(error: Exception, text: str) -> None:
    job = CaptureJob({}, "m.py", None, {}, (1, 28, 28), 10, 3)
    refusal = explain.refuse_exception(error, "forward", job)
    assert (refusal.error, refusal.code, refusal.span) == (text, "forward", None)


def test_nearest_is_the_innermost_frame_of_the_submission() -> None:
    import sys

    code = compile("def f():\n    return (look(), 1)\nfound = f()\n", places.PREFIX + "a.py", "exec")
    names: dict[str, object] = {"look": lambda: places.nearest(sys._getframe())}
    places.remember("a.py", "def f():\n    return (look(), 1)\nfound = f()\n")
    exec(code, names)
    span = names["found"][0]  # type: ignore[index]
    assert span in (Span("a.py", 2, 13, 2, 19), Span("a.py", 2))
