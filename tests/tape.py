"""A recorder without a GPU, as strict as one with: it notes torch's kernels with their memory, and runs those again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from grader.training.device.guard import copied, restore
from grader.training.device.step import Step

WAITS = frozenset(("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "unique"))

BY_INDEX = frozenset(("index", "index_put", "index_put_", "_index_put_impl_"))  # they look for what a mask selects


def tensors_of(found: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]


def memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class Tape(TorchDispatchMode):
    """Notes each kernel with its operands and results. A replay writes new results into the memory of the old ones.

    So nothing of Python runs again, as in a CUDA graph: neither numbers that it computed, nor tensors that it replaced.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[tuple[int, Tensor]]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = set(map(memory, tensors_of((args, kwargs))))
        made = [(place, one) for place, one in enumerate(tensors_of(result)) if memory(one) not in given]
        self.noted.append((func, args, kwargs or {}, made))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, made in self.noted:
            found = tensors_of(func(*args, **kwargs))
            for place, one in made:
                one.copy_(found[place])


class Tapes:
    """The recorder of a processor."""

    def numbers(self) -> Tensor:
        return torch.get_rng_state()

    def rewind(self, numbers: Tensor) -> None:
        torch.set_rng_state(numbers)

    def unwaiting(self) -> AbstractContextManager[Any]:
        return Watch()

    def record(self, act: Callable[[], None]) -> Callable[[], None]:
        assert isinstance(act, Step)
        before, drawn = copied(act.written()), self.numbers()
        with Tape() as tape:
            act()
        restore(act.written(), before)
        self.rewind(drawn)
        return tape.replay


class Watch(TorchDispatchMode):
    """Refuses what would make a device wait, or brings a tensor to it: what lies elsewhere, whole numbers included."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITS or (name in BY_INDEX and any(one.dtype == torch.bool for one in tensors_of(args[1]))):
            raise RuntimeError(f"{name} waits for the device")
        result = func(*args, **(kwargs or {}))
        places = {one.device.type for one in tensors_of((args, kwargs, result))}
        if len(places) > 1:
            raise RuntimeError(f"{name} takes tensors of {' and '.join(sorted(places))}")
        return result


class Eager(Tapes):
    """Refuses to record."""

    def record(self, act: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


class Waiting(Tapes):
    """Finds that each step waits."""

    @contextmanager
    def unwaiting(self) -> Iterator[None]:
        with nullcontext():
            yield
        raise RuntimeError("called a synchronizing CUDA operation")


class Wrong(Tapes):
    """Replays something else than was recorded: what `spoil` makes of a step and its replay."""

    def __init__(self, spoil: Callable[[Step, Callable[[], None]], None]) -> None:
        self.spoil = spoil

    def record(self, act: Callable[[], None]) -> Callable[[], None]:
        assert isinstance(act, Step)
        replay = super().record(act)
        step = act
        return lambda: self.spoil(step, replay)
