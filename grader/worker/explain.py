"""What a student is told when their code raises: their own exception, where it happened, why, and what to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from torch import nn

from grader.finding import Span
from grader.notebook import is_notebook
from grader.protocol import CaptureJob, Frame, Refusal
from grader.worker import pasted, places, spelling
from grader.worker.modules import LeftOut
from grader.worker.stand_ins import REPLACED, REPLACED_PARTS, StandInUsed, given_at, last_use, path_of

Stage = Literal["load", "constructor", "forward"]

SPLITS = (2, 4, 8, 16, 32, 64)  # parts of a batch that are normalised by themselves
TEXT_CAP = 2_000  # code points of an exception's own text
_HEADLINE_CAP = 300
_DOING = {"load": "while the file was loaded", "constructor": "in the constructor", "forward": "in forward"}
_LIKE_INIT = re.compile(r"_{0,3}(init|int|inti|intit)_{0,3}")
_UNCONTROLLED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class _Case:
    """What an exception is told as; `code` None is the stage's own."""

    code: Any
    message: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class _Raised:
    """An exception as text that is safe to handle, and what it was raised from."""

    error: BaseException
    kind: str
    text: str
    stage: Stage
    job: CaptureJob

    @property
    def line(self) -> str:
        """The exception as Python's last traceback line has it."""
        first = next((line.strip() for line in self.text.split("\n") if line.strip()), "")
        return f"{self.kind}: {first}" if first else self.kind

    @property
    def input(self) -> str:
        return "(N, " + ", ".join(str(size) for size in self.job.input_shape) + ")"


def refuse_exception(error: BaseException, stage: Stage, job: CaptureJob) -> Refusal:
    """Return the refusal for an exception that student code raised; nothing that the exception does can disturb it."""
    if isinstance(error, SyntaxError) and str(getattr(error, "filename", "")).startswith(places.PREFIX):
        return _syntax(error)
    raised = _Raised(error, name_of(error), clean(_text(error), TEXT_CAP), stage, job)
    frames = places.frames_of(error.__traceback__)
    span = frames[-1].span if frames else None
    if isinstance(error, StandInUsed) or "StandIn" in raised.text:
        path = getattr(error, "path", "") or _stand_in_near(error) or last_use()
        return need_of_stand_in(path, given_at(path) or span, frames)
    case = next((case for rule in _RULES if (case := rule(raised)) is not None), None) or _plain(raised)
    return Refusal(
        code=case.code or stage,
        message=clean(case.message, TEXT_CAP),
        why=case.why,
        fix=case.fix,
        span=span,
        frames=frames,
        error=clean(f"{raised.kind}: {raised.text}" if raised.text else raised.kind, TEXT_CAP),
    )


def need_of_stand_in(path: str, span: Span | None, frames: tuple[Frame, ...] = ()) -> Refusal:
    """Return the refusal of a model that computes with an absent package."""
    root = path.lstrip(".").partition(".")[0] if path.startswith(".") else path.partition(".")[0]
    if path.startswith("."):
        what, fix = f"{root} is not part of the submission", f"Submit {root}.py beside the model."
    elif root in REPLACED or path.startswith((*REPLACED_PARTS, "torch.")):
        what = f"{root if root != 'torch' else path} is replaced by a stand-in here"
        fix = "Write this part with torch.nn itself, or take it out of the model."
    else:
        what = f"{root} is neither installed here nor part of the submission"
        fix = f"Install {root}, or submit {root}.py beside the model, or write this part with torch.nn itself."
    return Refusal(
        "import",
        f"{what}, and the model needs it: {clean(path, 200)}",
        why=f"Such a package is replaced by an inert stand-in; {'the model' if span is None else 'this line'} uses it.",
        fix=fix,
        span=span,
        frames=frames,
    )


def _stand_in_near(error: BaseException) -> str:
    """Where torch refused a stand-in by its type, it is an argument of one of the calls in progress."""
    found = ""
    traceback = error.__traceback__
    while traceback is not None:
        for value in list(traceback.tb_frame.f_locals.values()):
            items = list(value) if type(value) in (tuple, list) else [value]
            found = next((path for item in items if (path := path_of(item))), found)
        traceback = traceback.tb_next
    return found


