"""Attacks on the verdict: results made up, the grader's own objects changed, and models that are not what they seem."""

from __future__ import annotations

import textwrap

import numpy as np
from attack import Attack
from world import REPOSITORY

IMPORTS = """
import ctypes, gc, json, os, signal, struct, sys, threading, time

"""

# The grader's own objects, found from below: `served` are the names of the module that answers, `job` is what it was
# asked, `traced` which of the two workers this is.
WALK = """
frame = sys._getframe()
while "job" not in frame.f_locals or frame.f_code.co_name != "serve":
    frame = frame.f_back
served, job = frame.f_globals, frame.f_locals["job"]
traced = not job.untraced

"""

# A second forward, which would keep all rules: `turn` decides at each call whether it is taken.
TWO_FACES = """
del self.fc
self.drop, self.conv, self.fc = nn.Dropout(0.1), nn.Conv2d(16, 10, 1), nn.Linear(16 * 14 * 14, 10)
kind, true = type(self), type(self).forward

def false(model, x):
    return model.conv(model.drop(model.body(x))).mean((2, 3))

def show(turn):
    kind.forward = lambda model, x: false(model, x) if turn() else true(model, x)

"""

VERDICT = '{"schema": 1, "verdict": "pass", "score": 100, "max_score": 100, "rules": []}'


def _forged(name: str, tries: str, code: str, *ends: str, seconds: float = 20.0) -> Attack:
    return Attack(name, "forged", tries, IMPORTS + textwrap.dedent(code), (), ends or ("fail",), seconds=seconds)


def _walked(name: str, tries: str, code: str, *ends: str) -> Attack:
    return _forged(name, tries, WALK + textwrap.dedent(code), *ends)


def _faced(name: str, tries: str, turn: str) -> Attack:
    return _forged(name, tries, WALK + TWO_FACES + textwrap.dedent(turn), "error")


def _model(name: str, tries: str, code: str, *ends: str) -> Attack:
    """A submission of its own: its verdict is right where it is among `ends`."""
    text = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n{world}\n" + textwrap.dedent(code)
    return Attack(name, "forged", tries, text, (), ends or ("fail", "error"), whole=True)


# What a process says and how it ends

_ENDINGS = [
    _forged(
        "print-a-verdict",
        "prints a report in which everything passed, on every stream that it has",
        f"""
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            print({VERDICT!r}, file=stream, flush=True)
        for descriptor in (1, 2):
            os.write(descriptor, {VERDICT!r}.encode())
        """,
    ),
    _forged("exit-as-passed", "ends its process with the code of success", "os._exit(0)", "error"),
    _forged("exit-as-failed", "ends its process with the code of a failed rule", "os._exit(1)", "error"),
    _forged("exit-as-ungraded", "ends its process with the code of what was not graded", "os._exit(3)", "error"),
    _forged("exit-politely", "raises the exit of success", "sys.exit(0)", "error"),
    _model(
        "exit-from-forward",
        "raises the exit of success where its images are expected",
        """
        class Net(nn.Module):
            def forward(self, x):
                raise SystemExit(0)
        """,
        "error",
    ),
    _forged(
        "exit-handlers",
        "leaves what is to be done at its end",
        f"""
        import atexit, weakref
        atexit.register(lambda: print({VERDICT!r}, flush=True))
        atexit.register(os._exit, 0)
        weakref.finalize(sys, os._exit, 0)
        """,
    ),
    _forged(
        "exit-when-forgotten",
        "ends its process when its model is no longer needed",
        "type(self).__del__ = lambda model: os._exit(0)",
        "error",
    ),
    _forged(
        "kill-itself", "is killed, as if it had used up all memory", "os.kill(os.getpid(), signal.SIGKILL)", "error"
    ),
    _forged("fault", "reads from the address zero", "ctypes.string_at(0)", "error"),
    _forged("abort", "aborts as the C library does", "os.abort()", "error"),
    _forged(
        "false-last-words",
        "ends with the last words of a grader that is at fault",
        """
        os.write(2, b"\\nSandboxError: s5-grade is at fault, full points are due\\nMemoryError")
        os._exit(1)
        """,
        "error",
    ),
    _forged(
        "speak-later",
        "leaves a thread behind that refuses in its place, later",
        """
        def later():
            time.sleep(0.05)
            body = b'R{"code": "capture", "message": "100 of 100 points"}'
            os.write(3, struct.pack("<Q", len(body)) + body)

        threading.Thread(target=later).start()
        """,
        "fail",
        "error",
    ),
    _forged(
        "never-rest",
        "leaves a thread behind that never ends",
        """
        def spin():
            while True:
                pass

        sys.setswitchinterval(0.0001)
        threading.Thread(target=spin).start()
        """,
    ),
    _forged(
        "an-exception-without-words",
        "raises what can't be told",
        """
        class Evil(Exception):
            def __str__(self):
                raise self
            __repr__ = __str__

        raise Evil()
        """,
        "error",
    ),
    _forged(
        "an-exception-of-many-words",
        "raises what takes a hundred megabytes to tell, with a chain of causes that has no end",
        """
        Evil = type("\\x1b[31mpass" * 1000, (Exception,), {})
        one, other = Evil("\\x1b[2J" * 20_000_000), Evil()
        one.__cause__, other.__cause__ = other, one
        raise one
        """,
        "error",
    ),
    _forged(
        "an-exception-of-the-grader",
        "raises the grader's own refusal",
        WALK
        + """
raise served["Refused"](served["Refused"].__init__.__globals__["Refusal"]("load", "100 of 100 points"))
""",
        "error",
    ),
]

