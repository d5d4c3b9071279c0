from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grader.protocol import GRAPH_CAP, REFUSAL_CAP, CaptureJob, Graded, Loaded, Progress, Refusal, Ungradable
from grader.sandbox import (
    Captured,
    Crashed,
    Executed,
    Malformed,
    Refused,
    SandboxError,
    Template,
    TimedOut,
    TooLarge,
    Unexecuted,
    capture,
    execute,
    kin,
)
from grader.sandbox.control import Errand
from grader.sandbox.conversation import Ask, Conversation, Script, converse, greet
from grader.sandbox.launch import Forking
from grader.sandbox.outcomes import Replied
from grader.sandbox.tail import KEPT_BYTES
from grader.sandbox.template import Child, Start

TESTS = Path(__file__).parent
ROLES = {"worker": "sandbox_roles", "executor": "sandbox_roles"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


WORKER = Errand("worker", 60)


def start(how: Start = "fork") -> Template:
    """Start a template whose children are not confined: what they do here, a confined one could not."""
    return Template.start(sandbox="off", roles=ROLES, preload=(), path=[str(TESTS)], start=how)


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with start() as running:
        running.ready()
        yield running


@pytest.fixture(scope="module", params=["fork", "spawn"])
def either(request: pytest.FixtureRequest) -> Iterator[Template]:
    with start(request.param) as running:
        running.ready()
        yield running


def job(entry: str, **arguments: str) -> CaptureJob:
    return CaptureJob({"model.py": b""}, entry, None, arguments, (1, 28, 28), 10, seed=0)


def talk(child: Child, entry: str, cap: int = 2**20, seconds: float = 60, **arguments: str) -> Any:
    """Give a child its job and return the outcome of the one answer that is asked for."""

    def script() -> Script[Replied]:
        frame = yield Ask(cap, msgspec.msgpack.encode(job(entry, **arguments)))
        return Replied(bytes(frame))

    greet([child])
    conversation = Conversation(child, script())
    assert [ended is conversation for ended in converse([conversation], seconds)] == [True]
    return conversation.outcome


def answer(template: Template, entry: str, cap: int = 2**20, seconds: float = 60, **arguments: str) -> Any:
    with template.child(WORKER) as child:
        return talk(child, entry, cap, seconds, **arguments)


def gone(pid: int, seconds: float = 0.0) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)


def relatives(folder: Path, count: int = 5) -> list[int]:
    """Wait until the family has noted its members' process numbers, and return them."""
    deadline = time.monotonic() + 30
    while len(pids := [int(path.name) for path in folder.iterdir()]) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(pids) == count
    return pids


# What a child starts with


def test_a_child_has_inherited_nothing(either: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "token")
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
    os.dup2(descriptors[0], 1500, inheritable=True)
    try:
        seen = json.loads(answer(either, "look_around").data)
    finally:
        for descriptor in [*descriptors, 1500]:
            os.close(descriptor)
    path = seen.pop("path")
    assert (path[-2:], "" in path) == ([str(TESTS.parent), str(TESTS)], False)
    del seen["hash"]
    assert seen == {
        "descriptors": ["/dev/null", "pipe", "pipe", "socket"],
        "environment": {
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TORCHDYNAMO_DISABLE": "1",
            "PYTORCH_JIT": "0",
            "HOME": "/nonexistent",
        },
        "folder": "/",
        "argv": [""],
        "session": True,
        "core": [0, 0],
        "handlers": [],
        "blocked": [],
        "modules": [],
    }


def test_sets_have_the_same_order_in_every_process() -> None:
    hashes = set()
    for how in ("fork", "fork", "spawn"):
        with start(how) as running:
            running.ready()
            hashes.add(json.loads(answer(running, "look_around").data)["hash"])
    assert len(hashes) == 1


def test_the_working_directory_shadows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "msgspec", "sandbox_roles", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not ours')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for how in ("fork", "spawn"):
        with start(how) as running:
            running.ready()
            assert answer(running, "literal", answer="hello") == Replied(b"hello")


# Ends, good and bad


def test_a_long_answer_arrives_whole(either: Template) -> None:
    assert answer(either, "large", GRAPH_CAP, size=str(GRAPH_CAP)) == Replied(bytes(GRAPH_CAP))


