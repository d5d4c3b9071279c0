"""Training that is left to a device: the same numbers as with a look at each loss, recorded steps that are proven.

What a GPU would do is done by a processor here: `Tapes` replays kernels on fixed memory, as a CUDA graph does, and the
device `meta` stands for one whose numbers nobody can see. Tests that need a GPU stand at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from tape import Eager, Tapes, Waiting, Watch, Wrong
from test_training import LINEAR, bench_of, net, replay_of, synthetic, trained
from torch import Tensor

from grader import wire
from grader.checks.accuracy import Optimizer, Stage
from grader.protocol import Device, EpochRow, Progress, TrainRequest
from grader.replay import Replay, ReplayError
from grader.training import descent, loop
from grader.training.bench import Bench, NotFinite, TooEarly
from grader.training.budget import Budget, BudgetEnded
from grader.training.claims import Claim
from grader.training.data import Data
from grader.training.decision import _Case
from grader.training.device import rules
from grader.training.device.guard import prepare, same
from grader.training.device.lanes import Lane, has_room
from grader.training.device.recorder import Graphs, Recorder
from grader.training.device.step import Step
from grader.training.loop import Run
from grader.training.pace import Shortcuts
from grader.training.scores import LOSSES
from grader.training.stages import Stages
from grader.training.trial import Trial
from grader.training.turns import Turns, finished, together
from tests.support import capture_text

CPU, META = torch.device("cpu"), torch.device("meta")
ROOT = Path(__file__).resolve().parents[1]
PANEL = [ROOT / "reference_model" / "model.py", *sorted((ROOT / "benchmarks" / "panel").glob("*.py"))]
GRAPH = "float32, one CUDA graph a step"

LAYERS = """\
self.a = nn.Conv2d(1, 8, 3, stride=2, padding=1)
self.norm = nn.BatchNorm2d(8)
self.b = nn.Conv2d(8, 8, 3, stride=2, padding=1)
self.fc = nn.Linear(8 * 49, 10)"""
BODY = "x = F.dropout(F.relu(self.norm(self.a(x))), 0.1, self.training)\nx = self.b(x)\n"
CONV = net(f"{BODY}return self.fc(x.flatten(1))", LAYERS)
SHORT = Stage(epochs=2, batch=32, peak_lr=0.05)
MOVED = Stage(epochs=2, batch=32, peak_lr=0.01, optimizer="adam", weight_decay=1e-3, rotate=5.0, shift=1.0)


def run_of(text: str, recorder: Recorder | None, stage: Stage = SHORT, data: Data | None = None, **of: Any) -> Run:
    """Return a run of 25 steps an epoch that is about to begin."""
    bench = replace(bench_of(replay_of(text), data or synthetic(800)), recorder=recorder, **of)
    stages = Stages(bench, (), 99.0, 1, CPU)
    return stages._begin("short", stage, stages.examine())


def rows_of(run: Run) -> list[EpochRow]:
    torch.manual_seed(1)  # as when a run begins: others may have drawn since
    return [row for row in run.epochs(1) if row is not None]


@cache
def model(path: Path) -> Replay:
    graph, tensors, _ = wire.decode(capture_text(path.read_text()))
    return Replay(graph, tensors)


def step_of(path: Path, device: torch.device, stage: Stage = MOVED) -> Step:
    """Return a step of a model on a device, with its first epoch laid out."""
    bench = bench_of(model(path), synthetic(48))
    stages = Stages(bench, (), 99.0, 1, CPU)
    examined = stages.examine()
    bench = replace(bench, data=bench.data.to(device))
    state = {key: tensor.to(device) for key, tensor in stages.start().items()}
    learned = [state[key].requires_grad_() for key in examined.learned]
    step = Step(bench, stage, LOSSES[examined.kind], state, learned, rows=4, batch=12)
    step.begin(torch.arange(48).view(4, 12), [0.01] * 4, 1, torch.Generator().manual_seed(1))
    return step


# --- the same numbers ------------------------------------------------------------------------------------------------


class SameRule:
    """The rule of a device, asked by a host."""

    def __init__(self, rule: rules.Rule) -> None:
        self.rule = rule
        self.steps = 0

    def step(self, rate: float) -> None:
        self.steps += 1
        self.rule.step(torch.tensor(self.rule.numbers(rate, self.steps)))


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the host compute as torch does, with the masks that torch draws."""
    monkeypatch.setattr(loop, "ways", lambda *, exact: ())
    monkeypatch.setattr(Shortcuts, "around", lambda self, mask, way: None)


