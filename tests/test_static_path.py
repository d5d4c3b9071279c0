"""What makes the static path fast changes no verdict; and inputs lie elsewhere each time."""

from __future__ import annotations

import gc
import itertools
import os
import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from msgspec import structs
from support import HEADER, capture_text, graded

from grader import executor, kernels, rehearsal, rows, wire
from grader.experiments import Laboratory, effects
from grader.protocol import CheckRequest, TrainRequest
from grader.sandbox import pages, preload
from grader.sandbox.control import Setup, Terms
from grader.sandbox.linux import _libc, align_break
from grader.sandbox.standing import thread_count
from grader.worker import entry, finder
from grader.worker.addresses import NUMBER_BITS, OBJECT_BITS, Addresses
from grader.worker.refusal import Refused

# Inputs at other addresses


@pytest.mark.parametrize("sizes", [(4, 8), (36, 4)], ids=str)
def test_each_bit_of_an_inputs_addresses_differs_from_the_one_before(sizes: tuple[int, int]) -> None:
    addresses = Addresses()
    pair = [addresses.give(torch.randn(size, 1, 28, 28), "eval") for size in sizes]
    first, second = [(id(each) & OBJECT_BITS, each.data_ptr() & NUMBER_BITS) for each in pair]
    assert (first[0] ^ second[0], first[1] ^ second[1]) == (OBJECT_BITS, NUMBER_BITS)


def test_an_input_is_an_ordinary_tensor_of_the_same_numbers() -> None:
    images = torch.randn(4, 1, 28, 28, dtype=torch.float64)
    given = Addresses().give(images, "train")
    assert given is not images
    assert torch.equal(given, images)
    seen = (given.dtype, given.stride(), given.storage_offset(), given._version, given._is_view(), given.is_leaf)
    assert seen == (torch.float64, images.stride(), 0, 0, False, True)


@pytest.mark.parametrize("bit", range(4, 10))
def test_a_model_that_chooses_by_the_address_of_its_input_is_refused(bit: int) -> None:
    text = HEADER + (
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 10, 3)\n"
        "    def forward(self, x):\n"
        f"        odd = (id(x) >> {bit}) % 2\n"
        "        x = self.conv(x)\n"
        "        return x.amax((2, 3)) if odd else x.mean((2, 3))\n"
    )
    with pytest.raises(Refused) as refused:
        capture_text(text)
    assert refused.value.refusal.code == "data-dependent"


# What needs no proof in large batches