def test_a_long_message_that_nobody_reads_times_out(either: Template) -> None:
    def script() -> Script[None]:
        yield Ask(1, msgspec.msgpack.encode(job("deaf")))
        yield Ask(1, bytes(2**24))

    with either.child(WORKER) as child:
        greet([child])
        conversation = Conversation(child, script())
        assert [ended.outcome for ended in converse([conversation], 0.3)] == [TimedOut(0.3)]


@pytest.mark.parametrize(
    ("entry", "arguments", "seconds", "outcome"),
    [
        ("leave", {"status": "3"}, 60, Crashed("exit status 3", "last words\n")),
        ("leave", {"status": "0"}, 60, Crashed("exit status 0", "last words\n")),
        ("fall_silent", {}, 60, Crashed("closed its channel", "")),
        ("partial", {}, 60, Crashed("exit status 0", "")),
        ("boast", {"size": str(2**30)}, 60, TooLarge(2**30, 2**20)),
        ("boast", {"size": str(2**63)}, 60, Malformed("it announces 9,223,372,036,854,775,808 bytes")),
        ("hang", {}, 0.3, TimedOut(0.3)),
        ("flood_for_ever", {}, 0.3, TimedOut(0.3)),
    ],
)
def test_every_end_has_its_outcome(
    either: Template, entry: str, arguments: dict[str, str], seconds: float, outcome: object
) -> None:
    assert answer(either, entry, seconds=seconds, **arguments) == outcome


def test_a_crash_names_the_signal_and_the_line(either: Template) -> None:
    outcome = answer(either, "segfault")
    assert outcome.status == "signal 11 (SIGSEGV)"
    assert outcome.stderr.splitlines()[0] == "Fatal Python error: Segmentation fault"
    assert f'File "{TESTS / "sandbox_roles.py"}"' in outcome.stderr


def test_an_exit_inside_the_role_is_a_crash(either: Template) -> None:
    outcome = answer(either, "raise_exit")
    assert (outcome.status, outcome.stderr.splitlines()[-1]) == ("exit status 1", "SystemExit: 0")


def test_a_flood_of_output_blocks_nobody_and_its_end_is_kept(either: Template) -> None:
    with either.child(WORKER) as child:
        assert talk(child, "flood") == Replied(b"G")
        child.end(10)
    for stream, name in ((child.stdout, "<stdout>"), (child.stderr, "<stderr>")):
        whole = "".join(f"line {line} of {name}\n" for line in range(30_000))
        assert stream.text() == whole[-KEPT_BYTES:]


# Nothing outlives its purpose


def test_at_the_deadline_all_descendants_die(template: Template, tmp_path: Path) -> None:
    with template.child(WORKER) as child:
        talk(child, "family", folder=str(tmp_path))
        pids = relatives(tmp_path)
    assert [gone(pid) for pid in pids] == [True] * 5


def test_an_orphan_of_one_child_dies_and_another_child_lives(template: Template, tmp_path: Path) -> None:
    with template.child(WORKER) as bystander:
        greet([bystander])
        with template.child(WORKER) as child:
            talk(child, "family", folder=str(tmp_path))
            pids = relatives(tmp_path)
        assert [gone(pid) for pid in pids] == [True] * 5
        assert bystander.end() == "closed its channel"  # killed here, not before


def test_a_process_that_keeps_moving_on_is_caught(template: Template, tmp_path: Path) -> None:
    with template.child(WORKER) as child:
        assert talk(child, "hydra", folder=str(tmp_path)) == Replied(b"G")
        time.sleep(0.2)
    (tmp_path / "alive").unlink()
    time.sleep(0.1)
    assert not (tmp_path / "alive").exists()


@pytest.mark.parametrize("listed", [kin._LISTED, "/nonexistent"])
def test_children_are_found_with_and_without_the_kernels_list(listed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kin, "_LISTED", listed)
    before = kin._children()
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert kin._children() - before == {one.pid, ended.pid}
        one.kill()


