"""The PyTorch that student code meets: on the CPU, uncompiled, and without files to read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

import torch
import torch.utils.checkpoint
from torch import nn
from torch.overrides import TorchFunctionMode

from grader.worker.stand_ins import StandIn

CPU = torch.device("cpu")
_TENSOR_TYPE = type(torch.FloatTensor)
_CUDA_TYPES = (
    "FloatTensor DoubleTensor HalfTensor BFloat16Tensor ByteTensor CharTensor ShortTensor IntTensor LongTensor"
    " BoolTensor"
).split()


def prepare() -> None:
    """Replace what a submission may call but must not do; called once a process, before student code."""
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    for owner, name, value in replacements():
        setattr(owner, name, value)


@cache
def replacements() -> tuple[tuple[Any, str, Any], ...]:
    """Return what `prepare` replaces: the owner, the name, the new value. Names that this torch lacks are left out."""
    rows = [
        *_rows(torch.utils.checkpoint, checkpoint=_checkpoint, checkpoint_sequential=_checkpoint_sequential),
        *_rows(
            torch.jit, script=_first, trace=_first, freeze=_first, optimize_for_inference=_first, ScriptModule=_Scripted
        ),
        *_rows(torch.jit, script_method=_first, export=_first, interface=_first, script_if_tracing=_first),
        *_rows(torch.jit, ignore=_decorator, unused=_first, fork=_call, wait=_first),
        *_rows(torch, compile=_decorator, load=_reader("torch.load")),
        *_rows(torch.compiler, disable=_decorator, allow_in_graph=_first),
        *_rows(nn.Module, compile=_nothing),
        *_rows(nn.Embedding, forward=_looked_up),
        *_rows(torch.jit, load=_reader("torch.jit.load")),
        *_rows(
            torch.hub,
            load=_reader("torch.hub.load"),
            load_state_dict_from_url=_reader("torch.hub.load_state_dict_from_url"),
            download_url_to_file=_reader("torch.hub.download_url_to_file"),
        ),
        *_rows(torch.utils.data, DataLoader=StandIn("torch.utils.data.DataLoader")),
        # It imports torch's compiler, which wants a folder to write to; one thread on a CPU is deterministic anyway.
        *_rows(torch, use_deterministic_algorithms=_nothing, set_deterministic_debug_mode=_nothing),
        *_rows(torch, autocast=_Switch, set_default_device=_nothing, set_default_tensor_type=_nothing),
        *_rows(torch.amp, autocast=_Switch),
        *_rows(torch.amp.autocast_mode, autocast=_Switch),
        *_rows(torch.cuda.amp, autocast=_Switch),
        *_rows(torch.cuda.amp.autocast_mode, autocast=_Switch),
        *_rows(torch.cpu.amp, autocast=_Switch),
        *_rows(torch.cuda, set_device=_nothing, synchronize=_nothing, empty_cache=_nothing, device=_Switch),
        *_rows(torch.cuda, **{name: getattr(torch, name) for name in _CUDA_TYPES}),
        *_rows(torch.Tensor, new=_new),
        *_rows(torch.autograd.Variable, __new__=_variable),
        *_rows(torch.Tensor, cuda=_same, xpu=_same, hpu=_same, ipu=_same, mtia=_same, pin_memory=_same),
        *_rows(nn, DataParallel=_Unwrapped),
        *_rows(nn.parallel, DataParallel=_Unwrapped, DistributedDataParallel=_Unwrapped),
    ]
    return tuple(row for row in rows if hasattr(row[0], row[1]))


def to_cpu(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> tuple[tuple[Any, ...], Any]:
    """Return a torch call's arguments with every other device named in them replaced by the CPU.

    What needs no change is returned as the same objects.
    """
    if kwargs and "device" in kwargs and _foreign(kwargs["device"]):
        kwargs = {**kwargs, "device": CPU}
    if func in _POSITIONAL and len(args) > 1:
        args = _POSITIONAL[func](args)
    return args, kwargs


class _DeviceRewrite(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = to_cpu(func, args, kwargs)
        return func(*args, **(kwargs or {}))


def device_rewrite() -> TorchFunctionMode:
    """Return a context manager under which a model that asks for a GPU gets the CPU."""
    return _DeviceRewrite()


def _foreign(device: Any) -> bool:
    """An integer is a GPU's number; the meta device stays, it is one that a model can really use here."""
    if isinstance(device, bool) or device is None:
        return False
    if isinstance(device, (str, torch.device)):
        return str(device).partition(":")[0] not in ("cpu", "meta")
    return isinstance(device, int)