@pytest.mark.parametrize("stage", [SHORT, MOVED], ids=["sgd", "adam, moved"])
@pytest.mark.usefixtures("plain")
def test_a_run_left_to_the_device_is_the_run_of_the_host_to_the_last_bit(stage: Stage) -> None:
    host, device = run_of(CONV, None, stage), run_of(CONV, Tapes(), stage)
    host._rule = SameRule(rules.rule_of(stage, host._learned))
    assert rows_of(device) == rows_of(host)
    assert (device.shown, device.step, host.step) == (GRAPH, 50, 50)
    assert all(torch.equal(tensor, device.state[key]) for key, tensor in host.state.items())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_rules_of_a_device_are_those_of_the_host(optimizer: Optimizer) -> None:
    """The rate is a factor of its own on a device: what differs is rounding."""
    stage = Stage(optimizer=optimizer, weight_decay=0.01)
    generator = torch.Generator().manual_seed(1)
    ours = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4), (5,), (1,))]
    theirs = [tensor.clone() for tensor in ours]
    host, device = descent.rule_of(stage, ours), rules.rule_of(stage, theirs)
    for step in range(1, 8):
        for one, other in zip(ours[:2], theirs[:2], strict=True):  # the third has no gradient
            one.grad = torch.randn(one.shape, generator=generator, dtype=torch.float64)
            other.grad = one.grad.clone()
        host.step(0.1 / step)
        device.step(torch.tensor(device.numbers(0.1 / step, step), dtype=torch.float64))
    assert all(torch.allclose(one, other, rtol=1e-13, atol=1e-13) for one, other in zip(ours, theirs, strict=True))
    assert torch.equal(ours[2], theirs[2])


def test_a_rule_leaves_alone_what_has_no_gradient() -> None:
    still = torch.ones(3)
    for optimizer in ("sgd", "adam"):
        rules.rule_of(Stage(optimizer=optimizer), [still]).step(torch.tensor([0.1, 1.0]))
    assert torch.equal(still, torch.ones(3))


# --- a step that can be recorded -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PANEL, ids=lambda path: path.stem)
def test_no_step_of_the_panel_waits_or_leaves_the_device(path: Path) -> None:
    step = step_of(path, META)
    with Watch():
        step()
    bench, waits = step.bench, "_local_scalar_dense waits for the device"
    with Watch(), torch.no_grad():
        bench.scores("eval", bench.feed(bench.data.test.first(10)), step.state)
        with pytest.raises(RuntimeError, match=waits):  # once, for the sum of all batches
            bench.errors(bench.data.test, step.state)


@pytest.mark.parametrize("path", PANEL, ids=lambda path: path.stem)
def test_each_step_of_the_panel_is_the_same_from_its_recording(path: Path) -> None:
    prepared = prepare(step_of(path, CPU), Tapes())
    assert (prepared.shown, prepared.taken) == ("one CUDA graph a step", 3)


def test_what_waits_is_found_by_the_watch() -> None:
    """The tests above would find nothing if this found nothing."""
    numbers = torch.ones(3, device=META)
    acts: dict[str, Callable[[], object]] = {
        "_local_scalar_dense waits for the device": lambda: bool(numbers.sum() > 0),
        "nonzero waits for the device": lambda: numbers.nonzero(),
        "_to_copy takes tensors of cpu and meta": lambda: torch.tensor([1.0]).to(META),
        "convolution takes tensors of cpu and meta": lambda: torch.conv1d(numbers.view(1, 1, 3), torch.ones(1, 1, 1)),
    }
    for message, act in acts.items():
        with Watch(), pytest.raises(RuntimeError) as caught:
            act()
        assert str(caught.value) == message


# --- the guard -------------------------------------------------------------------------------------------------------


def forgets_the_cursor(step: Step, replay: Callable[[], None]) -> None:
    replay()
    step.cursor.zero_()


def draws_the_same_masks(step: Step, replay: Callable[[], None]) -> None:
    drawn = torch.get_rng_state()
    replay()
    torch.set_rng_state(drawn)


def misses_a_parameter(step: Step, replay: Callable[[], None]) -> None:
    kept = step.learned[0].detach().clone()
    replay()
    step.learned[0].data.copy_(kept)


def misses_the_statistics(step: Step, replay: Callable[[], None]) -> None:
    kept = {key: tensor.clone() for key, tensor in step.state.items() if not tensor.requires_grad}
    replay()
    for key, tensor in kept.items():
        step.state[key].copy_(tensor)


def does_nothing(step: Step, replay: Callable[[], None]) -> None:
    pass


