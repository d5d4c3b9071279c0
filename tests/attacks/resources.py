"""Attacks that take what others need: time, memory, processes, descriptors, and the patience of whoever reads a report.

Most are bombs: they run with all layers only, and have bounds of their own at which they call themselves a success.
"""

from __future__ import annotations

from attack import Attack

ERROR = ("error",)

# A whole submission around a class body, a constructor and a forward.
HEAD = """
import torch
import torch.nn as nn

{world}
"""

ATTACKS = [
    # Time
    Attack(
        "loop-in-the-constructor",
        "resources",
        "loops for ever in the constructor",
        """
        while True:
            pass
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "loop-in-forward",
        "resources",
        "loops for ever in forward",
        """
        def forward(images):
            while True:
                pass

        self.forward = forward
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "loop-while-loading",
        "resources",
        "loops for ever while its classes are defined",
        HEAD
        + """
class Net(nn.Module):
    while True:
        pass
""",
        ends=ERROR,
        bomb=True,
        whole=True,
        seconds=1,
    ),
    Attack(
        "loop-in-native-code",
        "resources",
        "raises an integer to a power that takes hours, without ever returning to the interpreter",
        """
        pow(3, 10**9)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "loop-in-torch",
        "resources",
        "multiplies matrices for hours in torch's native code",
        """
        torch.einsum("ab,cd,ef,gh->", *[torch.rand(100, 100, requires_grad=True)] * 4)
        torch.linalg.matrix_exp(torch.rand(64, 512, 512))
        torch.linalg.matrix_power(torch.rand(4000, 4000), 1 << 40)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "loop-in-a-destructor",
        "resources",
        "loops for ever when the model is thrown away",
        """
        class Clinging:
            def __del__(self):
                while True:
                    pass

        self.clinging = Clinging()
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "loop-at-exit",
        "resources",
        "loops for ever when the interpreter ends",
        """
        import atexit
        import threading

        def forever():
            while True:
                pass

        atexit.register(forever)
        threading._register_atexit(forever)
        """,
        bomb=True,
    ),
    Attack(
        "loop-in-a-thread",
        "resources",
        "goes on in a thread that does not end with its program",
        """
        import threading

        def forever():
            while True:
                pass

        threading.Thread(target=forever, daemon=False).start()
        """,
        bomb=True,
    ),
    Attack(
        "loop-and-ignore-all-signals",
        "resources",
        "ignores and blocks every signal that it may, and loops for ever",
        """
        import signal

        for number in signal.valid_signals():
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            pass
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "flood-its-last-words",
        "resources",
        "loops for ever, and floods its output when it is asked where it is",
        """
        import os
        import signal

        def flood(number, frame):
            while True:
                os.write(2, b"x" * 65536)

        signal.signal(signal.SIGABRT, flood)
        while True:
            pass
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "loop-on-large-batches",
        "resources",
        "loops for ever, but only where it is given more images than a trace uses",
        """
        honest = self.forward

        def forward(images):
            while len(images) > 8:
                pass
            return honest(images)

        self.forward = forward
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "sleep",
        "resources",
        "sleeps in native code while it holds the interpreter's lock",
        """
        import ctypes

        ctypes.PyDLL(None).sleep(100_000)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "wait-for-itself",
        "resources",
        "waits for a lock that it holds itself",
        """
        import threading

        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "neither-run-nor-end",
        "resources",
        "stops its own process, so that it neither runs nor ends",
        """
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSTOP)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "end-all-but-a-thread",
        "resources",
        "ends its first thread alone, so that its process looks ended and isn't",
        """
        import ctypes
        import platform
        import threading
        import time

        threading.Thread(target=time.sleep, args=(100_000,)).start()
        ctypes.CDLL(None).syscall(ctypes.c_long(60 if platform.machine() == "x86_64" else 93), 0)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "wait-for-input",
        "resources",
        "waits for somebody to type",
        """
        import sys

        if sys.stdin.read():
            breach("there is input")
        try:
            input()
        except EOFError:
            pass
        """,
        bomb=True,
    ),
    Attack(
        "read-without-end",
        "resources",
        "reads a device that never ends",
        """
        with open("/dev/zero", "rb") as zeros:
            while zeros.read(1 << 20):
                pass
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "close-its-output-and-hang",
        "resources",
        "closes its input and output, and hangs",
        """
        import os
        import time

        os.closerange(0, 3)
        time.sleep(100_000)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "close-its-channel-and-hang",
        "resources",
        "closes every descriptor, and hangs",
        """
        import os
        import time

        os.closerange(0, 1024)
        time.sleep(100_000)
        """,
        ends=ERROR,
        bomb=True,
    ),
    # Memory
    Attack(
        "memory-by-bytes",
        "resources",
        "fills memory with bytes",
        """
        held = []
        try:
            while len(held) < 128:
                held.append(bytes(1 << 26))
        except MemoryError:
            held = None
        if held:
            breach("8 GiB")
        """,
        bomb=True,
    ),
    Attack(
        "memory-and-no-handler",
        "resources",
        "fills memory with bytes, and ends by that",
        """
        held = [bytes(1 << 28) for _ in range(32)]
        breach(f"{len(held)} times 256 MiB")
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "memory-by-tensors",
        "resources",
        "fills memory with tensors",
        """
        held = []
        try:
            while len(held) < 32:
                held.append(torch.empty(1 << 26))
        except RuntimeError:
            held = None
        if held:
            breach("8 GiB")
        """,
        bomb=True,
    ),
    Attack(
        "memory-by-mappings",
        "resources",
        "maps memory, private and shared",
        """
        import mmap

        held = []
        try:
            for place in range(16):
                held.append(mmap.mmap(-1, 1 << 29, (mmap.MAP_PRIVATE, mmap.MAP_SHARED)[place % 2] | mmap.MAP_ANONYMOUS))
                held[-1][:: 1 << 12] = bytes(1 << 17)
        except OSError:
            held = None
        if held:
            breach("8 GiB")
        """,
        bomb=True,
    ),
    Attack(
        "memory-by-lists",
        "resources",
        "doubles a list until memory is full",
        """
        held = [[]]
        try:
            while len(held) < 1 << 30:
                held += held
        except MemoryError:
            held = None
        if held:
            breach("8 GiB")
        """,
        bomb=True,
    ),
    Attack(
        "memory-by-a-device",
        "resources",
        "reads a device that never ends into memory",
        """
        try:
            breach(len(open("/dev/zero", "rb").read(1 << 33)))
        except MemoryError:
            pass
        """,
        bomb=True,
    ),
    Attack(
        "lift-its-limits",
        "resources",
        "asks for the limits on itself to be lifted, then takes memory",
        """
        import resource

        for name in dir(resource):
            if name.startswith("RLIMIT_"):
                kind, before = getattr(resource, name), resource.getrlimit(getattr(resource, name))[1]
                for limit in (resource.RLIM_INFINITY, before + 1):
                    if before == resource.RLIM_INFINITY:
                        continue
                    try:
                        resource.setrlimit(kind, (limit, limit))
                    except (OSError, ValueError):
                        continue
                    breach(name)
        try:
            breach(len(bytes(1 << 33)))
        except MemoryError:
            pass
        """,
        bomb=True,
    ),
    Attack(
        "pin-memory",
        "resources",
        "pins memory, so that it is never swapped out",
        """
        import ctypes

        page = ctypes.create_string_buffer(1 << 13)
        libc = ctypes.CDLL(None)
        if libc.mlock(page, 1 << 13) == 0:
            libc.munlock(page, 1 << 13)
            breach("pinned")
        """,
        ("seccomp",),
    ),
    Attack(
        "large-pipes",
        "resources",
        "has the kernel keep more for the pipes of its output",
        """
        import fcntl

        for descriptor in (1, 2):
            try:
                fcntl.fcntl(descriptor, 1031, 1 << 20)
            except OSError:
                continue
            breach("a pipe of a megabyte")
        """,
        ("seccomp",),
    ),
    Attack(
        "timers",
        "resources",
        "has the kernel keep timers for it",
        """
        import ctypes
        import signal

        found = ctypes.c_void_p()
        if ctypes.CDLL(None).timer_create(0, None, ctypes.byref(found)) == 0:
            breach("a timer")
        try:
            signal.setitimer(signal.ITIMER_REAL, 100)
            breach("an alarm")
        except OSError:
            pass
        """,
        ("seccomp",),
    ),
    # Processes, threads, descriptors, files
    Attack(
        "processes",
        "resources",
        "forks again and again",
        """
        import os

        count = 0
        try:
            for count in range(1, 201):
                if os.fork() == 0:
                    os._exit(0)
        except OSError:
            count -= 1
        if count:
            breach(f"{count} processes")
        """,
        bomb=True,
    ),
    Attack(
        "threads-with-small-stacks",
        "resources",
        "starts as many threads as it can, each with next to no memory",
        """
        import threading

        done = threading.Event()
        threading.stack_size(1 << 15)
        count = 0
        try:
            while count < 2000:
                threading.Thread(target=done.wait, args=(10,), daemon=True).start()
                count += 1
        except (RuntimeError, MemoryError):
            pass
        done.wait(0.3)
        done.set()
        if count > 100:
            breach(f"{count} threads")
        """,
        ends=("fail", "error"),  # where the machine has no more to give, it gets none
        bomb=True,
    ),
    Attack(
        "threads-without-stacks",
        "resources",
        "starts threads by machine code, so fast that they can't be counted, with one stack for all of them",
        """
        import ctypes
        import mmap
        import platform
        import struct
        import time

        if platform.machine() != "x86_64":
            return
        second = ctypes.create_string_buffer(struct.pack("<qq", 1, 0))
        stack = ctypes.create_string_buffer(4096)
        # push r12; r12d = 3000; again: clone(VM|FS|FILES|SIGHAND|THREAD|SYSVSEM, stack, 0, 0, 0)
        start = bytes.fromhex("4154 41bc b80b0000 b838000000 bf000f0500 48be")
        start += struct.pack("<Q", (ctypes.addressof(stack) + 4000) & ~15) + bytes.fromhex("31d2 4d31d2 4d31c0 0f05")
        # on an error go to the end, in a thread to its sleep; one less; again; the end: return what is left of r12d
        start += bytes.fromhex("85c0 7807 740b 41ffcc 75d7 4489e0 415c c3")
        # nanosleep(second, 0); exit(0)
        start += bytes.fromhex("b823000000 48bf") + struct.pack("<Q", ctypes.addressof(second))
        start += bytes.fromhex("31f6 0f05 b83c000000 31ff 0f05")
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(start)
        left = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()
        time.sleep(0.3)
        if left == 0:
            breach("3,000 threads")
        """,
        ends=("fail", "error"),
        bomb=True,
    ),
    Attack(
        "threads-behind-an-ended-one",
        "resources",
        "ends its first thread, by which a process is known, and starts others from the second",
        """
        import ctypes
        import platform
        import threading
        import time

        def second():
            time.sleep(0.1)
            for _ in range(500):
                threading.Thread(target=time.sleep, args=(10,)).start()
            time.sleep(0.3)
            print("five hundred threads")

        threading.Thread(target=second).start()
        ctypes.CDLL(None).syscall(ctypes.c_long(60 if platform.machine() == "x86_64" else 93), 0)
        """,
        ends=ERROR,
        bomb=True,
        seconds=2,
    ),
    Attack(
        "threads-with-large-stacks",
        "resources",
        "takes address space by the stacks of threads",
        """
        import threading

        done = threading.Event()
        threading.stack_size(1 << 26)
        count = 0
        try:
            while count < 128:
                threading.Thread(target=done.wait, args=(10,), daemon=True).start()
                count += 1
        except (RuntimeError, MemoryError):
            pass
        done.set()
        if count == 128:
            breach("8 GiB of stacks")
        """,
        bomb=True,
    ),
    Attack(
        "descriptors",
        "resources",
        "opens files until it has no descriptor left, and keeps them",
        """
        import os

        held = []
        try:
            while len(held) < 2000:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        if len(held) > 1000:
            breach(f"{len(held)} descriptors")
        """,
        ends=("fail", "error"),
        bomb=True,
    ),
    Attack(
        "fill-the-disk",
        "resources",
        "writes wherever it can until the disk is full",
        """
        import os

        written = 0
        for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/", HOME, REPOSITORY, SITE, "."):
            name = f"{folder}/{MARK}{os.getpid()}"
            try:
                with open(name, "wb") as file:
                    while written < 1 << 26:
                        written += file.write(bytes(1 << 20))
            except OSError:
                continue
            os.unlink(name)
        if written:
            breach(f"{written} bytes")
        """,
        bomb=True,
    ),
    Attack(
        "flood-the-output",
        "resources",
        "prints for ever, on both outputs",
        """
        import os

        while True:
            os.write(1, b"x" * 65536)
            os.write(2, b"x" * 65536)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "print-much",
        "resources",
        "prints a hundred megabytes, then behaves",
        """
        for _ in range(100):
            print("x" * (1 << 20))
        """,
        bomb=True,
    ),
    # Stacks
    Attack(
        "recursion-in-python",
        "resources",
        "calls itself without end, having lifted the limit on that",
        """
        import sys

        def deeper(count):
            return deeper(count + 1)

        sys.setrecursionlimit(1 << 30)
        deeper(0)
        """,
        ends=ERROR,
        bomb=True,
        seconds=1,
    ),
    Attack(
        "recursion-in-native-code",
        "resources",
        "overflows the stack of native code by a deeply nested list",
        """
        import sys

        nested = []
        for _ in range(1_000_000):
            nested = [nested]
        sys.setrecursionlimit(1 << 30)
        repr(nested)
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "recursion-in-the-model",
        "resources",
        "nests modules ten thousand deep",
        """
        inner = self
        for _ in range(10_000):
            inner.inner = nn.Identity()
            inner = inner.inner
        """,
        ends=("fail", "error"),
        bomb=True,
    ),
    Attack(
        "recursion-in-the-source",
        "resources",
        "nests its source so deep that reading it overflows",
        HEAD + "x = " + "-" * 200_000 + "1\ny = " + "(" * 5_000 + ")" * 5_000 + "\nclass Net(nn.Module):\n    pass\n",
        ends=ERROR,
        bomb=True,
        whole=True,
    ),
    Attack(
        "a-sum-of-a-hundred-thousand-terms",
        "resources",
        "writes an expression that is a tree a hundred thousand nodes deep",
        HEAD + "x = " + "+".join("1" * 100_000) + "\nclass Net(nn.Module):\n    width = x\n",
        ends=ERROR,
        bomb=True,
        whole=True,
    ),
    # Models that are larger than they look
    Attack(
        "a-parameter-of-terabytes",
        "resources",
        "has a parameter that no machine could hold",
        """
        self.huge = nn.Parameter(torch.empty(1 << 42))
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "a-parameter-that-is-never-touched",
        "resources",
        "has parameters of a gigabyte that cost nothing until they are copied",
        """
        self.large = nn.Parameter(torch.empty(1 << 28))
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "a-parameter-that-repeats-one-number",
        "resources",
        "has a parameter of a trillion numbers that all are the same one in memory",
        """
        self.repeated = nn.Parameter(torch.zeros(1).expand(1 << 40))
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "a-parameter-without-memory",
        "resources",
        "has a parameter with a shape and no numbers at all",
        """
        self.empty = nn.Parameter(torch.empty(1 << 50, device="meta"))
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "many-parameters",
        "resources",
        "has ten thousand parameters of one number",
        """
        for number in range(10_000):
            self.register_parameter(f"p{number}", nn.Parameter(torch.zeros(1)))
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "many-modules",
        "resources",
        "has ten thousand modules that nothing uses",
        """
        self.many = nn.ModuleList([nn.Identity() for _ in range(10_000)])
        """,
        ends=("fail", "error"),
        bomb=True,
    ),
    Attack(
        "many-operators",
        "resources",
        "makes tens of thousands of torch calls in one forward",
        """
        honest = self.forward

        def forward(images):
            for _ in range(30_000):
                images = images + 0
            return honest(images)

        self.forward = forward
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "a-name-of-megabytes",
        "resources",
        "has a class and a parameter with names of megabytes",
        """
        self.__class__ = type("N" * 10_000_000, (type(self),), {})
        self.register_parameter("p" * 10_000_000, nn.Parameter(torch.zeros(1)))
        """,
        ends=("fail", "error"),
        bomb=True,
    ),
    Attack(
        "an-exception-of-a-gigabyte",
        "resources",
        "raises an exception whose text is a gigabyte",
        """
        raise ValueError("x" * 1_000_000_000)
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "an-exception-with-endless-causes",
        "resources",
        "raises an exception through fifty thousand frames, with one more for every cause",
        """
        import sys

        def deeper(count):
            try:
                deeper(count - 1) if count else int("x")
            except ValueError as error:
                raise ValueError("y" * 10_000) from error

        sys.setrecursionlimit(1 << 30)
        deeper(5_000)
        """,
        ends=ERROR,
        bomb=True,
    ),
    # Graphs that are cheap to make and dear to run again
    Attack(
        "expand-without-bounds",
        "resources",
        "makes a view of a quadrillion numbers, which costs nothing until they are used",
        """
        honest = self.forward
        self.forward = lambda images: honest(images) + images[:1, 0, 0, :1].expand(1 << 50, 1)[:1]
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "pad-without-bounds",
        "resources",
        "pads a convolution by far more than its input, and looks at a few places of that only",
        """
        honest, weight = self.forward, self.body[0].weight

        def forward(images):
            padded = nn.functional.conv2d(images, weight, stride=9_000, padding=20_000)
            return honest(images) + padded.sum()

        self.forward = forward
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "zeros-without-bounds",
        "resources",
        "makes more zeros than a forward may have that is never touched, and looks at one of them",
        """
        honest = self.forward
        self.forward = lambda images: honest(images) + torch.zeros((1 << 26) + 1)[:1]
        """,
        ends=ERROR,
        bomb=True,
    ),
    Attack(
        "pick-without-bounds",
        "resources",
        "picks the same place again and again by a long list of numbers",
        """
        honest = self.forward
        self.forward = lambda images: honest(images) + images[:, [0] * 2_500].amax()
        """,
        ends=ERROR,
        bomb=True,
    ),
]
