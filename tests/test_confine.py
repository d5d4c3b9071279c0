"""The layers of confinement, each by itself, and what the front makes of them."""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.grade import Settings, grade_in
from grader.protocol import CaptureJob
from grader.rules import read_rules
from grader.sandbox import SandboxError, Template, Unsealed, capture, trial
from grader.sandbox.confine import landlock, paths, seatbelt, witness
from grader.sandbox.confine.machines import Calls, calls
from grader.sandbox.confine.policy import rules
from grader.sandbox.confine.seccomp import Instruction, assemble
from grader.sandbox.confine.state import Unavailable
from grader.sandbox.control import Attempt, Confined, Errand, Layer, LayerName
from grader.sandbox.conversation import greet
from grader.sandbox.standing import Gap, Standing, judge, kernel_view, weaker
from grader.sandbox.template import Canary

TESTS = Path(__file__).parent
REFERENCE = TESTS.parent / "reference_model" / "model.py"
ROLES = {"worker": "sandbox_roles", "executor": "sandbox_roles"}

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these layers")


def found_calls(machine: str) -> Calls:
    known = calls(machine)
    assert known is not None
    return known


# The numbers of system calls


@pytest.mark.parametrize(("machine", "header"), [("x86_64", "asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")])
def test_numbers_are_those_of_the_kernels_headers(machine: str, header: str) -> None:
    places = [Path("/usr/include"), *Path("/usr/include").glob("*-linux-gnu")]
    file = next((place / header for place in places if (place / header).exists()), None)
    if file is None:
        pytest.skip(f"the kernel's {header} is not installed")
    text = file.read_text("utf-8")
    numbers = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", text)}
    same = re.findall(r"#define __NR_(\w+) __NR3264_(\w+)", text)
    numbers |= {name: numbers[other] for name, other in same if other in numbers}
    known = found_calls(machine).numbers
    assert {name: numbers.get(name) for name in known if name in numbers} == {
        n: known[n] for n in known if n in numbers
    }
    newer = set(known) - set(numbers)  # than the header
    assert newer <= {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "clone3", "openat2"}


def test_a_machine_without_a_table_is_said_to_have_none() -> None:
    assert (calls("riscv64"), calls("i686")) == (None, None)


# The filter: its program is run here as the kernel would


ALLOW, KILL = 0x7FFF0000, 0x80000000
X32 = 0x40000000


def evaluate(program: list[Instruction], arch: int, number: int, *arguments: int) -> str:
    """Return what the filter answers to a call: 'allow', 'kill', or the name of an errno."""
    values = [value & (2**64 - 1) for value in [*arguments, *[0] * 6][:6]]
    data = struct.pack("<IIQ6Q", number, arch, 0, *values)
    register, place = 0, 0
    while True:
        code, when_true, when_false, operand = program[place]
        place += 1
        if code == 0x20:
            register = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            register &= operand
        elif code == 0x15:
            place += when_true if register == operand else when_false
        else:
            assert code == 0x06
            if operand in (ALLOW, KILL):
                return "allow" if operand == ALLOW else "kill"
            return errno.errorcode[operand & 0xFFFF]


OWN = 4321
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(machine: str) -> Callable[..., str]:
    known = found_calls(machine)
    program = assemble([rule for rule in rules(OWN) if rule.name in known.numbers], known)
    assert len(program) < 4096  # the kernel's own limit
    return lambda name, *arguments: evaluate(program, ARCHES[machine], known.numbers[name], *arguments)


