"""A replayed graph gives what the model gives, to the bit, in both modes and at any batch size."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

import msgspec
import pytest
import torch
from support import HEADER, Answers, capture_text, job_for
from torch import Tensor

from grader import cost, wire
from grader.finding import Span
from grader.graph import Arg, Graph, Items, Mode, Node, Program, Ref, Slice, Symbol, TensorInfo
from grader.observe import observe
from grader.pictures import noise
from grader.protocol import Probe
from grader.replay import Replay, ReplayError, prediction, tensors_in
from grader.worker import capture, main
from grader.worker.load import load

BASE = "self.conv = nn.Conv2d(1, 6, 3)\nself.norm = nn.BatchNorm2d(6)\nself.drop = nn.Dropout(0.2)\nself.head = nn.Conv2d(6, 10, 1)"
BODY = "x = self.drop(F.relu(self.norm(self.conv(x))))\n"
TAIL = "return self.head(x).mean((2, 3))"


def model(init: str, forward: str) -> str:
    """Return the text of a submission from the bodies of its two methods."""
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line}" for line in init.splitlines()]
    lines += ["    def forward(self, x):", *[f"        {line}" for line in forward.splitlines()]]
    return HEADER + "\n".join(lines) + "\n"


MODELS: dict[str, str] = {
    "plain": model(BASE, BODY + TAIL),
    "in place": model(
        BASE,
        "x = self.norm(self.conv(x))\nF.relu_(x)\nF.dropout(x, 0.3, self.training, inplace=True)\nx += 1\nx *= 2\n"
        + TAIL,
    ),
    "written slices": model(
        BASE, BODY + "y = torch.zeros_like(x)\ny[:, :3] = x[:, 3:]\ny[:, 3:] = 2 * x[:, :3]\nx = y\n" + TAIL
    ),
    "write through a view": model(
        BASE, BODY + "x = x.clone()\nv = x.view(x.size(0), -1)\nv.mul_(3)\nx[:, 0].zero_()\n" + TAIL
    ),
    "views": model(
        BASE, BODY + "n, c, h, w = x.shape\nx = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)\n" + TAIL
    ),
    "spectral norm": model(BASE + "\nself.head = nn.utils.spectral_norm(self.head)", BODY + TAIL),
    "parametrized": model(
        BASE
        + "\nP = nn.utils.parametrizations\nself.head = P.spectral_norm(self.head)\nself.conv = P.weight_norm(self.conv)",
        BODY + TAIL,
    ),
    "orthogonal": model(
        BASE + "\nself.mix = nn.utils.parametrizations.orthogonal(nn.Conv2d(6, 6, 1))",
        BODY + "x = self.mix(x)\n" + TAIL,
    ),
    "pruned": model(
        "import torch.nn.utils.prune as prune\n" + BASE + "\nprune.l1_unstructured(self.head, 'weight', 0.3)",
        BODY + TAIL,
    ),
    "cumulative average": model(BASE.replace("BatchNorm2d(6)", "BatchNorm2d(6, momentum=None)"), BODY + TAIL),
    "no statistics": model(BASE.replace("BatchNorm2d(6)", "BatchNorm2d(6, track_running_stats=False)"), BODY + TAIL),
    "tied weights": model(
        BASE + "\nself.a = nn.Conv2d(6, 6, 1)\nself.b = nn.Conv2d(6, 6, 1)\nself.b.weight = self.a.weight",
        BODY + "x = self.b(self.a(x))\n" + TAIL,
    ),
    "state by assignment": model(
        BASE + "\nself.register_buffer('mean', torch.zeros(1, 6, 1, 1))",
        BODY
        + "if self.training:\n    self.mean = 0.9 * self.mean + 0.1 * x.mean((0, 2, 3), keepdim=True).detach()\nx = x - self.mean\n"
        + TAIL,
    ),
    "state in place": model(
        BASE + "\nself.register_buffer('mean', torch.zeros(1, 6, 1, 1))",
        BODY
        + "if self.training:\n    with torch.no_grad():\n        self.mean.mul_(0.9).add_(x.mean((0, 2, 3), keepdim=True))\nx = x - self.mean\n"
        + TAIL,
    ),
    "one block many times": model(
        BASE + "\nself.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))",
        BODY + "for _ in range(3): x = x + self.block(x)\n" + TAIL,
    ),
    "random masks": model(
        BASE,
        BODY
        + "if self.training:\n    x = x * (torch.rand(x.shape[0], 1, 1, 1) < 0.8) + 0.1 * torch.randn_like(x)\n"
        + TAIL,
    ),
    "attention": model(
        BASE,
        BODY
        + "f = F.max_pool2d(x, 4).flatten(2)\na = torch.softmax(f.transpose(1, 2) @ f / 6 ** 0.5, -1)\nx = (f @ a).view(-1, 6, 6, 6)\n"
        + TAIL,
    ),
    "padding and shapes": model(
        BASE,
        BODY
        + "x = F.pad(x, (1, 1, 1, 1), mode='reflect')\nreturn F.avg_pool2d(self.head(x), x.shape[2:]).view(x.size(0), -1)",
    ),
    "constants": model(
        "self.scale = [torch.full((1, 6, 1, 1), 0.5)]\n" + BASE,
        BODY + "x = x * self.scale[0] + torch.linspace(0, 1, 6)[:, None, None]\n" + TAIL,
    ),
    "double": model(BASE + "\nself.double()", "x = x.double()\n" + BODY + TAIL),
}


@pytest.mark.parametrize("name", MODELS)
def test_replay_is_equal_to_the_model(name: str) -> None:
    text = MODELS[name]
    graph, tensors, _ = wire.decode(capture_text(text))
    replay = Replay(graph, tensors)
    job = job_for(text)
    state = capture.warm_up(net := load(job).model, job)
    for mode in ("eval", "train"):
        for batch in (2, 3, 7):
            state.restore()
            images = noise(batch, (1, 28, 28), 40 + batch)
            expected = capture.forward(net, mode, images, 5, job)  # type: ignore[arg-type]
            torch.default_generator.manual_seed(5)
            found = replay.run(mode, images, replay.state())  # type: ignore[arg-type]
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "state by assignment",
        "state in place",
        "spectral norm",
    ],
)
def test_state_is_carried_from_run_to_run(name: str) -> None:
    """Three training steps, then a prediction: the statistics that a model keeps are kept by the replay."""
    text = MODELS[name]
    replay = Replay(*wire.decode(capture_text(text))[:2])
    job = job_for(text)
    net = load(job).model
    capture.warm_up(net, job).restore()
    state = replay.state()
    for step, mode in enumerate(["train", "train", "train", "eval"]):
        images = noise(4, (1, 28, 28), step)
        expected = capture.forward(net, mode, images, step, job)  # type: ignore[arg-type]
        torch.default_generator.manual_seed(step)
        with torch.no_grad():
            found = replay.run(mode, images, state)  # type: ignore[arg-type]
        assert torch.equal(found, expected)


def test_untraced_worker_answers_for_both_modes_and_batches() -> None:
    job = job_for(MODELS["plain"], untraced=True)
    channel = Answers(msgspec.msgpack.encode(job), msgspec.msgpack.encode(Probe(7, (2, 5))))
    main.serve(channel)
    assert channel.sent[0] == b"L"
    found = {name: tuple(tensor.shape) for name, tensor in wire.decode_tensors(channel.sent[1][1:]).items()}
    assert found == {"eval.2.0": (2, 10), "eval.5.0": (5, 10), "train.2.0": (2, 10), "train.5.0": (5, 10)}


def test_state_is_fresh() -> None:
    replay = Replay(*wire.decode(capture_text(MODELS["plain"]))[:2])
    state = replay.state()
    for tensor in state.values():
        tensor.zero_()
    assert any(bool(tensor.any()) for tensor in replay.tensors.values())


RESULT = Ref(10)


def graph(*nodes: Node, output: Arg = RESULT, tensors: dict[int, Tensor] | None = None) -> Replay:
    """Return a replay of nodes written by hand, alike in both modes."""
    tensors = tensors or {}
    infos = (
        TensorInfo(0, "input"),
        *[TensorInfo(key, "parameter", f"p{key}", tuple(item.shape)) for key, item in tensors.items()],
    )
    program = Program(nodes, output)
    return Replay(Graph("Net", infos, program, program), tensors)


def call(op: str, *args: Arg, out: tuple[int, ...] = (10,), grad: bool = True, **kwargs: Arg) -> Node:
    return Node(op, args, kwargs, out, "", grad, Span("model.py", 1))


IMAGES = torch.randn((3, 1, 4, 4), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "node",
    [
        call("torch.Tensor.view", Ref(0), 7, 7),
        call("torch.matmul", Ref(0), "text"),
        call("torch.sum"),
        call("torch.Tensor.__getitem__", Ref(0), 9),
        call("torch.relu", Ref(0), unknown=1),
        call("torch.cat", Items(())),
        call("torch.nn.functional.interpolate", Ref(0), 3, mode="nonsense"),
    ],
)
def test_a_node_that_fails_is_named(node: Node) -> None:
    with pytest.raises(ReplayError, match=rf"^{node.op.rpartition('.')[2]} failed: ") as caught:
        graph(call("torch.abs", Ref(0), out=(9,)), node).run("train", IMAGES, {})
    assert (caught.value.mode, caught.value.index) == ("train", 1)


@pytest.mark.parametrize(
    "node",
    [
        call("torch.nn.functional.softmax", "text", 1),
        call("torch.nn.functional.normalize", "text"),
        call("torch.nn.functional.lp_pool2d", Ref(0), 0, 2),
        call("torch.Tensor.__deepcopy__", Ref(0), Items(())),
    ],
)
def test_a_node_that_fails_otherwise_is_named(node: Node) -> None:
    with pytest.raises(ReplayError):
        graph(node).run("train", IMAGES, {})


@pytest.mark.parametrize("node", [call("torch.zeros", Symbol("inf"))])
def test_an_observation_that_fails_is_named(node: Node) -> None:
    with pytest.raises(ReplayError):
        observe(graph(node), "train", IMAGES, cost.Limits())


def test_another_number_of_results() -> None:
    with pytest.raises(ReplayError, match=r"^a node returned 2 tensors where the graph has 1$") as caught:
        graph(call("torch.Tensor.chunk", Ref(0), 2, 2)).run("eval", IMAGES, {})
    assert caught.value.index == 0


def test_outputs_of_any_form() -> None:
    replay = graph(call("torch.relu", Ref(0)), output=Items((Ref(10), Items((Ref(0), None)), 3)))
    found = replay.run("eval", IMAGES, {})
    assert [item.shape for item in tensors_in(found)] == [IMAGES.shape, IMAGES.shape]
    assert torch.equal(prediction(found), IMAGES.relu())  # type: ignore[arg-type]
    assert prediction((1, None)) is None


def test_the_prediction_is_the_first_tensor_with_a_score_for_each_class() -> None:
    features, scores, others = noise(4, (16,), 1), noise(4, (10,), 2), noise(4, (10,), 3)
    assert prediction((features, (scores, others)), 10) is scores
    assert prediction((features, scores[0]), 10) is features
    assert prediction((features, scores)) is features


def test_gradients_stop_where_the_submission_stopped_them() -> None:
    weight = torch.ones(1, requires_grad=True)
    replay = graph(call("torch.mul", Ref(0), Ref(1), grad=False), tensors={1: weight})
    assert not replay.run("train", IMAGES, {1: weight}).requires_grad
    replay = graph(call("torch.mul", Ref(0), Ref(1)), tensors={1: weight})
    assert replay.run("train", IMAGES, {1: weight}).requires_grad
    with torch.no_grad():
        assert not replay.run("train", IMAGES, {1: weight}).requires_grad


def test_around_takes_the_place_of_an_operator() -> None:
    replay = graph(call("torch.relu", Ref(0), out=(9,)), call("torch.neg", Ref(9)))
    seen = []

    def around(index: int, op: object, args: tuple[Tensor, ...], kwargs: object, values: dict[int, Tensor]) -> Tensor:
        seen.append(index)
        return args[0] + index

    assert torch.equal(replay.run("eval", IMAGES, {}, around), IMAGES + 0 + 1)
    assert seen == [0, 1]
    assert torch.equal(replay.run("eval", IMAGES, {9: IMAGES}, around, start=1), IMAGES + 1)
    assert seen == [0, 1, 1]


def test_facts_of_writes_and_views() -> None:
    """What is written through a view is a writer of the whole; a node that only reads is none."""
    replay = graph(
        call("torch.clone", Ref(0), out=(1,)),
        call("torch.Tensor.select", Ref(1), 1, 0, out=(2,)),
        call("torch.Tensor.mul_", Ref(2), 2.0, out=(2,)),
        call("torch.sum", Ref(2), out=(3,)),
        call("torch.neg", Ref(1)),
    )
    facts, found = observe(replay, "eval", IMAGES, cost.Limits())
    assert torch.equal(found[0], -2 * IMAGES)
    assert facts.live == {0, 1, 2, 4}
    assert [step.wrote for step in facts.steps] == [False, False, True, False, False]
    assert all(step.from_input for step in facts.steps)


def test_facts_of_what_does_not_follow_the_input() -> None:
    replay = graph(
        call("torch.neg", Ref(1), out=(2,)),
        call("torch.nn.functional.conv2d", Ref(0), Ref(2)),
        tensors={1: torch.ones(2, 1, 3, 3)},
    )
    facts, _ = observe(replay, "eval", IMAGES, cost.Limits())
    assert [step.from_input for step in facts.steps] == [False, True]
    weight = facts.steps[1].operand("weight")
    assert weight is not None
    assert (weight.writers, weight.leaf, weight.shape) == ((0,), None, (2, 1, 3, 3))
    assert facts.steps[0].operands[0].leaf == 1
    assert facts.steps[1].axes == ((2, 3),)
    assert facts.steps[1].macs == 3 * 2 * 2 * 2 * 9
    assert facts.finite


def test_infinite_output_is_noticed() -> None:
    facts, _ = observe(graph(call("torch.div", Ref(0), 0)), "eval", IMAGES, cost.Limits())
    assert not facts.finite


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_observing_changes_nothing(mode: Mode) -> None:
    replay = Replay(*wire.decode(capture_text(MODELS["state in place"]))[:2])
    before = {key: tensor.clone() for key, tensor in replay.tensors.items()}
    observe(replay, mode, noise(3, (1, 28, 28), 1), cost.Limits())
    assert all(torch.equal(replay.tensors[key], before[key]) for key in before)


def test_bounds_of_a_slice_are_no_results() -> None:
    replay = graph(call("torch.relu", Ref(0)), output=Items((Slice(Ref(0), None, None), Ref(10))))
    facts, found = observe(replay, "eval", IMAGES, cost.Limits())
    assert [operand.id for operand in facts.output] == [10]
    assert len(found) == 1


def test_more_axes_than_torch_computes_on() -> None:
    observe(graph(call("torch.Tensor.view", Ref(0), Items((*[1] * 63, -1)))), "eval", IMAGES, cost.Limits())
    with pytest.raises(ReplayError, match=r"^view makes a tensor of more than 64 axes$"):
        observe(graph(call("torch.Tensor.view", Ref(0), Items((*[1] * 64, -1)))), "eval", IMAGES, cost.Limits())


def test_a_rebound_id_is_refused() -> None:
    replay = graph(call("torch.relu", Ref(0), out=(0,)), call("torch.neg", Ref(0)))
    with pytest.raises(ReplayError, match="a node returned another tensor than it was given"):
        observe(replay, "eval", IMAGES, cost.Limits())


def test_state_that_training_assigns_and_evaluation_reads() -> None:
    text = HEADER + (
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 10, 3)\n"
        "        self.register_buffer('centre', torch.zeros(()))\n"
        "    def forward(self, x):\n"
        "        if self.training:\n"
        "            self.centre = x.mean().detach()\n"
        "            return self.conv(x).mean((2, 3))\n"
        "        return self.conv(x - self.centre).mean((2, 3))\n"
    )
    graph_, tensors, _ = wire.decode(capture_text(text))
    (centre,) = (info.id for info in graph_.tensors if info.name == "centre")
    assert [kept for kept, _ in graph_.train.updates] == [centre]
    replay = Replay(graph_, tensors)
    state = replay.state()
    replay.run("train", IMAGES, state)
    assert torch.equal(state[centre], IMAGES.mean())
