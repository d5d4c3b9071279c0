"""What each exception means: a table of rules, of which the first that fits is told."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Any

from grader.worker import places
from grader.worker.explain.layers import layer_for_tensor, no_layer
from grader.worker.explain.names import absent_attribute, absent_import, misspelt, unset_module
from grader.worker.explain.raised import DOING, Case, Raised, headline
from grader.worker.explain.shapes import wrong_channels, wrong_features, wrong_view
from grader.worker.modules import LeftOut
from grader.worker.unrecorded import REMOVE_HOOK

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


def _of_kind(
    kinds: type | tuple[type, ...], code: Any, message: str, why: str, fix: str
) -> Callable[[Raised], Case | None]:
    def rule(raised: Raised) -> Case | None:
        if not isinstance(raised.error, kinds):
            return None
        return Case(code, message.format(where=DOING[raised.stage], line=raised.line, text=raised.text), why, fix)

    return rule


def _saying(pattern: str, code: Any, message: str, why: str, fix: str) -> Callable[[Raised], Case | None]:
    expression = re.compile(pattern)

    def rule(raised: Raised) -> Case | None:
        if not expression.search(raised.text):
            return None
        shape = ", ".join(str(size) for size in raised.job.input_shape)
        values = {"where": DOING[raised.stage], "line": raised.line, "input": raised.input, "shape": shape}
        return Case(code, message.format(**values), why.format(**values), fix.format(**values))

    return rule


def _refused_by_the_system(raised: Raised) -> Case | None:
    """An error of the system itself: a class of the submission's own may say anything of its number."""
    if type(raised.error) not in (OSError, PermissionError):
        return None
    denial = _DENIALS.get(raised.error.errno)  # type: ignore[attr-defined]
    return None if denial is None else Case(None, headline(raised), *denial)


def _own_assert(raised: Raised) -> Case | None:
    """An `assert` of the submission itself, not one of what it calls."""
    step = raised.error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if type(raised.error) is not AssertionError or step is None:
        return None
    if not step.tb_frame.f_code.co_filename.startswith(places.PREFIX):
        return None
    why = "This assert does not hold where the model is graded: on a CPU, with batches of several sizes."
    return Case(None, headline(raised), why, "Take it out, or ask for what holds on every machine and for every batch.")


def _in_a_hook(raised: Raised) -> Case | None:
    """An error of a hook: it is not the model that needs mending."""
    step = raised.error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None or not places.in_hook(step.tb_frame):
        return None
    return Case(None, headline(raised), "It is raised in a hook that the file leaves on its model.", REMOVE_HOOK)


RULES: tuple[Callable[[Raised], Case | None], ...] = (
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
    _own_assert,
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
    _saying(
        "reads a file: a submission is graded from its source alone",
        None,
        "{line} ({where})",
        "There are neither files nor a network where the model is graded.",
        "Build the model from its own layers, without pretrained weights.",
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
    _in_a_hook,
    absent_import,
    unset_module,
    absent_attribute,
    misspelt,
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
    layer_for_tensor,
    no_layer,
    _saying(
        r"^(list|tuple|generator) is not a Module subclass",
        None,
        "{line} ({where})",
        "nn.Sequential takes its layers one by one.",
        "Put a star in front: nn.Sequential(*layers).",
    ),
    _saying(
        "^Boolean value of Tensor with more than one value is ambiguous",
        None,
        "{line} ({where})",
        "A tensor of many numbers is neither true nor false.",
        "Take it out of if, and, or, not; nn.Dropout(x) makes a layer: make it in __init__, and call that.",
    ),
    _saying(
        r"Input type \(.+?\) and (bias|weight) type \(.+?\) should be the same|must have the same dtype"
        r"|expected scalar type \w+ but found (Half|Double|BFloat16)",
        "forward",
        "in forward a layer is given numbers of another type than its weights",
        "The images have the type torch.float32.",
        "Leave .half() and .double() out, or begin forward with x = x.to(self.conv.weight.dtype), by its layer's name.",
    ),
    wrong_channels,
    wrong_features,
    wrong_view,
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