NET = (
    HEADER
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.last = nn.Conv2d(8, 10, 1)
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("kept", torch.ones(1))

    def forward(self, x):
        B = x.size(0)
        x = self.drop(F.relu(self.norm(self.conv(x))))
        FORWARD
"""
)
PLAIN = {
    "mean": "return self.last(x).mean((2, 3))",
    "pooled, by the batch's size": "return F.adaptive_avg_pool2d(self.last(x), 1).view(B, -1)",
    "pooled, by the number of classes": "return F.adaptive_avg_pool2d(self.last(x), 1).view(-1, 10)",
    "squeezed": "return F.avg_pool2d(self.last(x), 26).squeeze(-1).squeeze(-1)",
    "a sum of two branches": "return F.log_softmax((self.last(x) + self.last(F.leaky_relu(x, 0.1))).mean((2, 3)), 1)",
    "joined": "return torch.cat([self.last(x)], 1).flatten(2).mean(2)",
}
PECULIAR = {
    "a factor made of the batch's size": "return self.last(x).mean((2, 3)) * (B / B)",
    "a window of the batch's size": "return F.max_pool2d(self.last(x), B, 1).mean((2, 3))",
    "a padding of the batch's size": "return F.conv2d(x, self.last.weight, padding=B).mean((2, 3))",
    "a gate for large batches": "return self.last(x).mean((2, 3)) * (torch.ones(B).sum() - 64).clamp(0, 1)",
    "a gate on a counter": "return self.last(x).mean((2, 3)) * (self.norm.num_batches_tracked < 50)",
    "a threshold": "return F.hardtanh(self.last(x)).mean((2, 3))",
    "a difference": "y = self.last(x); return (y - F.relu(y)).mean((2, 3))",
    "a parameter that is not trained": "return (self.last(x) * self.scale).mean((2, 3))",
    "a buffer": "return (self.last(x) + self.kept).mean((2, 3))",
    "a statistic over the images": "return (self.last(x) + x.mean(0, keepdim=True).mean()).mean((2, 3))",
    "images as channels": "return self.last(x).transpose(0, 1).mean((2, 3)).t()",
    "a view with the images inside": "return self.last(x).view(10, B, 26, 26).mean((2, 3)).view(B, 10)",
    "images folded": "return F.softmax(self.last(x).mean((2, 3)), 0)",
    "an epsilon like no other": "return F.batch_norm(self.last(x), None, None, training=True, eps=10.0).mean((2, 3))",
    "a slope that turns round": "return F.leaky_relu(self.last(x), -1.0).mean((2, 3))",
}
EFFECTS = (CheckRequest("batch-norm"), CheckRequest("dropout"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Collect what `rows.alike` answers."""
    answers: list[bool] = []

    def alike(*arguments: object) -> bool:
        answers.append(rows.alike(*arguments))  # type: ignore[arg-type]
        return answers[-1]

    monkeypatch.setattr(effects, "rows", SimpleNamespace(alike=alike))
    yield answers


@pytest.mark.parametrize("forward", PLAIN.values(), ids=PLAIN)
def test_a_plain_program_is_told_from_its_graph(forward: str, asked: list[bool]) -> None:
    found = graded(NET.replace("FORWARD", forward), *EFFECTS)
    assert ([result.status for result in found.results], asked) == (["pass", "pass"], [True])


@pytest.mark.parametrize("forward", PECULIAR.values(), ids=PECULIAR)
def test_whatever_else_a_program_does_is_tried_out(forward: str, asked: list[bool]) -> None:
    graded(NET.replace("FORWARD", forward), *EFFECTS)
    assert asked[:1] in ([False], [])  # [] where the effect was not shown with drawn weights, so nothing is left out


def test_what_is_left_out_would_have_said_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [NET.replace("FORWARD", forward) for forward in PLAIN.values()]
    quick = [graded(text, *EFFECTS).results for text in texts]
    monkeypatch.setattr(Laboratory, "is_alike", lambda laboratory, mode: False)
    assert quick == [graded(text, *EFFECTS).results for text in texts]


# How to convolve

STEM, POINT, DEPTHWISE, WIDE = (8, 1, 3, 3), (16, 8, 1, 1), (8, 1, 3, 3), (16, 8, 5, 5)


@pytest.mark.parametrize(
    ("shapes", "writes_code"),
    [
        ([STEM, (8,), POINT], False),
        ([STEM, DEPTHWISE, POINT], True),
        ([STEM, WIDE], True),
        ([STEM, (128, 8, 3, 3), (128, 128, 3, 3)], True),
        ([], True),  # no parameters, or lazy ones: nothing is known of what it costs
    ],
    ids=["small", "depthwise", "wide", "large", "unknown"],
)
def test_small_models_convolve_without_code_written_for_them(shapes: list[tuple[int, ...]], writes_code: bool) -> None:
    kernels.suit(shapes)
    assert torch._C._get_mkldnn_enabled() == writes_code


@pytest.mark.parametrize("conv", ["nn.Conv2d(1, 8, 3)", "nn.LazyConv2d(8, 3)"])
def test_workers_and_executor_choose_by_the_same_numbers(conv: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[tuple[int, ...]]] = []
    monkeypatch.setattr(kernels, "suit", lambda shapes: asked.append([tuple(shape) for shape in shapes]))
    graded(NET.replace("FORWARD", PLAIN["mean"]).replace("nn.Conv2d(1, 8, 3)", conv))
    traced, untraced, executed = asked[1], asked[3], asked[4]  # a worker asks before its first forward too
    assert (traced, untraced, executed) == (traced,) * 3
    assert sorted(traced) == [(1,), (8,), (8,), (8,), (8, 1, 3, 3), (10,), (10, 8, 1, 1)]


def test_a_training_runs_on_code_written_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(executor, "train", lambda *given: seen.append(torch._C._get_mkldnn_enabled()))
    job = structs.replace(rehearsal.job(), train=TrainRequest(0.99, {}, 1, None, 1))
    monkeypatch.setattr(executor, "run", lambda *given: seen.append(torch._C._get_mkldnn_enabled()))
    executor.grade(job, lambda progress: None)
    assert seen == [False] * len(rehearsal.CHECKS) + [True]


# Rehearsals


def test_the_executors_rehearsal_is_a_grading_that_passes() -> None:
    found = executor.grade(rehearsal.job(), lambda progress: None)
    assert [result.status for result in found.results] == ["pass"] * len(rehearsal.CHECKS)


def test_a_rehearsal_leaves_nothing_behind() -> None:
    def state() -> tuple[object, ...]:
        return (
            list(sys.argv),
            list(sys.meta_path),
            "rehearsal" in sys.modules,
            random.getstate(),
            torch.default_generator.get_state().tolist(),
            torch.nn.Module.__init__,
            torch.nn.Module._call_impl,
            torch._C._get_mkldnn_enabled(),
        )

    finder.uninstall()  # what other tests have left
    before = state()
    executor.rehearse()
    entry.rehearse()
    assert state() == before


def test_a_capture_after_a_rehearsal_is_the_same_to_the_byte() -> None:
    text = NET.replace("FORWARD", PLAIN["mean"])
    before = capture_text(text)
    entry.rehearse()
    assert capture_text(text) == before
    assert wire.decode(before)[2].class_name == "Net"


def test_a_rehearsal_that_fails_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("broken")

    called: list[str] = []
    monkeypatch.setitem(sys.modules, "one_role", SimpleNamespace(rehearse=fails))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "another", SimpleNamespace(rehearse=lambda: called.append("another")))  # type: ignore[arg-type]
    monkeypatch.setattr(pages, "pack", lambda: called.append("packed"))
    try:
        preload.settle(Setup((), {"a": "one_role", "b": "another"}, Terms((), ""), many=True))
    finally:
        gc.unfreeze()
    assert called == ["another", "packed"]


# Memory


@pytest.mark.skipif(sys.platform != "linux", reason="the layout of memory is that of Linux")
def test_new_objects_lie_together_once_memory_is_packed() -> None:
    pid = os.fork()  # what is taken stays taken
    if pid == 0:
        pages.pack()
        made = [bytes(200) for _ in range(40)]
        steps = {id(after) - id(before) for before, after in itertools.pairwise(made)}
        os._exit(0 if len(steps) <= 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the layout of memory is that of Linux")
def test_larger_pages_hold_the_same_numbers() -> None:
    numbers = bytearray(range(256)) * (64 << 10)
    pages.enlarge()
    assert numbers == bytearray(range(256)) * (64 << 10)


@pytest.mark.skipif(sys.platform != "linux", reason="the layout of memory is that of Linux")
def test_the_heap_ends_where_a_large_page_does() -> None:
    pid = os.fork()
    if pid == 0:
        align_break(pages.LARGE)
        os._exit(_libc().sbrk(0) % pages.LARGE != 0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_threads_of_a_process_are_counted() -> None:
    expected = len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1  # noqa: PTH208
    assert (thread_count(os.getpid()), thread_count(None)) == (expected, 1)