FORBIDDEN = (
    "execve execveat ptrace socket socketpair connect bind accept io_uring_setup bpf unshare setns mount keyctl add_key"
    " userfaultfd shmget fchmodat utimensat setxattr memfd_create pidfd_open pidfd_send_signal seccomp process_vm_readv"
    " process_vm_writev perf_event_open rt_sigqueueinfo setpriority capset landlock_restrict_self"
).split()
THREAD = 0x3D0F00  # what glibc starts a thread with


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (("read", 0), "allow"),
        (("futex",), "allow"),
        (("write", 1), "allow"),
        (("openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC), "allow"),
        (("openat", 0, 0, os.O_RDONLY | os.O_DIRECTORY), "allow"),
        (("openat", 0, 0, os.O_WRONLY), "EROFS"),
        (("openat", 0, 0, os.O_RDWR), "EROFS"),
        (("openat", 0, 0, os.O_RDONLY | os.O_CREAT), "EROFS"),
        (("openat", 0, 0, os.O_RDONLY | os.O_TRUNC), "EROFS"),
        (("openat", 0, 0, 0o20200000 | os.O_RDWR), "EROFS"),
        (("openat", 0, 0, 0o10000000), "EROFS"),
        (("openat", 0, 0, 2**40), "allow"),  # the kernel reads 32 bits
        (("openat2", 0, 0), "ENOSYS"),
        (("clone", THREAD), "allow"),
        (("clone", THREAD | 0x400000), "allow"),
        (("clone", THREAD & ~0x10000), "EPERM"),  # no thread
        (("clone", 17), "EPERM"),  # a fork: only a signal to send at its end
        (("clone", 0x4000 | 0x100 | 17), "EPERM"),  # vfork
        *[(("clone", THREAD | flag), "EPERM") for flag in (0x20000, 0x80, 0x2000000, 0x4000000, 0x8000000, 0x10000000)],
        (("clone", THREAD | 0x20000000), "EPERM"),
        (("clone", THREAD | 0x40000000), "EPERM"),
        (("clone3", 0), "ENOSYS"),
        (("kill", OWN, 9), "allow"),
        (("kill", OWN + 1, 0), "EPERM"),
        (("kill", 0, 9), "EPERM"),
        (("kill", -1, 9), "EPERM"),
        (("kill", -OWN, 9), "EPERM"),
        (("tgkill", OWN, OWN, 6), "allow"),
        (("tgkill", 1, 1, 6), "EPERM"),
        (("prlimit64", 0, 7), "allow"),
        (("prlimit64", OWN, 7), "allow"),
        (("prlimit64", 1, 7), "EPERM"),
        (("sched_setaffinity", OWN), "allow"),
        (("sched_setaffinity", 1), "EPERM"),
        (("fcntl", 1, 3), "allow"),
        (("fcntl", 1, 8, 1), "EPERM"),  # F_SETOWN: whom to send a signal when something can be read
        (("fcntl", 1, 15, 1), "EPERM"),  # F_SETOWN_EX
        (("fcntl", 1, 10, 9), "EPERM"),  # F_SETSIG: which one
        (("fcntl", 1, 6), "EPERM"),  # F_SETLK
        (("fcntl", 1, 1024), "EPERM"),  # F_SETLEASE
        (("ioctl", 1, 0x5401), "allow"),
        (("ioctl", 1, 0x5412), "ENOTTY"),  # TIOCSTI: to type into a terminal
        (("ioctl", 1, 0x8901), "ENOTTY"),  # FIOSETOWN
        (("prctl", 15), "allow"),
        (("prctl", 1, 0), "EPERM"),  # PR_SET_PDEATHSIG
        (("prctl", 4, 1), "EPERM"),  # PR_SET_DUMPABLE
        (("prctl", 22, 2), "EPERM"),  # PR_SET_SECCOMP
        *[
            ((name,), "EPERM")
            for name in ("execve", "execveat", "ptrace", "socket", "connect", "io_uring_setup", "bpf")
        ],
        *[((name,), "EPERM") for name in ("unshare", "setns", "mount", "keyctl", "add_key", "userfaultfd", "shmget")],
        *[
            ((name,), "EPERM")
            for name in ("fchmodat", "utimensat", "setxattr", "memfd_create", "pidfd_open", "seccomp")
        ],
        *[((name,), "EPERM") for name in ("process_vm_readv", "perf_event_open", "rt_sigqueueinfo", "setpriority")],
    ],
)
def test_what_the_filter_answers(ask: Callable[..., str], call: tuple[Any, ...], answer: str) -> None:
    assert ask(*call) == answer