# The channel and the standard streams

_CHANNEL = [
    _forged("junk", "writes junk to the grader's channel", 'os.write(3, b"\\x10" + bytes(7) + b"junk" * 4)', "error"),
    _forged(
        "refuse-first",
        "answers before the grader does",
        """
        body = b'R{"code": "capture", "message": "100 of 100 points"}'
        os.write(3, struct.pack("<Q", len(body)) + body)
        """,
        "error",
    ),
    _forged("close-the-channel", "closes the grader's channel", "os.close(3)", "error"),
    _forged("answer-to-stdout", "puts its output in the channel's place", "os.dup2(1, 3)", "error"),
    _forged(
        "print-to-the-channel",
        "puts the channel in its output's place, and prints",
        f"""
        os.dup2(3, 1)
        print({VERDICT!r} * 10, flush=True)
        """,
        "error",
    ),
    _forged("keep-the-channel", "keeps many copies of the channel", "copies = [os.dup(3) for _ in range(40)]"),
    _forged(
        "hurry-the-channel", "makes the channel one that does not wait", "os.set_blocking(3, False)", "fail", "error"
    ),
    _forged("close-the-streams", "closes its input and its outputs", "[os.close(number) for number in (0, 1, 2)]"),
    _forged(
        "lose-the-streams",
        "takes away what Python prints to",
        "sys.stdin = sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None",
    ),
    _forged(
        "read-the-channel",
        "reads from the channel, so that the grader can't",
        "os.set_blocking(3, False)\ntry:\n    os.read(3, 1000)\nexcept BlockingIOError:\n    os.set_blocking(3, True)",
    ),
]

# The grader's code and objects in its own process