OTHER = "float32, step by step (its replay came to something else)"
FAULTS: dict[str, tuple[Recorder, str]] = {
    "can't be recorded": (Eager(), "float32, step by step (operation not permitted when stream is capturing)"),
    "waits": (Waiting(), "float32, step by step (called a synchronizing CUDA operation)"),
    **{
        spoil.__name__.replace("_", " "): (Wrong(spoil), OTHER)
        for spoil in (
            forgets_the_cursor,
            draws_the_same_masks,
            misses_a_parameter,
            misses_the_statistics,
            does_nothing,
        )
    },
}


@pytest.mark.parametrize(("recorder", "shown"), FAULTS.values(), ids=FAULTS)
def test_a_recording_that_fails_is_no_part_of_the_result(recorder: Recorder, shown: str) -> None:
    right, run = run_of(CONV, Tapes()), run_of(CONV, recorder)
    assert rows_of(run) == rows_of(right)
    assert (right.shown, run.shown) == (GRAPH, shown)
    assert all(torch.equal(tensor, run.state[key]) for key, tensor in right.state.items())


def test_a_buffer_that_moves_is_not_recorded() -> None:
    text = net(
        "self.seen = self.seen + 1\nreturn self.fc(x.flatten(1)) + 0 * self.seen.sum()",
        "self.fc = nn.Linear(784, 10)\nself.register_buffer('seen', torch.zeros(1))",
    )
    data = synthetic(800, noise=250.0)
    run = run_of(text, Tapes(), data=data)
    rows = rows_of(run)
    assert run.shown == "float32, step by step (a buffer moves to new memory in each step)"
    assert rows == rows_of(run_of(text, Eager(), data=data))


# A mask of booleans has a result whose shape depends on numbers, which are fetched for that.
MASKED = net(f"{BODY}x = x.flatten(1)\nkept = torch.arange(8 * 49) >= 0\nreturn self.fc(x[:, kept])", LAYERS)


def test_an_operator_that_waits_is_not_recorded() -> None:
    run = run_of(MASKED, Tapes())
    rows = rows_of(run)
    assert run.shown == "float32, step by step (__getitem__ failed: index waits for the device)"
    assert rows == rows_of(run_of(MASKED, Eager()))


def test_what_is_wrong_with_a_step_is_told_as_without_a_recording() -> None:
    told = []
    for recorder in (None, Tapes()):
        run = run_of(CONV, recorder)
        key = next(key for key, tensor in run.state.items() if tensor.shape == (8, 8, 3, 3))
        run.state[key] = run.state[key][:, :4]
        with pytest.raises(ReplayError) as caught:
            rows_of(run)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_a_rate_that_is_a_number_of_python_is_caught() -> None:
    """It would be the same at each replay: the mistake that the tables of numbers are there to avoid."""
    step = step_of(PANEL[0], CPU, SHORT)
    rates = iter(range(100))

    class Rule(rules.Descent):
        def step(self, numbers: Tensor) -> None:
            super().step(numbers * (1 + next(rates)))

    step.rule = Rule(step.learned, 0.9, 0.0)
    assert prepare(step, Tapes()).shown == "step by step (its replay came to something else)"


def test_tensors_went_the_same_way_but_for_rounding() -> None:
    start, end = [torch.tensor([1.0, 2.0]), torch.tensor(7)], [torch.tensor([1.5, 2.0]), torch.tensor(8)]
    found = {
        "equal": [end[0].clone(), torch.tensor(8)],
        "rounded": [end[0] + 1e-6, torch.tensor(8)],
        "elsewhere": [end[0] + 0.01, torch.tensor(8)],
        "miscounted": [end[0], torch.tensor(9)],
        "no number": [end[0] * float("nan"), torch.tensor(8)],
    }
    assert {name: same([start], [end], [other]) for name, other in found.items()} == {
        "equal": True,
        "rounded": True,
        "elsewhere": False,
        "miscounted": False,
        "no number": False,
    }
    endless = [torch.tensor([float("-inf")])]
    assert same([endless], [endless], [endless])


# --- what is looked at in bulk ---------------------------------------------------------------------------------------


def test_progress_and_the_budget_are_looked_at_every_twenty_steps() -> None:
    seen: list[Progress] = []
    ticks = iter(range(1000))
    run = run_of(CONV, Tapes(), report=seen.append, budget=Budget(lambda: float(next(ticks)), None))
    rows_of(run)
    assert [(at.epoch, at.step) for at in seen] == [(1, 20), (1, 25), (2, 45), (2, 50)]