def test_older_spellings_of_x86_are_filtered_alike() -> None:
    known = found_calls("x86_64")
    program = assemble(rules(OWN), known)

    def ask(name: str, *arguments: int) -> str:
        return evaluate(program, ARCHES["x86_64"], known.numbers[name], *arguments)

    assert [ask("open", 0, flags) for flags in (os.O_RDONLY, os.O_WRONLY, os.O_CREAT)] == ["allow", "EROFS", "EROFS"]
    assert [ask(name) for name in ("fork", "vfork", "chmod")] == ["EPERM"] * 3
    assert [ask("arch_prctl", code) for code in (0x1023, 0x1002)] == ["allow", "EPERM"]  # the latter moves a register


def test_calls_of_another_kind_of_program_are_none(machine: str) -> None:
    known = found_calls(machine)
    program = assemble([rule for rule in rules(OWN) if rule.name in known.numbers], known)
    i386 = 0x40000003
    assert evaluate(program, i386, known.numbers["read"]) == "kill"
    assert evaluate(program, ARCHES[machine], known.numbers["read"] | X32) == "EPERM"
    assert {evaluate(program, ARCHES[machine], number) for number in range(460, 2000)} == {"EPERM"}


def test_a_gpu_is_given_its_devices_and_no_more() -> None:
    known = found_calls("x86_64")
    program = assemble(rules(OWN, gpu=True), known)
    answers = {
        name: evaluate(program, ARCHES["x86_64"], known.numbers[name], 1, 2, os.O_RDWR)
        for name in ("openat", "ioctl", "mlock", "eventfd2", "socket", "execve", "fork", "ptrace", "kill", "accept")
    }
    assert answers == {
        **dict.fromkeys(("openat", "ioctl", "mlock", "eventfd2", "socket"), "allow"),
        **dict.fromkeys(("execve", "fork", "ptrace", "kill", "accept"), "EPERM"),
    }
    numbers = known.numbers
    assert evaluate(program, ARCHES["x86_64"], numbers["socket"], 2, 1) == "EPERM"  # local sockets alone
    assert evaluate(program, ARCHES["x86_64"], numbers["connect"], 3) == "ENOENT"


# Landlock, on kernels that are played


def play_kernel(
    monkeypatch: pytest.MonkeyPatch, reported: int | OSError, refuses: int = 0, error: int = errno.EINVAL
) -> list[Any]:
    """Play a kernel that reports a version and refuses the first `refuses` rulesets; return what it is asked."""
    asked: list[Any] = []
    create = found_calls("x86_64").numbers["landlock_create_ruleset"]
    monkeypatch.setattr(landlock, "calls", lambda: found_calls("x86_64"))
    monkeypatch.setattr(landlock, "threads", lambda: 1)
    monkeypatch.setattr(landlock, "prctl", lambda option, value: 0)

    def syscall(number: int, *arguments: Any) -> int:
        if number != create:
            asked.append(("other", number))
            return 0
        if arguments[0] is None:
            if isinstance(reported, OSError):
                raise reported
            return reported
        asked.append((arguments[1], *struct.unpack("<QQQ", arguments[0])))
        if len(asked) <= refuses:
            raise OSError(error, "refused")
        return os.open(os.devnull, os.O_RDONLY)

    monkeypatch.setattr(landlock, "syscall", syscall)
    return asked


@linux
@pytest.mark.parametrize(
    ("reported", "refuses", "abi", "size"),
    [
        (9, 0, 6, 24),
        (7, 0, 6, 24),
        (6, 1, 5, 16),
        (6, 3, 3, 8),
        (4, 0, 4, 16),
        (3, 0, 3, 8),
        (2, 0, 2, 8),
        (1, 0, 1, 8),
    ],
)
def test_landlock_steps_down_to_what_the_kernel_takes(
    monkeypatch: pytest.MonkeyPatch, reported: int, refuses: int, abi: int, size: int
) -> None:
    asked = play_kernel(monkeypatch, reported, refuses)
    assert landlock.restrict(["/usr/lib"]) == f"Landlock (ABI {abi}): libraries can be read, nothing written"
    taken = asked[refuses]
    rights = {6: 0xFFFF, 5: 0xFFFF, 4: 0x7FFF, 3: 0x7FFF, 2: 0x3FFF, 1: 0x1FFF}[abi]
    assert taken == (size, rights, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0)
    assert [what for what, *_ in asked[refuses + 1 :]] == ["other", "other"]  # one rule, then the restriction