def test_a_spawned_child_dies_with_its_group(tmp_path: Path) -> None:
    with start("spawn") as running, running.child(WORKER) as child:
        talk(child, "family", folder=str(tmp_path))
        pids = relatives(tmp_path)
        in_group = {pid for pid in pids if os.getpgid(pid) == _pid_of_group(pids)}
    survivors = set(pids) - in_group
    for pid in survivors:
        os.kill(pid, signal.SIGKILL)
    assert [gone(pid, 5) for pid in in_group] == [True] * 3


def _pid_of_group(pids: list[int]) -> int:
    groups = [os.getpgid(pid) for pid in pids]
    return max(groups, key=groups.count)


def test_when_the_front_is_killed_everything_dies(tmp_path: Path) -> None:
    program = f"""
        import sys; sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]
        import test_sandbox as t
        with t.start() as template, template.child(t.WORKER) as child:
            t.talk(child, "family", folder={str(tmp_path)!r})
            print(template._launcher._template._process.pid, flush=True)
            t.time.sleep(600)
    """
    front = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert front.stdout is not None
    with front:
        pids = [int(front.stdout.readline()), *relatives(tmp_path)]
        front.kill()
    assert [gone(pid, 10) for pid in pids] == [True] * 6


def test_ctrl_c_ends_every_child_and_the_template_can_be_used_again(template: Template, tmp_path: Path) -> None:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        relatives(tmp_path, 10)
        os.kill(os.getpid(), signal.SIGINT)

    keyboard = threading.Thread(target=interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            keyboard.start()
            capture(template, job("family", folder=str(tmp_path), silent="yes"), (1,), 60)
    finally:
        keyboard.join()
        signal.signal(signal.SIGINT, previous)
    assert [gone(pid) for pid in relatives(tmp_path, 10)] == [True] * 10
    assert answer(template, "literal", answer="hello") == Replied(b"hello")


def test_closing_ends_children_that_are_still_at_work(tmp_path: Path) -> None:
    running = start()
    with running.child(WORKER) as child:
        talk(child, "family", folder=str(tmp_path))
        pids = relatives(tmp_path)
        running.close()
        assert [gone(pid) for pid in pids] == [True] * 5


# Several threads, one template


def in_threads(number: int, work: Callable[[int], None]) -> None:
    """Do a work in so many threads at once; raise what one of them raised."""
    with ThreadPoolExecutor(number) as pool:
        for done in [pool.submit(work, place) for place in range(number)]:
            done.result()


def test_children_of_several_threads_inherit_nothing_of_each_other(either: Template) -> None:
    seen: list[list[str]] = []

    def work(place: int) -> None:
        answers = [answer(either.share(), "look_around") for _ in range(3)]
        seen.extend(json.loads(one.data)["descriptors"] for one in answers)

    in_threads(6, work)
    assert seen == [["/dev/null", "pipe", "pipe", "socket"]] * 18


def test_waiting_for_one_child_to_end_holds_up_no_other(template: Template) -> None:
    began = time.monotonic()
    ended: list[str] = []

    def work(place: int) -> None:
        with template.share().child(WORKER) as child:
            greet([child])
            ended.append(child.end(grace=30 if place == 0 else 0))

    waiting = threading.Thread(target=work, args=(0,))
    with template.share().child(WORKER) as held:
        greet([held])
        waiting.start()
        in_threads(4, lambda place: work(place + 1))
        assert (ended, time.monotonic() - began < 15) == (["closed its channel"] * 4, True)
    for child in relatives_of(template):
        os.kill(child, signal.SIGKILL)
    waiting.join()


def relatives_of(template: Template) -> list[int]:
    """Return the processes that a template has started and not ended."""
    assert isinstance(template._launcher, Forking)
    pid = template._launcher._template._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def test_every_handle_has_a_standing_and_a_heed_of_its_own(template: Template) -> None:
    one, other = template.share(), template.share()

    def interrupt() -> None:
        raise InterruptedError("nobody waits for it")

    one.heed = interrupt
    with pytest.raises(InterruptedError, match="nobody waits for it"):
        capture(one, job("hang"), (1,), 60)
    assert isinstance(capture(other, job("good"), (1,), 60), Captured)
    assert [handle.standing is None for handle in (one, other, template.share())] == [False, False, True]


def test_a_wait_for_the_imports_heeds_too(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(600)")

    def interrupt() -> None:
        raise InterruptedError("nobody waits for it")

    with Template.start(sandbox="off", roles=ROLES, preload=["slow"], path=[str(tmp_path)]) as running:
        running.heed = interrupt
        with pytest.raises(InterruptedError, match="nobody waits for it"):
            running.ready()


def test_a_template_that_has_ended_says_how() -> None:
    with start() as running:
        running.ready()
        assert running.lost == ""
        answer(running, "kill_template")
        assert (running.lost, running.share().lost) == ("the template process ended with signal 9 (SIGKILL)",) * 2
    assert running.lost == "the template process has been closed"


# Capture


def test_both_workers_answer(either: Template) -> None:
    outcome = capture(either, job("good"), (2, 5), 60)
    assert isinstance(outcome, Captured)
    assert (outcome.graph, outcome.untraced) == (b"the graph", msgspec.json.encode(outcome.probe))
    assert outcome.probe.batches == (2, 5)
    assert 0 <= outcome.probe.seed < 2**31


def test_every_capture_draws_its_own_inputs(template: Template) -> None:
    outcomes = [capture(template, job("good"), (1,), 60) for _ in range(2)]
    seeds = {outcome.probe.seed for outcome in outcomes if isinstance(outcome, Captured)}
    assert len(seeds) == 2


@pytest.mark.parametrize(
    ("entry", "who", "message"),
    [
        ("refuse", {}, "refused by the traced"),
        ("refuse", {"who": "traced"}, "refused by the traced"),
        ("refuse", {"who": "untraced"}, "refused by the untraced"),
        ("refuse_late", {}, "refused on the probe"),
    ],
)
def test_the_traced_worker_refuses_first(template: Template, entry: str, who: dict[str, str], message: str) -> None:
    assert capture(template, job(entry, **who), (1,), 60) == Refused(Refusal("forward", message))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the answer begins with b'', not with b'G' or b'R'"),
        ("\x1b[2J", "the answer begins with b'\\x1b', not with b'G' or b'R'"),
        ("T", "the answer begins with b'T', not with b'G' or b'R'"),
        ("R", "the refusal cannot be read: Input data was truncated"),
        ("R{", "the refusal cannot be read: Input data was truncated"),
        ("R{}", "the refusal cannot be read: Object missing required field `code`"),
        ('R{"code": "pass", "message": ""}', "the refusal cannot be read: Invalid enum value 'pass' - at `$.code`"),
        ('R{"code": "load", "message": 1}', "the refusal cannot be read: Expected `str`, got `int` - at `$.message`"),
    ],
)
def test_an_answer_of_another_form_is_malformed(template: Template, reply: str, reason: str) -> None:
    assert capture(template, job("literal", answer=reply), (1,), 60) == Malformed(reason)