def test_a_budget_ends_between_two_looks() -> None:
    now = [0.0]
    run = run_of(CONV, Tapes(), budget=Budget(lambda: now[0], 5.0))
    turns = run.epochs(1)
    assert next(turns) is None
    now[0] = 6.0
    with pytest.raises(BudgetEnded):
        next(turns)
    assert run.step == 20


GROWS = net("return (30 * self.fc(x.flatten(1))) ** 3")


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("peak_lr", [3.0, 1.0, 0.1])
def test_a_loss_that_is_not_finite_is_told_with_its_step(peak_lr: float) -> None:
    stage = Stage(epochs=2, batch=32, peak_lr=peak_lr)
    found = []
    for recorder in (None, Tapes(), Eager()):
        run = run_of(GROWS, recorder, stage)
        with pytest.raises(NotFinite):
            rows_of(run)
        found.append((run.step, len(run.rows)))
    assert found == [found[0]] * 3
    assert found[0][0] > 0


@pytest.mark.usefixtures("plain")
def test_a_model_that_is_right_too_early_is_found_out() -> None:
    for recorder in (None, Tapes()):
        run = run_of(LINEAR, recorder, data=synthetic(800, noise=1.0))
        with pytest.raises(TooEarly):
            rows_of(run)
        assert run.step == 20


# --- several at once -------------------------------------------------------------------------------------------------


def test_works_take_turns_where_there_is_room() -> None:
    done: list[str] = []

    def work(name: str, turns: int) -> Turns[None]:
        for turn in range(turns):
            done.append(f"{name}{turn}")
            yield

    def works() -> Iterator[Turns[None]]:
        for name, turns in (("a", 3), ("b", 1), ("c", 2)):
            done.append(f"begin {name}")
            yield work(name, turns)

    together(works(), lambda running: False)
    assert done == ["begin a", "a0", "a1", "a2", "begin b", "b0", "begin c", "c0", "c1"]
    done.clear()
    together(works(), lambda running: running < 2)
    assert done == ["begin a", "a0", "begin b", "a1", "b0", "a2", "begin c", "c0", "c1"]


def test_work_that_nobody_waits_for_comes_to_its_result() -> None:
    def work() -> Turns[int]:
        yield
        return 7

    assert finished(work()) == 7


def alone(numbers: list[Tensor], place: int, work: Turns[None]) -> Turns[None]:
    """Do work with random numbers of its own, as a lane of a GPU does."""
    while True:
        torch.set_rng_state(numbers[place])
        try:
            next(work)
        except StopIteration:
            return
        finally:
            numbers[place] = torch.get_rng_state()
        yield


def test_a_seed_comes_to_the_same_however_many_run_beside_it() -> None:
    replay, data = replay_of(CONV), synthetic(800, noise=250.0)
    seeds = (1, 2, 3)
    claim = Claim("mean", 99.0, len(data.test), seeds)
    stage = msgspec.structs.replace(MOVED, epochs=1)

    def trained_beside(others: int) -> list[Trial]:
        bench: Bench = replace(bench_of(replay, data), recorder=Tapes())
        trials = [Trial(bench, {"long": stage}, (), claim, seed, CPU) for seed in seeds]
        numbers = [torch.get_rng_state() for _ in seeds]
        works = (alone(numbers, place, trial.train()) for place, trial in enumerate(trials))
        together(works, lambda running: running <= others)
        return trials

    expected = trained_beside(0)
    for found in map(trained_beside, (1, 2)):
        assert [trial.curve for trial in found] == [trial.curve for trial in expected]
        assert [trial.report() for trial in found] == [trial.report() for trial in expected]
    assert len({trial.curve[-1].loss for trial in expected}) == 3


# --- random numbers of a GPU -----------------------------------------------------------------------------------------


class Numbers:
    """A generator of a GPU as torch has it: several can share a state, and one that is recorded from draws no more."""

    def __init__(self, device: torch.device) -> None:
        self.shared = {"offset": 0, "recording": 0}

    def draw(self) -> int:
        if self.shared["recording"]:
            raise RuntimeError("Offset increment outside graph capture encountered unexpectedly.")
        self.shared["offset"] += 4
        return self.shared["offset"]

    def get_state(self) -> Tensor:
        return torch.tensor([self.shared["offset"]])

    def set_state(self, state: Tensor) -> None:
        self.shared["offset"] = int(state)

    def graphsafe_get_state(self) -> Numbers:
        other = Numbers(CPU)
        other.shared = self.shared
        return other

    def graphsafe_set_state(self, other: Numbers) -> None:
        self.shared = other.shared