@linux
@pytest.mark.parametrize(
    ("reported", "refuses", "error", "reason"),
    [
        (OSError(errno.ENOSYS, ""), 0, 0, "the kernel has no Landlock, or a container forbids it (ENOSYS)"),
        (OSError(errno.EOPNOTSUPP, ""), 0, 0, "Landlock is switched off in the kernel (EOPNOTSUPP)"),
        (6, 6, errno.EINVAL, "the kernel refuses a ruleset (EINVAL)"),
        (6, 1, errno.ENOMEM, "the kernel refuses a ruleset (ENOMEM)"),
    ],
)
def test_where_landlock_is_not_to_be_had_it_says_why(
    monkeypatch: pytest.MonkeyPatch, reported: int | OSError, refuses: int, error: int, reason: str
) -> None:
    play_kernel(monkeypatch, reported, refuses, error)
    with pytest.raises(Unavailable) as raised:
        landlock.restrict([])
    assert str(raised.value) == reason


@linux
def test_landlock_with_other_threads_is_none() -> None:
    program = (
        "import threading; from grader.sandbox.confine import landlock\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "try: landlock.restrict([])\n"
        "except landlock.Unavailable as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=TESTS.parent, check=True)
    assert done.stdout == "1 threads, started before, would escape it\n"


# What may be read


def test_readable_are_libraries_and_nothing_that_holds_more() -> None:
    readable = paths.libraries()
    assert not [path for path in readable if path in ("/", "/home", "/root", "/tmp", "/usr", str(Path.home()))]
    root = TESTS.parent
    inside = [path for path in readable if str(root).startswith(f"{path}/") or path == str(root)]
    assert inside == []  # an editable installation puts its root on sys.path
    assert any(str(Path(os.__file__).parent).startswith(path) for path in readable)
    assert all(Path(path).exists() for path in readable)


def test_a_folder_below_another_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    outer, inner, beside = (str(tmp_path / name) for name in ("a", "a/b", "ab"))
    assert paths._existing([inner, outer, beside, outer, str(tmp_path / "none"), "/"]) == [outer, beside]


# The judgement


ALL = (
    ("read a file", "write a file", "make a file"),
    (
        "open a socket",
        "start a process",
        "run a program",
        "signal its parent",
        "change its parent's limits",
    ),
)
SEEN = {"Seccomp": "2", "NoNewPrivs": "1"}
LANDLOCK = Layer("landlock", True, "Landlock (ABI 6)")
SECCOMP = Layer("seccomp", True, "a filter")


def confined(*layers: Layer, passed: tuple[str, ...] = ()) -> Confined:
    attempts = [
        Attempt(what, guard, what not in passed, "EPERM")
        for guard, names in zip(("files", "calls"), ALL, strict=True)
        for what in names
    ]
    return Confined(layers, tuple(attempts))


def test_the_attempts_are_those_of_the_witness() -> None:
    made = [(what, guard) for what, guard, _ in witness.ATTEMPTS]
    assert made == [(attempt.what, attempt.guard) for attempt in confined().attempts]


def level(*layers: Layer, status: dict[str, str] = SEEN, passed: tuple[str, ...] = (), around: Any = ()) -> Standing:
    return judge({"time": "wall clock"}, around, confined(*layers, passed=passed), status)


def test_a_sealed_child() -> None:
    standing = level(LANDLOCK, SECCOMP)
    assert standing == Standing(
        "sealed", {"time": "wall clock", "landlock": "Landlock (ABI 6)", "seccomp": "a filter"}, ()
    )


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (
            level(SECCOMP, Layer("landlock", False, "no Landlock"), passed=("read a file",)),
            ("partial", "it could read a file", "landlock: no Landlock"),
        ),
        (
            level(LANDLOCK, SECCOMP, passed=("read a file",)),
            ("partial", "it could read a file", "landlock is in force and does not hold"),
        ),
        (
            level(LANDLOCK, SECCOMP, passed=("start a process",)),
            ("partial", "it could start a process", "the filter of system calls is in force and does not hold"),
        ),
        (
            level(LANDLOCK, Layer("seccomp", False, "no list")),
            ("partial", "system calls are not filtered", "seccomp: no list"),
        ),
        (
            level(LANDLOCK, SECCOMP, status={"Seccomp": "0", "NoNewPrivs": "1"}),
            ("partial", "system calls may not be filtered", "/proc shows Seccomp: 0, NoNewPrivs: 1"),
        ),
        (
            level(LANDLOCK, SECCOMP, status={}),
            ("partial", "system calls may not be filtered", "/proc does not show the process (hidepid?)"),
        ),
        (
            level(SECCOMP, passed=("read a file",), status={}),
            ("none", "it could read a file", "no layer against it was asked for"),
        ),
    ],
)
def test_what_is_missing_for_a_seal(standing: Standing, expected: tuple[str, ...]) -> None:
    gap = standing.gaps[0]
    assert (standing.level, gap.what, gap.reason) == expected
    assert gap.fix