def clean(text: str, cap: int) -> str:
    """Return text without control characters, lone surrogates and marks that turn the direction, cut to `cap`."""
    cut = text[: cap + 1]
    cut = _UNCONTROLLED.sub("\ufffd", cut).encode("utf-8", "replace").decode("utf-8")
    return cut if len(cut) <= cap else cut[: cap - 1] + "…"


def name_of(value: Any) -> str:
    """Return the name of a class, a function, or an object's class, whatever their metaclass says of it."""
    owner = value if isinstance(value, type) else type(value)
    name = type.__dict__["__name__"].__get__(owner)
    if not isinstance(value, (type, BaseException)) and type(value).__name__ == "function":
        name = value.__name__
    return clean(str(name), 100)


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException:  # the exception's class is the submission's
        return "(its text could not be made)"


def _syntax(error: SyntaxError) -> Refusal:
    file = str(error.filename)[len(places.PREFIX) :]
    line, end = error.lineno or 1, getattr(error, "end_lineno", None) or error.lineno or 1
    column, end_column = max(error.offset or 0, 0), max(getattr(error, "end_offset", None) or 0, 0)
    if end_column <= column and end == line:
        end_column = column + 1 if column else 0
    text = clean(str(error.msg), TEXT_CAP)
    why, fix = (
        "Python can't read this line, so nothing of the file can be run.",
        "Run the file once before you submit it.",
    )
    if "print" in text and "parenthes" in text.lower():
        why, fix = "print without parentheses is Python 2.", "Write print(…); this file is read as Python 3."
    elif isinstance(error, TabError) or "tabs and spaces" in text:
        fix = "Indent with spaces only."
    else:
        fix = pasted.advice(places.text_of(file, line), text) or fix
    kind = name_of(error)
    return Refusal(
        "syntax",
        f"{_shown_line(file, line)} is not Python: {text}",
        why=why,
        fix=fix,
        span=Span(file, line, column, end, end_column),
        error=clean(f"{kind}: {text}", TEXT_CAP),
    )


def _shown_line(file: str, line: int) -> str:
    return f"{file}, {places.line_of(file, line)}," if is_notebook(file) else f"{file}:{line}"


def _plain(raised: _Raised) -> _Case:
    messages = {
        "load": (
            "The model's definition could not be run.",
            "Run the file once, as it was submitted, and fix what it says.",
        ),
        "constructor": ("The model could not be constructed.", _construct_fix(raised)),
        "forward": (
            f"The model was given a batch of images of shape {raised.input}.",
            f"Try it: model(torch.randn(2, {', '.join(map(str, raised.job.input_shape))})).",
        ),
    }
    why, fix = messages[raised.stage]
    return _Case(None, _headline(raised), why, fix)


def _construct_fix(raised: _Raised) -> str:
    given = ", ".join(f"{key}=…" for key in raised.job.arguments)
    name = clean(spelling.constructed(raised.error), 100) or raised.job.class_name or "Net"
    return f"Construct it once on its own: model = {name}({given})."


def _headline(raised: _Raised) -> str:
    return f"{clean(raised.line, _HEADLINE_CAP)} ({_DOING[raised.stage]})"


def _of_kind(
    kinds: type | tuple[type, ...], code: Any, message: str, why: str, fix: str
) -> Callable[[_Raised], _Case | None]:
    def rule(raised: _Raised) -> _Case | None:
        if not isinstance(raised.error, kinds):
            return None
        return _Case(code, message.format(where=_DOING[raised.stage], line=raised.line, text=raised.text), why, fix)

    return rule


def _saying(pattern: str, code: Any, message: str, why: str, fix: str) -> Callable[[_Raised], _Case | None]:
    expression = re.compile(pattern)

    def rule(raised: _Raised) -> _Case | None:
        if not expression.search(raised.text):
            return None
        shape = ", ".join(str(size) for size in raised.job.input_shape)
        values = {"where": _DOING[raised.stage], "line": raised.line, "input": raised.input, "shape": shape}
        return _Case(code, message.format(**values), why.format(**values), fix.format(**values))

    return rule