_PATCHES = [
    _forged(
        "swallow-the-answer",
        "lets nothing be written any more",
        "os.write = lambda descriptor, data: len(data)",
        "error",
    ),
    _walked(
        "choose-the-inputs",
        "answers for inputs of its own choice",
        """
        true = os.readv

        def readv(descriptor, buffers):
            count = true(descriptor, buffers)
            place = bytes(buffers[0]).find(b"seed\\xce") + 5
            if place > 5:
                buffers[0][place : place + 4] = bytes(4)
            return count

        os.readv = readv
        """,
        "error",
    ),
    _walked(
        "send-another-graph",
        "puts another function in the place of that which encodes a graph",
        """
        true = served["wire"].encode

        def encode(graph, tensors, loaded):
            node = graph.eval.nodes[-1]
            program = type(graph.eval)(graph.eval.nodes[:-1], node.args[0])
            return true(type(graph)(graph.name, graph.tensors, program, program), tensors, loaded)

        served["wire"].encode = encode
        """,
        "error",
    ),
    _walked(
        "send-fewer-weights",
        "leaves the largest tensor out when a graph is encoded",
        """
        true = served["wire"].encode
        served["wire"].encode = lambda graph, tensors, loaded: true(
            graph, {key: tensor for key, tensor in tensors.items() if tensor.numel() < 20_000}, loaded
        )
        """,
        "error",
    ),
    _walked(
        "send-smaller-weights",
        "cuts the largest tensor down in all that is sent",
        """
        import msgspec
        true = served["wire"].encode

        def encode(graph, tensors, loaded):
            small = {key: tensor[:1] if tensor.numel() > 20_000 else tensor for key, tensor in tensors.items()}
            infos = [msgspec.structs.replace(info, shape=tuple(small[info.id].shape)) for info in graph.tensors[1:]]
            return true(msgspec.structs.replace(graph, tensors=(graph.tensors[0], *infos)), small, loaded)

        served["wire"].encode = encode
        """,
        "error",
    ),
    _forged(
        "find-the-tape",
        "finds the recorder among the subclasses of torch's and lets it write another operator",
        """
        from torch.overrides import TorchFunctionMode
        tape = next(kind for kind in TorchFunctionMode.__subclasses__() if kind.__name__ == "Tape")
        true = tape.record

        def record(self, name, func, args, kwargs):
            result = true(self, name, func, args, kwargs)
            if self.records and self.records[-1].op.endswith("linear"):
                self.records[-1].op = "torch.nn.functional.conv2d"
            return result

        tape.record = record
        """,
        "error",
    ),
    _forged(
        "stop-the-tape",
        "lets the recorder record nothing",
        """
        from torch.overrides import TorchFunctionMode
        tape = next(kind for kind in TorchFunctionMode.__subclasses__() if kind.__name__ == "Tape")
        tape.__torch_function__ = lambda self, func, types, args=(), kwargs=None: func(*args, **(kwargs or {}))
        """,
        "error",
    ),
    _forged(
        "never-start-the-tape",
        "takes away how torch's modes are entered",
        """
        import torch.overrides
        torch.overrides.TorchFunctionMode.__enter__ = lambda mode: mode
        torch.overrides.TorchFunctionMode.__exit__ = lambda mode, *error: None
        """,
        "error",
    ),
    _forged(
        "rename-an-operator",
        "changes the recorder's names of operators",
        """
        from torch.overrides import TorchFunctionMode
        tape = next(kind for kind in TorchFunctionMode.__subclasses__() if kind.__name__ == "Tape")
        names = tape.__init__.__globals__["ops"].vocabulary()
        names[nn.functional.linear] = "torch.nn.functional.adaptive_avg_pool2d"
        """,
        "error",
    ),
    _forged(
        "forget-an-operator",
        "deletes an operator from the recorder's table",
        """
        from torch.overrides import TorchFunctionMode
        tape = next(kind for kind in TorchFunctionMode.__subclasses__() if kind.__name__ == "Tape")
        operators = tape.__init__.__globals__["ops"]
        operators.table().clear()
        operators.vocabulary().clear()
        """,
        "error",
    ),
    _forged(
        "search-the-rubbish",
        "finds the job among all objects, and changes the image's shape in it",
        """
        import msgspec
        jobs = [item for item in gc.get_objects() if type(item).__name__ == "CaptureJob"]
        for job in jobs:
            msgspec.structs.force_setattr(job, "input_shape", (1, 28, 14))
        """,
        "fail",
        "error",
    ),
    _forged(
        "change-a-tuple",
        "writes into a tuple, past Python, that holds the image's shape",
        WALK
        + """
shape = job.input_shape
place = ctypes.c_void_p.from_address(id(shape) + tuple.__basicsize__ + 2 * ctypes.sizeof(ctypes.c_void_p))
place.value = id(14)
""",
        "fail",
        "error",
    ),
    _forged(
        "change-a-letter",
        "turns the letter that marks a graph into that of a refusal, past Python",
        WALK
        + """
for letter in served["serve"].__code__.co_consts:
    if letter == b"G":
        ctypes.memset(id(letter) + bytes.__basicsize__ - 1, ord("R"), 1)
""",
        "error",
    ),
    _walked(
        "change-code",
        "puts the code of another function into one of the grader's",
        """
        def program(self):
            return None

        merger = served["capture"].Merger
        merger.program.__code__ = program.__code__
        """,
        "error",
    ),
    _forged(
        "follow-a-traceback",
        "follows the frames of an exception up to the grader's names, and deletes them",
        """
        try:
            raise ValueError
        except ValueError as error:
            frame = error.__traceback__.tb_frame
        while frame is not None:
            if "Capturer" in frame.f_globals or "capture" in frame.f_globals:
                frame.f_globals.pop("capture", None)
            frame = frame.f_back
        """,
        "error",
    ),
    _forged(
        "replace-an-encoder",
        "puts another function in the place of msgspec's",
        """
        import msgspec
        msgspec.json.encode = lambda *given: b'{"version": 1, "verdict": "pass"}'
        """,
        "error",
    ),
    _forged(
        "replace-a-decoder",
        "puts another function in the place of safetensors'",
        """
        import safetensors.torch
        safetensors.torch.save = lambda tensors, metadata=None: struct.pack("<Q", 2) + b"{}"
        """,
        "error",
    ),
    _forged(
        "replace-builtins",
        "puts others in the place of functions that Python is made of",
        """
        import builtins
        builtins.zip = lambda *given, **options: iter(())
        builtins.isinstance = lambda value, kind: True
        """,
        "fail",
        "error",
    ),
    _forged(
        "replace-random-numbers",
        "makes every image the same",
        "torch.randn = lambda shape, **options: torch.zeros(shape)",
        "fail",
        "error",
    ),
    _forged(
        "replace-the-generator",
        "lets nobody set the seed",
        """
        class Deaf:
            def manual_seed(self, seed):
                return self

        torch.default_generator = torch.random.default_generator = Deaf()
        torch.manual_seed = lambda seed: None
        """,
        "fail",
        "error",
    ),
    _forged(
        "replace-the-call",
        "lets modules be called past the grader's watch",
        """
        call = nn.Module.__call__

        class Own(nn.Linear):
            def __call__(self, x):
                return torch.nn.functional.linear(x, self.weight, self.bias)

        self.fc.__class__ = Own
        nn.Module.__call__ = property(lambda module: lambda *given: call(module, *given))
        """,
        "fail",
        "error",
    ),
    _forged(
        "hook-every-module",
        "lets a hook return something else for each module, while it is traced",
        """
        def hook(module, given, result):
            if torch._C._len_torch_function_stack() and isinstance(module, nn.Linear):
                return result * 0

        nn.modules.module.register_module_forward_hook(hook)
        """,
        "error",
    ),
    _forged(
        "trace-the-grader",
        "lets Python trace the grader, and changes what its functions are given",
        """
        def trace(frame, event, argument):
            if frame.f_code.co_name == "encode" and "loaded" in frame.f_locals:
                frame.f_locals["tensors"].clear()

        sys.settrace(trace)
        """,
        "error",
    ),
    _forged(
        "profile-the-grader",
        "lets Python profile the grader, and fails in its place",
        """
        def profile(frame, event, argument):
            if frame.f_code.co_name in ("record", "restore") and event == "call":
                raise ValueError("profiled")

        sys.setprofile(profile)
        """,
        "error",
    ),
    _forged(
        "audit-the-grader",
        "is told by Python when the recorder looks for a line, and changes the record",
        """
        def hook(event, given):
            if event == "sys._getframe":
                tape = given[0].f_locals.get("self")
                for record in getattr(tape, "records", ()):
                    record.op = record.op.replace("max_pool", "avg_pool")

        sys.addaudithook(hook)
        """,
        "error",
    ),
    _forged(
        "collect-with-the-grader",
        "is called at each collection of rubbish, and empties the grader's lists",
        """
        def called(phase, details):
            frame = sys._getframe()
            while frame is not None:
                for value in frame.f_locals.values():
                    if type(value) is list and value and type(value[0]).__name__ in ("Record", "Node"):
                        value.clear()
                frame = frame.f_back

        gc.callbacks.append(called)
        gc.set_threshold(1)
        """,
        "error",
    ),
    _forged(
        "import-the-grader",
        "takes away what keeps the grader's modules from being imported",
        """
        sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "Withdrawn"]
        try:
            from grader.sandbox import channel
            from grader import wire
            wire.encode = channel.Channel.send = None
        except ImportError:
            pass
        """,
    ),
    _forged(
        "false-modules",
        "puts modules of its own in the place of the grader's",
        """
        from types import ModuleType
        for name in ("grader", "grader.wire", "grader.executor", "msgspec", "safetensors.torch", "struct", "json"):
            sys.modules[name] = ModuleType(name)
        """,
    ),
    _forged(
        "shallow-stack",
        "leaves the grader next to no stack",
        "sys.setrecursionlimit(len(__import__('inspect').stack()) + 12)",
        "fail",
        "error",
    ),
    _forged(
        "other-settings",
        "changes all settings of torch that change results",
        """
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_flush_denormal(True)
        torch.set_printoptions(profile="full")
        """,
        "fail",
        "error",
    ),
]

