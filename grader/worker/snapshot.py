"""The tensors that a model holds, with their numbers at one moment: every forward starts from there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from grader import wire
from grader.graph import Role, TensorInfo
from grader.protocol import Refusal
from grader.worker.refusal import Refused
from grader.worker.tensors import repeats


@dataclass
class Slot:
    """A place in a module that holds a tensor, with the tensor and its numbers as they were at the snapshot."""

    holder: dict[str, Any]
    key: str
    tensor: Tensor
    numbers: Tensor
    id: int


@dataclass
class Snapshot:
    """The state of a model, from which every forward starts."""

    slots: list[Slot] = field(default_factory=list)
    infos: list[TensorInfo] = field(default_factory=list)
    leaves: dict[int, Tensor] = field(default_factory=dict)

    def restore(self) -> None:
        """Put every tensor back in its place, with its numbers."""
        with torch.no_grad():
            for slot in self.slots:
                slot.holder[slot.key] = slot.tensor
                slot.tensor.detach().copy_(slot.numbers)
                slot.tensor.grad = None


def walk(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield every registered module once with its path, from the registries themselves: methods may be overridden."""
    seen: set[int] = set()
    stack: list[tuple[str, nn.Module]] = [("", model)]
    while stack:
        path, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        inner = [(f"{path}.{name}".lstrip("."), child) for name, child in module.__dict__["_modules"].items()]
        stack.extend(reversed([(name, child) for name, child in inner if isinstance(child, nn.Module)]))


REGISTRIES: tuple[tuple[Role, str], ...] = (("parameter", "_parameters"), ("buffer", "_buffers"), ("constant", ""))


def held(model: nn.Module) -> Iterator[tuple[Role, str, dict[str, Any], str, Tensor]]:
    """Yield every tensor that a model's modules hold, in every place: its role, its name, and the place itself."""
    for role, registry in REGISTRIES:
        for path, module in walk(model):
            holder = module.__dict__[registry] if registry else module.__dict__
            for key, tensor in holder.items():
                if isinstance(tensor, Tensor) and not nn.parameter.is_lazy(tensor):
                    yield role, f"{path}.{key}".lstrip("."), holder, key, tensor


def refuse_unfit(model: nn.Module) -> None:
    """Refuse a model whose tensors are too many or too large to be graded, or have no numbers, before any is copied."""
    tensors = {id(tensor): (name, tensor) for _, name, _, _, tensor in held(model)}
    total = sum(tensor.numel() for _, tensor in tensors.values())
    if total > wire.MAX_NUMBERS or len(tensors) > wire.MAX_TENSORS:
        name, largest = max(tensors.values(), key=lambda pair: pair[1].numel())
        raise Refused(
            Refusal(
                "limit",
                f"the model has {total:,} numbers in {len(tensors):,} tensors, "
                f"the limits are {wire.MAX_NUMBERS:,} and {wire.MAX_TENSORS:,}",
                why=f"The largest tensor is {name}: {largest.numel():,} numbers.",
                fix="Use fewer and smaller layers.",
            )
        )
    without = next((name for name, tensor in tensors.values() if tensor.device.type == "meta"), None)
    if without is not None:
        message = f"{without} is on the meta device: it has a shape, but no numbers"
        raise Refused(Refusal("capture", message, fix="Construct the model on the CPU."))


CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def lay_out_plainly(model: nn.Module) -> None:
    """Give tensors the order in memory that a graph has, where channels lie last or numbers stand for several places.

    A random mask follows the order, and what is stored once, such as a grid of coordinates, can't be put back.
    """
    for _, _, _, _, tensor in held(model):
        last = CHANNELS_LAST.get(tensor.dim())
        if tensor.layout != torch.strided:
            continue
        if repeats(tensor) or (last is not None and tensor.is_contiguous(memory_format=last)):
            numbers = tensor.detach().clone(memory_format=torch.contiguous_format)
            if numbers.stride() != tensor.stride():
                tensor.data = numbers


def snapshot(model: nn.Module) -> Snapshot:
    """Return the tensors of a model, registered and plain attributes, with what they hold now."""
    refuse_unfit(model)
    lay_out_plainly(model)
    taken = Snapshot()
    known: dict[int, int] = {}
    names: dict[int, list[str]] = {}
    for role, name, holder, key, tensor in held(model):
        if id(tensor) not in known:
            known[id(tensor)] = len(known) + 1
            info = TensorInfo(known[id(tensor)], role, name, tuple(tensor.shape), bool(tensor.requires_grad))
            taken.infos.append(info)
            taken.leaves[info.id] = tensor
        identifier = known[id(tensor)]
        names.setdefault(identifier, []).append(name)
        taken.slots.append(Slot(holder, key, tensor, tensor.detach().clone(), identifier))
    taken.infos = [
        TensorInfo(info.id, info.role, info.name, info.shape, info.trainable, tuple(names[info.id][1:]))
        for info in taken.infos
    ]
    return taken