class Stream:
    def __init__(self, device: torch.device) -> None:
        self.waited_for: list[str] = []

    def wait_stream(self, other: str) -> None:
        self.waited_for.append(other)


@pytest.fixture
def drawn_from(monkeypatch: pytest.MonkeyPatch) -> Numbers:
    """Return the generator that the operators of a GPU would draw from."""
    numbers = Numbers(CPU)
    monkeypatch.setattr(torch, "Generator", Numbers)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "the stream of the images")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "default_generators", (numbers,))
    return numbers


def test_the_random_numbers_of_a_lane_are_its_own(drawn_from: Numbers) -> None:
    device = torch.device("cuda")
    found: dict[str, list[int]] = {"a": [], "b": []}

    def draws(name: str) -> Turns[None]:
        for _ in range(3):
            found[name].append(drawn_from.draw())
            yield

    lanes = [Lane(device), Lane(device)]
    together((lane.carry(draws(name)) for lane, name in zip(lanes, found, strict=True)), lambda running: True)
    assert found == {"a": [4, 8, 12], "b": [4, 8, 12]}
    assert drawn_from.draw() == 4  # outside nothing was drawn
    assert lanes[0]._stream.waited_for == ["the stream of the images"]


def test_random_numbers_survive_a_recording_that_failed(drawn_from: Numbers) -> None:
    device, lane = torch.device("cuda"), Lane(torch.device("cuda"))
    graphs = Graphs(device)
    with lane.entered():
        drawn_from.draw()
        before = graphs.numbers()
        drawn_from.shared["recording"] = 1  # as torch leaves it
        graphs.rewind(before)
        assert drawn_from.draw() == 8
    with lane.entered():  # and the lane goes on with what the recorder put in place
        assert drawn_from.draw() == 12


def test_another_training_begins_where_memory_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10, 80))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 16)
    assert [has_room(running) for running in (1, 3, 4)] == [False, False, True]


def test_a_gpu_that_can_not_go_on_leaves_the_claim_open() -> None:
    def case(device: Device) -> _Case:
        request = TrainRequest(99.0, {}, 1, None, 1, device)
        return _Case(replay_of(LINEAR), request, ((0.5,), (0.25,)), 10, (), Budget(lambda: 0.0, None))

    error = RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA")
    assert case("cuda").stopped(error) == "the GPU could not go on: CUDA error: device-side assert triggered"
    with pytest.raises(RuntimeError):
        case("cpu").stopped(error)


# --- with a GPU ------------------------------------------------------------------------------------------------------

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@on_a_gpu
def test_a_gpu_trains_from_a_graph_and_comes_to_the_same_each_time() -> None:
    first, again = (trained(CONV, device="cuda", data=synthetic(800)) for _ in range(2))
    assert (first.outcome, first.environment["arithmetic"]) == ("confirmed", f"short: {GRAPH}")
    assert [row.loss for row in first.curve] == pytest.approx([row.loss for row in again.curve], rel=1e-3)


@on_a_gpu
def test_a_step_that_waits_is_trained_all_the_same() -> None:
    report = trained(MASKED, device="cuda", data=synthetic(800))
    assert report.outcome == "confirmed"
    assert report.environment["arithmetic"].startswith("short: float32, step by step (")


@on_a_gpu
def test_random_numbers_go_on_after_a_recording_that_failed() -> None:
    device = torch.device("cuda")
    with Lane(device).entered():
        torch.manual_seed(1)
        graphs, numbers = Graphs(device), torch.ones(1000, device=device)
        before = graphs.numbers()
        with pytest.raises(RuntimeError):
            graphs.record(lambda: float(torch.dropout(numbers, 0.5, True).sum()))
        graphs.rewind(before)
        found = torch.dropout(numbers, 0.5, True)
        torch.manual_seed(1)
        assert torch.equal(found, torch.dropout(numbers, 0.5, True))


@on_a_gpu
def test_seeds_together_on_a_gpu_come_to_what_each_comes_to_alone() -> None:
    data = synthetic(800, noise=250.0)
    whole = trained(CONV, claim="mean", seeds=3, target=10.0, device="cuda", data=data)
    parts = [trained(CONV, seed=seed, target=10.0, device="cuda", data=data) for seed in (1, 2, 3)]
    assert (whole.outcome, [part.outcome for part in parts]) == ("confirmed", ["confirmed"] * 3)
    assert [seed.errors for seed in whole.seeds] == pytest.approx([part.errors for part in parts], abs=3)