def _sizes(text: str) -> list[int]:
    return [int(size) for size in re.findall(r"-?\d+", text)][:16]


# What the sandbox answers, and what a student is to make of it.
_DENIALS = {
    errno.EPERM: (
        "A submission is graded in a sandbox: it starts no processes, opens no connections and changes no others.",
        "Take it out of the model; programs, downloads and a DataLoader's workers belong to the training script.",
    ),
    errno.EACCES: (
        "A submission is graded from its source alone: there are no other files to read.",
        "Write what the model needs from the file into the source.",
    ),
    errno.EROFS: (
        "A submission is graded in a sandbox, where nothing can be written.",
        "Take the writing of files (logs, checkpoints, plots) out of the model.",
    ),
}


def _refused_by_the_system(raised: _Raised) -> _Case | None:
    """An error of the system itself: a class of the submission's own may say anything of its number."""
    if type(raised.error) not in (OSError, PermissionError):
        return None
    denial = _DENIALS.get(raised.error.errno)  # type: ignore[attr-defined]
    return None if denial is None else _Case(None, _headline(raised), *denial)


def _wrong_channels(raised: _Raised) -> _Case | None:
    found = re.search(r"expected input\[([\d, ]+)\] to have (\d+) channels, but got (\d+) channels", raised.text)
    if found is None:
        return None
    given = _sizes(found[1])
    if tuple(given[-3:]) == raised.job.input_shape:
        return _Case(
            "input-shape",
            f"the first convolution expects {found[2]} input channels, the images have {found[3]}",
            f"The model is given images of shape {raised.input}.",
            f"Let the first convolution be nn.Conv2d({found[3]}, …).",
        )
    return _Case(
        "forward",
        f"a convolution expects {found[2]} channels and is given {found[3]}",
        f"Its input has shape ({', '.join(map(str, given))}).",
        "Make in_channels the number of channels that the layer before it gives.",
    )