def test_a_child_that_tried_nothing_is_not_believed() -> None:
    standing = judge({}, (), Confined((LANDLOCK, SECCOMP), ()), SEEN)
    assert (standing.level, len(standing.gaps)) == ("none", 2)


def test_files_can_be_out_of_reach_by_bubblewrap_alone() -> None:
    inside = Layer("bubblewrap", True, "own mounts")
    standing = level(Layer("landlock", False, "no Landlock"), SECCOMP, around=(inside,))
    assert (standing.level, standing.layers["landlock"]) == ("sealed", "not in force: no Landlock")


def test_the_weakest_child_counts() -> None:
    sealed, partial = Standing("sealed"), Standing("partial", {}, (Gap("a", "b", "c"),))
    assert weaker(None, sealed) is sealed
    assert weaker(sealed, partial) is partial
    assert weaker(partial, sealed) is partial


def test_of_a_process_that_is_none_the_kernel_says_nothing() -> None:
    assert (kernel_view(None), kernel_view(2**22 + 1)) == ({}, {})


@linux
def test_the_kernels_own_account_of_a_process() -> None:
    assert kernel_view(os.getpid())["Pid"] == str(os.getpid())


# On this machine


def probed(layers: tuple[LayerName, ...]) -> Standing:
    """Return how a child with these layers stands."""
    with Template.start(roles=ROLES, preload=(), path=[str(TESTS)], layers=layers) as template:
        with template.child(Errand("worker", 20)) as child:
            greet([child])
            template.refusal(child)
        assert template.standing is not None
        return template.standing


@pytest.fixture(scope="module")
def sealable() -> None:
    """Skip where the kernel lacks what the test is about, and say what."""
    if sys.platform != "linux":
        pytest.skip("only Linux has these layers")
    standing = probed(("limits", "privileges", "landlock", "seccomp"))
    if standing.level != "sealed":
        pytest.skip(f"this machine gives no sealed sandbox: {standing.gaps}")


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (
            ("limits", "privileges"),
            ("none", ["it could read a file, write a file, make a file", "system calls are not filtered"]),
        ),
        (("landlock",), ("partial", ["system calls are not filtered"])),
        (("seccomp",), ("partial", ["it could read a file"])),
        (("landlock", "seccomp"), ("sealed", [])),
    ],
)
def test_levels_are_found_by_trying(
    sealable: None, layers: tuple[LayerName, ...], expected: tuple[str, list[str]]
) -> None:
    standing = probed(layers)
    assert (standing.level, [gap.what for gap in standing.gaps]) == expected


def test_a_strict_sandbox_gives_a_less_than_sealed_child_no_work(sealable: None) -> None:
    job = CaptureJob({"model.py": b""}, "model.py", None, {}, (1, 28, 28), 10, seed=0)
    with Template.start(sandbox="strict", layers=("seccomp",), roles=ROLES, preload=(), path=[str(TESTS)]) as template:
        outcome = capture(template, job, (4,), 20)
    assert isinstance(outcome, Unsealed)
    assert (outcome.standing.level, outcome.standing.gaps[0].what) == ("partial", "it could read a file")