def _moved(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """`tensor.to(device, …)`."""
    return (args[0], CPU, *args[2:]) if _foreign(args[1]) else args


def _typed(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """`tensor.type("torch.cuda.FloatTensor")`, `tensor.type(torch.FloatTensor)`."""
    kind = args[1]
    if isinstance(kind, str) and kind.startswith("torch.cuda."):
        return (args[0], kind.replace("torch.cuda.", "torch.", 1), *args[2:])
    return (args[0], kind.dtype, *args[2:]) if isinstance(kind, _TENSOR_TYPE) else args


_POSITIONAL: dict[Any, Callable[[tuple[Any, ...]], tuple[Any, ...]]] = {
    torch.Tensor.to: _moved,
    torch.Tensor.type: _typed,
}


def _rows(owner: Any, **values: Any) -> list[tuple[Any, str, Any]]:
    return [(owner, name, value) for name, value in values.items()]


def _first(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
    return obj


def _decorator(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Serves as `@compile` and as `@compile(mode=…)`."""
    return obj if callable(obj) else _first


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _new(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """Serves as the legacy `tensor.new(2, 3)`, `tensor.new(other.size())` and `tensor.new([0.5, 1.0])`."""
    if len(args) == 1 and not isinstance(args[0], (int, torch.Size)):
        return self.new_tensor(args[0], **kwargs)
    return self.new_empty(*args, **kwargs) if args else self.new_empty(0, **kwargs)


def _variable(kind: type, data: torch.Tensor, requires_grad: bool = False, volatile: bool = False) -> torch.Tensor:
    """Serves as the legacy `Variable(tensor)`, which is the tensor without its history."""
    return data.detach().requires_grad_() if requires_grad else data.detach()


def _same(self: Any, *args: Any, **kwargs: Any) -> Any:
    return self


def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _reader(name: str) -> Callable[..., NoReturn]:
    def read(*args: Any, **kwargs: Any) -> NoReturn:
        raise FileNotFoundError(f"{name} reads a file: a submission is graded from its source alone")

    return read


_CHECKPOINT_OPTIONS = ("use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug", "early_stop")


def _checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Checkpointing trades time for memory; what is computed is the function itself."""
    return function(*args, **{key: value for key, value in kwargs.items() if key not in _CHECKPOINT_OPTIONS})


def _checkpoint_sequential(functions: Any, segments: int, input: Any, *args: Any, **kwargs: Any) -> Any:
    for function in functions.children() if isinstance(functions, nn.Sequential) else functions:
        input = function(input)
    return input


def _looked_up(self: nn.Embedding, input: torch.Tensor) -> torch.Tensor:
    """A row of the table for each index: an indexing, unless a row does not learn or rows are cut to a length."""
    if self.padding_idx is None and self.max_norm is None:
        return self.weight[input]
    return nn.functional.embedding(
        input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
    )


class _Switch(contextlib.ContextDecorator):
    """A context manager and decorator that changes nothing: mixed precision and the choice of a GPU."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: Any) -> None:
        return None


class _Scripted(nn.Module):
    """A base of its own: `nn.Module.register_buffer` asks whether a module derives from `torch.jit.ScriptModule`."""


class _Unwrapped(nn.Module):
    """Data parallelism on one CPU: the module itself."""

    def __new__(cls, module: Any = None, *args: Any, **kwargs: Any) -> Any:
        return module