def _wrong_features(raised: _Raised) -> _Case | None:
    found = re.search(r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", raised.text)
    if found is None:
        return None
    channels, height, width = raised.job.input_shape
    features = int(found[2])
    message = f"a linear layer expects {found[3]} features and is given {features}"
    images = f"The images have shape {raised.input}"
    if features == width:  # the layer was applied to the last axis of a map
        return _Case(
            "input-shape", message, f"{images} and reach the layer unflattened.", "Flatten first: x.flatten(1)."
        )
    if features == channels * height * width:
        return _Case(
            "input-shape", message, f"{images}: that is what they flatten to.", f"Make in_features {features}."
        )
    why = f"{images}; {found[3]} features belong to images of another size, or to other layers before."
    return _Case("forward", message, why, f"Make in_features {features}.")


def _wrong_view(raised: _Raised) -> _Case | None:
    found = re.search(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)", raised.text)
    if found is None:
        return None
    sizes, count = _sizes(found[1]), int(found[2])
    rest = 1
    for size in sizes[1:]:
        rest *= abs(size)
    shape = ", ".join(map(str, sizes))
    if sizes and sizes[0] > 0 and (-1 in sizes or (rest and count % rest == 0)):
        return _Case(
            "single-batch",
            f"a reshape to ({shape}) works for a batch of {sizes[0]} only",
            "The number of images in a batch varies, so its size can't be written into the model.",
            f"Write -1 or x.size(0) for the first size: x.view(x.size(0), {', '.join(map(str, sizes[1:])) or '-1'}).",
        )
    if _splits_batch(sizes, count, rest):
        return _Case(
            "single-batch",
            f"a reshape to ({shape}) does not fit every batch",
            "It splits the batch into equal parts, as ghost batch normalisation does; a batch may have any size.",
            "Let it take other batches too, or use one that is not split, such as nn.BatchNorm2d.",
        )
    return _Case(
        "input-shape",
        f"a reshape to ({shape}) does not fit {count:,} numbers",
        f"The images have shape {raised.input}; the sizes written here belong to other images or other layers before.",
        "Flatten with x.flatten(1), or correct the sizes.",
    )


def _splits_batch(sizes: list[int], count: int, rest: int) -> bool:
    """Tell whether a reshape to (-1, C, H, W), which keeps the map, fits batches that are a multiple of this one."""
    return len(sizes) == 4 and sizes[0] == -1 and rest > 0 and any(count * parts % rest == 0 for parts in SPLITS)


def _absent_import(raised: _Raised) -> _Case | None:
    if not isinstance(raised.error, ModuleNotFoundError):
        return None
    name = clean(str(getattr(raised.error, "name", "") or "a package"), 100)
    return _Case(
        "import",
        f"{name} is neither installed here nor part of the submission, and the model needs it",
        f"{raised.line}.",
        "Submit the file beside the model, or write this part with torch.nn itself.",
    )


def _absent_attribute(raised: _Raised) -> _Case | None:
    """A layer that the model uses and that nothing has made."""
    error = raised.error
    if type(error) is not AttributeError:  # another class may say anything of its name and object
        return None
    try:
        return _attribute_case(getattr(error, "name", None), getattr(error, "obj", None), raised.stage)
    except Exception:  # the object is the submission's
        return None


def _attribute_case(attribute: Any, owner: Any, stage: Stage) -> _Case | None:
    if type(attribute) is not str or not issubclass(type(owner), nn.Module):
        return None
    name = clean(attribute, 100)
    misspelt = next((key for key in vars(type(owner)) if key != "__init__" and _LIKE_INIT.fullmatch(key)), None)
    if misspelt is not None:
        fix = f"Rename {misspelt} to __init__, with two underscores on each side: it is never called."
    else:
        near = get_close_matches(name, [clean(key, 100) for key in vars(owner)["_modules"]], 1, 0.5)
        fix = f"Set self.{name} in __init__" + (f", or write self.{near[0]}." if near else ".")
    message = f"{name_of(owner)} has no self.{name} ({_DOING[stage]})"
    return _Case(None, message, "Nothing has set it before this line.", fix)


def _misspelt(raised: _Raised) -> _Case | None:
    """A name that nothing binds, or that torch does not have."""
    error = raised.error
    try:
        if type(error) is NameError:  # another class may say anything of its name
            _, fix = spelling.unbound(error)
            message = _headline(raised)
        elif type(error) is AttributeError:
            found, fix = spelling.absent(error)
            message = f"{clean(found, 200)} ({_DOING[raised.stage]})"
        else:
            return None
    except Exception:  # the names and objects are the submission's
        return None
    return _Case(None, message, "Python can't find this name.", clean(fix, 300)) if fix else None


def _unset_module(raised: _Raised) -> _Case | None:
    lost = isinstance(raised.error, AttributeError) and re.search(
        r"before Module.__init__\(\) call|has no attribute '_(modules|parameters|buffers|(backward|forward)_hooks)'",
        raised.text,
    )
    if not lost:
        return None
    return _Case(
        "constructor",
        "the constructor never calls super().__init__()",
        "Until it is called, a module can hold neither layers nor parameters.",
        "Make super().__init__() the first line of __init__.",
    )


_RULES: tuple[Callable[[_Raised], _Case | None], ...] = (
    _of_kind(
        LeftOut,
        None,
        "{text}",
        "Only definitions are run; training, downloads and other programs are left out.",
        "Give the model its own constant, or an argument with a default.",
    ),
    _of_kind(
        RecursionError,
        None,
        "{where} the code calls itself without end",
        "Python stops after some hundred calls inside calls.",
        "Look for a method that calls itself, such as forward calling self(x).",
    ),
    _of_kind(
        MemoryError, "limit", "{where} the memory ran out", "A worker's memory is limited.", "Make the model smaller."
    ),
    _saying(
        r"DefaultCPUAllocator: (can't|not enough)",
        "limit",
        "{where} the memory ran out",
        "A tensor was asked for that is larger than the memory that a worker may use.",
        "Make the model smaller.",
    ),
    _saying(
        "can't start new thread",
        None,
        "{line} ({where})",
        "Each thread takes memory, and a worker's memory is limited.",
        "Compute in one thread: a model needs no others.",
    ),
    _of_kind(
        SystemExit,
        None,
        "the code ends the program {where}",
        "A submission is loaded by the grader: sys.exit(), exit() and a failing argparse end nothing here.",
        "Take the call out of the definition; give command-line arguments defaults.",
    ),
    _of_kind(
        KeyboardInterrupt,
        None,
        "the code interrupts the program {where}",
        "It raised KeyboardInterrupt.",
        "Take it out.",
    ),
    _saying(
        "Too many open files",
        "limit",
        "{line} ({where})",
        "A submission may hold few files open at once.",
        "Take the opening of files out of the model.",
    ),
    _of_kind(
        EOFError,
        None,
        "{line} ({where})",
        "input() waits for someone at the keyboard; a submission is graded by itself.",
        "Write the value into the source.",
    ),
    _refused_by_the_system,
    _saying(
        "No usable temporary directory",
        None,
        "{line} ({where})",
        "A submission is graded in a sandbox, where nothing can be written.",
        "Take the writing of files out of the model.",
    ),
    _of_kind(
        FileNotFoundError,
        None,
        "{line} ({where})",
        "A submission is graded from its source alone: there are no other files to read.",
        "Write what the model needs from the file into the source.",
    ),
    _saying(
        "name resolution|Name or service not known|urlopen error",
        None,
        "{line} ({where})",
        "There is no network where the model is graded.",
        "Build the model from its own layers, without downloads.",
    ),
    _absent_import,
    _saying(
        "reads a file: a submission is graded from its source alone",
        None,
        "{line} ({where})",
        "There are neither files nor a network where the model is graded.",
        "Build the model from its own layers, without pretrained weights.",
    ),
    _unset_module,
    _absent_attribute,
    _misspelt,
    _saying(
        'missing the required "forward" function',
        "forward",
        "the model has no forward",
        "PyTorch calls forward(self, x) to compute the prediction.",
        "Write def forward(self, x) at the level of __init__, not inside it.",
    ),
    _saying(
        r"forward\(\) takes 1 positional argument but 2",
        "forward",
        "forward takes no input",
        "PyTorch calls forward(self, x) with the images.",
        "Write def forward(self, x).",
    ),
    _saying(
        r"forward\(\) missing \d+ required positional argument",
        "forward",
        "forward needs more than the images: {line}",
        "The model is given one tensor of shape {input}.",
        "Give the other arguments defaults.",
    ),
    _saying(
        "Expected more than 1 value per channel when training",
        "single-batch",
        "batch normalisation refuses a batch of one image",
        "On a 1×1 map each channel holds one value per image: with one image there is nothing to normalise.",
        "Normalise before the pooling, while the map is larger than 1×1.",
    ),
    _wrong_channels,
    _wrong_features,
    _wrong_view,
    _saying(
        "Kernel size can't be greater than actual input size|Output size is too small|Padding size should be less than",
        "input-shape",
        "the map becomes smaller than a kernel: {line}",
        "The images have shape {input}, smaller than those that this model was made for.",
        "Use fewer poolings or strides, or padding.",
    ),
    _saying(
        r"size mismatch|Expected [234]D|must match the size of tensor|Sizes of tensors must match"
        r"|running_mean should contain|normalized_shape"
        r"|Expected input batch_size|Expected size for first two dimensions",
        "forward",
        "shapes do not fit in forward: {line}",
        "The images have shape {input}.",
        "Print x.shape before the line, for model(torch.randn(2, {shape})).",
    ),
    _saying(
        "not compiled with CUDA|Found no NVIDIA driver|not linked with support for mps",
        None,
        "the model asks for a GPU: {line}",
        "Models are graded on the CPU.",
        "Take the device from the input: x.device.",
    ),
)