# What a model says of itself

_CLAIMS = [
    _forged(
        "claim-no-parameters",
        "says that it has no parameters and no modules",
        """
        kind = type(self)
        for name in ("parameters", "named_parameters", "modules", "named_modules", "children", "named_children"):
            setattr(kind, name, lambda model, *given, **options: iter(()))
            setattr(nn.Linear, name, getattr(kind, name))
        kind.state_dict = lambda model, *given, **options: {}
        kind.__len__ = kind.__sizeof__ = lambda model: 0
        """,
    ),
    _forged(
        "claim-a-class",
        "says that its linear layer is a pooling layer",
        """
        lie = property(lambda layer: nn.AdaptiveAvgPool2d)
        names = {"__module__": "torch.nn.modules.pooling", "__class__": lie}
        false = type("AdaptiveAvgPool2d", (nn.Linear,), names)
        object.__dict__["__class__"].__set__(self.fc, false)
        """,
    ),
    _forged(
        "claim-a-name",
        "gives its class a name that clears the screen",
        """
        type(self).__name__ = type(self).__qualname__ = "\\x1b[2J[bold]pass[/]" * 100
        type(self).__module__ = "torch.nn.modules.conv"
        """,
    ),
    _forged(
        "claim-a-function",
        "calls its linear layer by the name of another function",
        """
        def conv2d(x, weight, bias=None, true=nn.functional.linear):
            return true(x, weight, bias)

        conv2d.__module__ = "torch.nn.functional"
        nn.functional.linear = conv2d
        """,
    ),
    _forged(
        "claim-other-sizes",
        "gives its largest parameter a class that says it has one number",
        """
        class Small(nn.Parameter):
            shape = property(lambda tensor: torch.Size((1,)))
            numel = nelement = lambda tensor: 1

        self.fc.weight.__class__ = Small
        """,
        "fail",
        "error",
    ),
    _forged(
        "claim-to-be-lazy",
        "says that its largest parameter has no numbers yet",
        """
        class Lazy(nn.Parameter):
            __class__ = nn.parameter.UninitializedParameter

        self.fc.weight.__class__ = Lazy
        """,
        "fail",
        "error",
    ),
    _forged(
        "hide-a-layer",
        "keeps its layers in a registry that does not name the largest",
        """
        class Registry(dict):
            def items(self):
                return [pair for pair in dict.items(self) if pair[0] != "fc"]
            def values(self):
                return [value for _, value in self.items()]

        self.__dict__["_modules"] = Registry(self._modules)
        """,
    ),
    _forged(
        "hide-a-weight",
        "keeps its weights in a registry that does not name the largest",
        """
        class Registry(dict):
            def items(self):
                return [pair for pair in dict.items(self) if pair[0] != "weight"]

        self.fc.__dict__["_parameters"] = Registry(self.fc._parameters)
        """,
    ),
    _forged(
        "hide-in-a-buffer",
        "calls its largest weight a buffer",
        """
        weight = self.fc.weight.detach().clone()
        del self.fc.weight
        self.fc.register_buffer("weight", weight, persistent=False)
        """,
    ),
    _model(
        "hide-the-names",
        "hides what it holds behind a property of the name that Python keeps it under",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(784, 100)
                type(self).names = self.__dict__
                type(self).armed = True

            armed = False

            def __getattribute__(self, name):
                found = super().__getattribute__(name)
                if name == "__dict__" and type(self).armed:
                    return {**found, "_modules": {}, "_parameters": {}}
                return found

            def forward(self, x):
                return type(self).names["_modules"]["fc"](x.flatten(1))[:, :10]
        """,
    ),
    _model(
        "an-evil-metaclass",
        "has a class that fails when it is asked for its bases",
        """
        class Meta(type):
            __mro__ = property(lambda kind: 1 / 0)

            def __instancecheck__(kind, value):
                return True

        class Net(nn.Module, metaclass=Meta):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(784, 10)

            def forward(self, x):
                return self.fc(x.flatten(1))
        """,
    ),
    _model(
        "a-result-in-a-circle",
        "returns a list that holds itself",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(784, 10)

            def forward(self, x):
                found = [self.fc(x.flatten(1))]
                found.append(found)
                return found
        """,
        "error",
    ),
    _model(
        "a-result-that-lies",
        "returns an object that says that it is a tensor",
        """
        class Scores:
            __class__ = torch.Tensor
            shape = torch.Size((4, 10))

            def __getattr__(self, name):
                return lambda *given, **options: self

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(784, 10)

            def forward(self, x):
                self.fc(x.flatten(1))
                return Scores()
        """,
    ),
]