def test_a_strict_sandbox_below_sealed_is_an_error_that_says_what_to_do(sealable: None) -> None:
    with Template.start(sandbox="strict", layers=("landlock",)) as template:
        report = grade_in(template, REFERENCE, read_rules(), Settings())
    assert report.error is not None
    assert (report.verdict, report.error.code, report.sandbox.level) == ("error", "sandbox", "partial")
    assert report.error.message == "not run: the sandbox must be sealed, and this machine gives a part of it"
    assert "system calls are not filtered" in report.error.why


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_the_reference_model_is_graded_in_a_sealed_sandbox(sealable: None, how: Any) -> None:
    with Template.start(
        sandbox="strict", layers=("limits", "privileges", "landlock", "seccomp"), start=how
    ) as template:
        report = grade_in(template, REFERENCE, read_rules(), Settings())
    assert (report.verdict, report.score, report.sandbox.level) == ("pass", 80, "sealed")
    assert set(report.sandbox.layers) == {
        "process", "environment", "descriptors", "time", "limits", "privileges", "landlock", "seccomp",
    }  # fmt: skip
    assert re.fullmatch(
        r"no files, no core, 64 descriptors, \d+\.\d GiB of address space", report.sandbox.layers["limits"]
    )


def test_a_fresh_process_imports_what_looks_for_a_library(sealable: None, tmp_path: Path) -> None:
    # As CUDA's Python packages do, which torch imports; without `ldconfig` Python asks a compiler, with a file.
    (tmp_path / "seeker.py").write_text("import ctypes.util\n\nctypes.util.find_library('dl')\n")
    path = [str(TESTS), str(tmp_path)]
    with Template.start(sandbox="strict", start="spawn", roles=ROLES, preload=("seeker",), path=path) as template:
        refused = trial(template)
    assert refused is None


# bubblewrap


@pytest.fixture
def fake_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    program = tmp_path / "bwrap"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    yield program


@linux
def test_where_bubblewrap_does_not_work_the_template_starts_without(fake_bubblewrap: Path) -> None:
    fake_bubblewrap.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    fake_bubblewrap.chmod(0o755)
    standing = probed(("bubblewrap",))
    reason = "the template process ended with exit status 1: bwrap: setting up uid map: Permission denied"
    assert standing.layers["bubblewrap"] == f"not in force: {reason}"