@pytest.mark.parametrize("body", ['{"x":' * 100_000, '{"code": "load", "message": "\xff"}', '"\\ud800"'])
def test_no_refusal_is_too_odd_to_be_malformed(template: Template, body: str) -> None:
    outcome = capture(template, job("literal", answer="R" + body), (1,), 60)
    assert isinstance(outcome, Malformed)
    assert outcome.reason.startswith("the refusal cannot be read: ")


def test_a_refusal_has_a_smaller_cap_than_a_graph(template: Template) -> None:
    body = "R" + "x" * (REFUSAL_CAP + 1)
    assert capture(template, job("literal", answer=body), (1,), 60) == TooLarge(REFUSAL_CAP + 1, REFUSAL_CAP)


def test_one_timeout_covers_both_workers(template: Template) -> None:
    began = time.monotonic()
    assert capture(template, job("hang"), (1,), 0.3) == TimedOut(0.3)
    assert time.monotonic() - began < 5


# Execute


def run(template: Template, entry: str, timeout: float = 60) -> tuple[object, list[Progress]]:
    progress: list[Progress] = []
    outcome = execute(template, msgspec.msgpack.encode(job(entry)), timeout=timeout, on_progress=progress.append)
    return outcome, progress


STEPS = [Progress(1, 1, step, 2, 0.5, 2.25) for step in (1, 2)]