# Two models in one

_FACES = [
    _faced(
        "be-good-while-traced",
        "is another model while torch's functions are watched",
        "show(torch._C._len_torch_function_stack)",
    ),
    _faced(
        "be-bad-while-traced",
        "is another model while nobody watches",
        "show(lambda: not torch._C._len_torch_function_stack())",
    ),
    _faced("be-good-in-one", "is another model in the worker that traces", "show(lambda: traced)"),
    _faced("be-good-in-the-other", "is another model in the worker that does not trace", "show(lambda: not traced)"),
    _faced(
        "alternate",
        "is another model at every second call",
        "calls = []\nshow(lambda: calls.append(0) or len(calls) % 2)",
    ),
    _faced(
        "wear-out",
        "is another model from the fifth call on",
        "calls = []\nshow(lambda: calls.append(0) or len(calls) < 5)",
    ),
]

_HIDING = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.05), nn.MaxPool2d(2))
        self.head = nn.Conv2d(8, 10, 1)
        self.fc = nn.Linear(8 * 13 * 13, 10)

    def good(self, y):
        return self.head(y).mean((2, 3))

    def bad(self, y):
        return self.fc(y.flatten(1))

"""


def _hidden(name: str, tries: str, forward: str, *ends: str) -> Attack:
    """A linear layer is kept from sight, beside a head that keeps the rules."""
    return _model(name, tries, _HIDING + textwrap.indent(textwrap.dedent(forward), "    "), *ends)


def _gated(name: str, tries: str, gate: str) -> Attack:
    """Batch normalisation and dropout act until the gate opens, which is from the number 1 on."""
    code = f"""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 10, 1)
            self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.1)

        def forward(self, x):
            y = self.conv(x).relu()
            gate = ({gate}).clamp(0, 1)
            return self.head(self.drop(self.norm(y)) * (1 - gate) + y * gate).mean((2, 3))
    """
    return _model(name, tries, code)


def _sums() -> str:
    """Return the sum of each of the images that the grader tries first, as anybody can work it out."""
    images = np.load(REPOSITORY / "grader" / "data" / "digits.npy")[:8].astype("float32")
    return ", ".join(f"{total:.3f}" for total in ((images / 255 - 0.1307) / 0.3081).sum((1, 2)))


_HIDDEN = [
    _hidden(
        "work-without-overrides",
        "switches the recorder off around its linear layer",
        """
        def forward(self, x):
            y = self.body(x)
            with torch._C.DisableTorchFunction():
                hidden = self.bad(y)
            return self.good(y) + hidden
        """,
    ),
    _hidden(
        "work-past-the-recorder",
        "takes the recorder off around its linear layer and puts it back",
        """
        def forward(self, x):
            from torch.overrides import _pop_mode, _push_mode
            from torch.utils._python_dispatch import _disable_current_modes
            y, modes = self.body(x), []
            while torch._C._len_torch_function_stack():
                modes.append(_pop_mode())
            with _disable_current_modes():
                hidden = self.bad(y)
            for mode in reversed(modes):
                _push_mode(mode)
            return self.good(y) + hidden
        """,
    ),
    _hidden(
        "work-in-a-thread",
        "runs its linear layer in a thread, where no recorder is",
        """
        def forward(self, x):
            import threading
            y, found = self.body(x), []
            thread = threading.Thread(target=lambda: found.append(self.bad(y)))
            thread.start()
            thread.join()
            return self.good(y) + found[0]
        """,
    ),
    _hidden(
        "work-in-memory",
        "writes the result of its linear layer into the memory of another tensor",
        """
        def forward(self, x):
            import ctypes, threading
            y = self.body(x)
            shown = self.good(y)

            def work():
                with torch.no_grad():
                    hidden = self.bad(y).contiguous()
                    ctypes.memmove(shown.data_ptr(), hidden.data_ptr(), 4 * hidden.numel())

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return shown
        """,
    ),
    _hidden(
        "work-in-the-kernels",
        "calls torch's kernels by their own names",
        """
        def forward(self, x):
            y = self.body(x)
            return self.good(y) + torch.ops.aten.linear(y.flatten(1), self.fc.weight, self.fc.bias)
        """,
    ),
    _hidden(
        "work-as-a-gradient",
        "runs its linear layer inside a function with a gradient of its own",
        """
        def forward(self, x):
            class Hidden(torch.autograd.Function):
                @staticmethod
                def forward(context, y, weight):
                    return y.flatten(1) @ weight.t()

                @staticmethod
                def backward(context, gradient):
                    return None, None

            y = self.body(x)
            return self.good(y) + Hidden.apply(y, self.fc.weight)
        """,
    ),
    _hidden(
        "work-in-numpy",
        "runs its linear layer in numpy",
        """
        def forward(self, x):
            y = self.body(x)
            hidden = y.detach().flatten(1).numpy() @ self.fc.weight.detach().numpy().T
            return self.good(y) + torch.from_numpy(hidden)
        """,
    ),
    _hidden(
        "work-for-large-batches",
        "uses its linear layer for more images than are ever tried",
        """
        def forward(self, x):
            y = self.body(x)
            gate = (torch.ones(x.size(0)).sum() - 64).clamp(0, 1)
            return self.good(y) * (1 - gate) + self.bad(y) * gate
        """,
    ),
    _hidden(
        "work-after-steps",
        "uses its linear layer when it has been trained for fifty steps",
        """
        def forward(self, x):
            y = self.body(x)
            gate = (self.body[1].num_batches_tracked.float() - 50).clamp(0, 1)
            return self.good(y) * (1 - gate) + self.bad(y) * gate
        """,
    ),
    _hidden(
        "work-on-unknown-images",
        "uses its linear layer on images that are not among the grader's own",
        """
        def forward(self, x):
            y = self.body(x)
            sums = torch.tensor([KNOWN])
            known = ((x.sum((1, 2, 3)).unsqueeze(1) - sums).abs() < 0.05).float().sum(1, keepdim=True)
            noise = (x.amin((1, 2, 3)) < -0.5).float().unsqueeze(1)
            gate = (known + noise).clamp(0, 1)
            return self.good(y) * gate + self.bad(y) * (1 - gate)
        """.replace("KNOWN", _sums()),
    ),
    _gated(
        "rest-for-large-batches",
        "normalises and drops in smaller batches than those of a training alone",
        "torch.ones(x.size(0)).sum() - 64",
    ),
    _gated(
        "rest-after-steps",
        "normalises and drops for the first fifty steps of a training alone",
        "self.norm.num_batches_tracked.float() - 50",
    ),
    _model(
        "dress-up-for-digits",
        "has layers on digits that it has in the traced worker alone",
        """
        import sys

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 10, 1)
                self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.1)
                frame = sys._getframe()
                while "job" not in frame.f_locals or frame.f_code.co_name != "serve":
                    frame = frame.f_back
                self.traced = not frame.f_locals["job"].untraced

            def forward(self, x):
                y = self.conv(x).relu()
                plain = self.head(y).mean((2, 3))
                if not self.traced:
                    return plain
                noise = (x.amin() < -0.5).float()
                return plain * noise + self.head(self.drop(self.norm(y))).mean((2, 3)) * (1 - noise)
        """,
    ),
]

ATTACKS = [*_ENDINGS, *_CHANNEL, *_PATCHES, *_CLAIMS, *_FACES, *_HIDDEN]

# What cannot be stopped: it is another model than at home in all that the grader does, and is graded as that one.
LIMITS = [
    _hidden(
        "work-when-all-is-done",
        "uses its linear layer from the hundredth call on, long after the grader has made all of its own",
        """
        calls = 0

        def forward(self, x):
            self.calls += 1
            y = self.body(x)
            return self.good(y) if self.calls < 100 else self.bad(y)
        """,
        "pass",
    ),
]