@linux
def test_where_bubblewrap_is_not_installed_the_report_says_so(
    fake_bubblewrap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_bubblewrap.write_text("#!/bin/sh\nexit 1\n")
    fake_bubblewrap.chmod(0o755)
    monkeypatch.chdir(fake_bubblewrap.parent)
    monkeypatch.setenv("PATH", ".")  # where anybody's file of that name might be
    assert probed(("bubblewrap",)).layers["bubblewrap"] == "not in force: bwrap is not installed"


@linux
def test_inside_bubblewrap_nothing_but_libraries_exists(tmp_path: Path) -> None:
    standing = probed(("bubblewrap",))
    if standing.layers["bubblewrap"].startswith("not in force"):
        pytest.skip(f"bubblewrap does not work here: {standing.layers['bubblewrap']}")
    assert standing.level == "partial"
    assert [gap.what for gap in standing.gaps] == ["system calls are not filtered"]


@linux
def test_an_import_that_fails_inside_and_outside_is_reported_once(tmp_path: Path) -> None:
    with (
        Template.start(roles=ROLES, preload=["no_such_thing"], path=[str(TESTS)]) as template,
        pytest.raises(SandboxError) as error,
    ):
        template.ready()
    assert (
        str(error.value) == "no_such_thing could not be imported: ModuleNotFoundError: No module named 'no_such_thing'"
    )


# macOS, as text


def test_the_profile_of_macos() -> None:
    text = seatbelt.profile("/Users/ada/py/bin/python3", ["/Users/ada/py/lib", '/odd "name"\\'])
    assert text.split("\n")[:4] == [
        "(version 1)",
        "(deny default)",
        '(allow process-exec (literal "/Users/ada/py/bin/python3"))',
        "(deny process-fork)",
    ]
    assert '  (subpath "/Users/ada/py/lib")\n  (subpath "/odd \\"name\\"\\\\")\n' in text
    assert [line for line in text.split("\n") if "write" in line or "network" in line] == [
        "(deny network*)",
        "(deny file-write*)",
        '(allow file-write-data (literal "/dev/null"))',
    ]
    assert text.count("(") == text.count(")")


def test_a_command_under_the_profile() -> None:
    line = seatbelt.wrapped(["/py", "-c", "pass"], ["/lib"])
    assert (line[:2], line[3:]) == (["/usr/bin/sandbox-exec", "-p"], ["/py", "-c", "pass"])


# What a student is told


STUDENT = """
import os
import socket
import subprocess
import tempfile
import threading
import urllib.request

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        {line}

    def forward(self, x):
        return self.conv(x).mean((2, 3))
"""
THREAD_BOMB = (
    "threading.stack_size(1 << 16);"
    " [threading.Thread(target=threading.Event().wait, daemon=True).start() for _ in range(9999)]"
)
NO_FILES = "A submission is graded from its source alone: there are no other files to read."
NO_WRITING = "A submission is graded in a sandbox, where nothing can be written."
NO_OTHERS = "A submission is graded in a sandbox: it starts no processes, opens no connections and changes no others."
LIMITED = "The memory, processor time and threads of a submission are limited."


@pytest.fixture(scope="module")
def sealed(sealable: None) -> Iterator[Template]:
    with Template.start(sandbox="strict") as template:
        yield template


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("open('weights.pt', 'rb')", "constructor", NO_FILES),
        ("open('/etc/hostname')", "constructor", NO_FILES),
        ("open('/tmp/log.txt', 'w')", "constructor", NO_WRITING),
        ("tempfile.mkdtemp()", "constructor", NO_WRITING),
        ("subprocess.run(['ls'])", "constructor", NO_OTHERS),
        ("os.fork()", "constructor", NO_OTHERS),
        ("socket.create_connection(('127.0.0.1', 9))", "constructor", NO_OTHERS),
        (
            "urllib.request.urlopen('http://localhost:9')",
            "constructor",
            "There is no network where the model is graded.",
        ),
        ("os.kill(os.getppid(), 9)", "constructor", NO_OTHERS),
        ("bytearray(10**11)", "limit", "A worker's memory is limited."),
        (
            "torch.ones(10**11)",
            "limit",
            "A tensor was asked for that is larger than the memory that a worker may use.",
        ),
        (
            THREAD_BOMB,
            "limit",
            LIMITED,
        ),
        ("os.kill(os.getpid(), 9)", "limit", LIMITED),
        (
            "os.abort()",
            "crash",
            "Its code ended the process while it was loaded or run: an exit, a crash in native code, too much memory.",
        ),
        ("while True: pass", "timeout", "Loading a model and running it on a few images takes a second or two."),
    ],
)
def test_what_a_student_is_told(sealed: Template, tmp_path: Path, line: str, code: str, why: str) -> None:
    text = STUDENT.format(line=line)
    (tmp_path / "model.py").write_text(text)
    report = grade_in(sealed, tmp_path / "model.py", read_rules(), Settings(timeout=1 if code == "timeout" else 20))
    assert report.error is not None
    assert (report.error.code, report.error.why) == (code, why)
    assert report.error.fix
    where = text.split("\n").index(f"        {line}") + 1
    if "kill(os.getpid" not in line and "threading" not in line:  # which leave no trace of where they were
        assert (report.error.span.line if report.error.span else None) == where


def test_without_a_folder_to_write_to_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**options: str) -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.mkdtemp", fails)
    with pytest.raises(SandboxError) as error:
        Template.start()
    assert str(error.value) == (
        "the self-test of the sandbox needs a folder to write to: set TMPDIR to one"
        " (No usable temporary directory found)"
    )


def test_folders_of_runs_that_were_killed_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, new, other = (tmp_path / name for name in ("s5-grade-old", "s5-grade-new", "other"))
    for folder in (old, new, other):
        folder.mkdir()
        (folder / "canary").write_text("")
    link = tmp_path / "s5-grade-link"
    link.symlink_to(other)
    for folder in (old, other):
        os.utime(folder, (0, 0))
    os.utime(link, (0, 0), follow_symlinks=False)
    canary = Canary()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != Path(canary.path).parent.name) == [
        "other", "s5-grade-link", "s5-grade-new",
    ]  # fmt: skip
    canary.close()
    assert not Path(canary.path).exists()