@pytest.mark.parametrize(
    ("entry", "timeout", "outcome", "progress"),
    [
        ("train", 60, Executed(Graded((), Loaded("Net"), 8932, ())), STEPS),
        ("ungradable", 60, Unexecuted(Ungradable("the replay differs")), []),
        ("train_for_ever", 0.5, TimedOut(0.5), STEPS[:1]),
        ("good", 60, Malformed("the answer begins with b'G', not with b'P', b'D' or b'U'"), []),
    ],
)
def test_what_an_executor_can_say(
    either: Template, entry: str, timeout: float, outcome: object, progress: list[Progress]
) -> None:
    assert run(either, entry, timeout) == (outcome, progress)


def test_an_exception_while_progress_is_shown_ends_the_executor(template: Template) -> None:
    def show(progress: Progress) -> None:
        raise BrokenPipeError("no terminal")

    with pytest.raises(BrokenPipeError, match="no terminal"):
        execute(template, msgspec.msgpack.encode(job("train_for_ever")), timeout=60, on_progress=show)
    assert answer(template, "literal", answer="hello") == Replied(b"hello")


# Our own faults


@pytest.mark.parametrize("how", ["fork", "spawn"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("raise OSError('libtorch_cpu.so: cannot open')", "OSError: libtorch_cpu.so: cannot open"),
        ("raise SystemExit(0)", "SystemExit: 0"),
    ],
)
def test_a_library_that_cannot_be_imported_is_named(tmp_path: Path, how: Start, content: str, reason: str) -> None:
    (tmp_path / "broken_torch.py").write_text(content)
    path = [str(TESTS), str(tmp_path)]
    with Template.start(sandbox="off", roles=ROLES, preload=["broken_torch"], path=path, start=how) as running:
        for _ in range(2):
            with pytest.raises(SandboxError) as error:
                capture(running, job("good"), (1,), 60)
            assert str(error.value) == f"broken_torch could not be imported: {reason}"


def test_a_library_that_kills_the_process_is_reported_with_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "broken_torch.py").write_text("import os; os.write(2, b'Illegal instruction\\n'); os._exit(7)")
    with (
        Template.start(
            sandbox="off", roles=ROLES, preload=["broken_torch"], path=[str(TESTS), str(tmp_path)]
        ) as running,
        pytest.raises(SandboxError) as error,
    ):
        running.ready()
    assert str(error.value) == "the template process ended with exit status 7: Illegal instruction"


def test_where_a_library_starts_threads_children_are_spawned(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    path = [str(TESTS), str(tmp_path)]
    with Template.start(sandbox="off", roles=ROLES, preload=["threaded"], path=path, start="auto") as running:
        outcome = capture(running, job("good"), (1,), 60)
        assert isinstance(outcome, Captured)
        assert running.standing is not None
        assert running.standing.layers["process"] == "own session, killed as a group; a descendant can leave the group"
    with Template.start(sandbox="off", roles=ROLES, preload=["threaded"], path=path, start="fork") as running:
        with pytest.raises(SandboxError) as error:
            running.ready()
        assert str(error.value) == "importing the libraries started 1 threads, so no process can be forked"


def test_a_child_that_kills_the_template_takes_nobody_along() -> None:
    with start() as running:
        running.ready()
        outcome = answer(running, "kill_template")
        assert outcome == Crashed("ended with the process that started it", "")
        with pytest.raises(SandboxError) as error:
            answer(running, "good")
        assert str(error.value) == "the template process ended with signal 9 (SIGKILL)"


def test_closing_before_the_imports_are_done_does_not_wait_for_them(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(600)")
    began = time.monotonic()
    with Template.start(sandbox="off", roles=ROLES, preload=["slow"], path=[str(tmp_path)]):
        pass
    assert time.monotonic() - began < 5


# With the real library


def test_torch_leaves_one_thread_and_computes_in_a_child() -> None:
    with Template.start(sandbox="off", roles=ROLES, path=[str(TESTS)], start="fork") as running:
        running.ready()
        assert json.loads(answer(running, "look_around").data)["modules"] == ["torch"]


def test_the_front_loads_no_torch() -> None:
    program = "import grader.sandbox, sys; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TESTS.parent, check=True)
    assert done.stdout == "[]\n"
