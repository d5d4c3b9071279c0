"""The form of a rules file, as types: what `read` accepts, and what the JSON schema for editors is made from."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class CheckForm:
    """A check as a rule names it: its id alone, or its id with its options."""


class Normalise(msgspec.Struct, frozen=True):
    """Mean and standard deviation of each channel: images are shifted and scaled by them."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, msgspec.Meta(gt=0)], ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} means but {len(self.std)} standard deviations")


Extent = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class TorchvisionForm(msgspec.Struct, frozen=True):
    """A data set that torchvision reads, by the name of its class, from the folder `root`; nothing is downloaded."""

    torchvision: Literal["CIFAR10", "CIFAR100", "USPS"]
    root: str = "data"


class InputForm(msgspec.Struct, frozen=True):
    """What the models are fed: the images of `dataset`, `mnist` where none is named.

    It is a name (mnist, fashion-mnist, cifar10) or the path of an .npz file or a folder, seen from the rules file.
    `shape` (channels, height, width) of one image, `classes`, and `normalise` are those of the data set where they are
    left out.
    """

    shape: tuple[Extent, Extent, Extent] | None = None
    classes: Annotated[int, msgspec.Meta(ge=2, le=10_000)] | None = None
    normalise: Normalise | None = None
    dataset: str | TorchvisionForm | None = None


class RuleForm(msgspec.Struct, frozen=True):
    """One rule: `checks` must all hold; of `any`, one is enough."""

    id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
    points: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 0.0
    level: Literal["error", "warning", "note"] = "error"
    checks: Annotated[tuple[CheckForm, ...], msgspec.Meta(min_length=1)] | None = None
    any: Annotated[tuple[CheckForm, ...], msgspec.Meta(min_length=1)] | None = None

    def __post_init__(self) -> None:
        if (self.checks is None) == (self.any is None):
            raise ValueError("expected either 'checks' (all must hold) or 'any' (one is enough)")


class RulesForm(msgspec.Struct, frozen=True):
    """A rules file. Rules replace those of the same id in the file that `extends` names; `without` leaves some out."""

    title: str | None = None
    extends: str | None = None
    without: tuple[str, ...] = ()
    input: InputForm | None = None
    rules: tuple[RuleForm, ...] = ()
