"""Inert stand-ins for absent packages: harmless to define things with, refused where a model computes with them."""

from __future__ import annotations

import inspect
import sys
from types import FunctionType
from typing import Any, NoReturn

import torch
from torch import nn

from grader.finding import Span
from grader.worker import places

# Never imported, present or not: heavy, broken beside another torch, or of no use to a model's definition.
REPLACED = frozenset(
    "torchvision torchaudio torchtext matplotlib seaborn plotly bokeh pylab cv2 albumentations PIL imgaug skimage"
    " pandas sklearn torchsummary torchinfo torchviz torchview torchmetrics tensorboard tensorboardX tensorflow keras"
    " wandb mlflow comet_ml neptune clearml lightning pytorch_lightning lightning_fabric IPython google kaggle gradio"
    " streamlit torch_lr_finder".split()
)
REPLACED_PARTS = ("torch.utils.tensorboard",)
# What these return may be kept by a model: it logs, measures or prepares images, and holds nothing to learn.
_TOOLS = REPLACED - {"torchvision", "torchaudio", "torchtext", "tensorflow", "keras"} | frozenset(
    "tqdm logging rich onnx onnxruntime netron hiddenlayer fvcore thop ptflops calflops torchstat captum shap"
    " pytorch_grad_cam pytorch_model_summary prettytable tabulate skorch poutyne torchbearer".split()
)
_TOOL_PARTS = (
    "torchvision.transforms",
    "torchvision.datasets",
    "torchvision.utils",
    "kornia.augmentation",
    "torch.utils.data",
    "torch.utils.tensorboard",
)


class StandInUsed(ImportError):
    """A stand-in was put to real work. `path` is the dotted name of what stood in."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not available here")
        self.path = path


# The last uses, for the errors of code that swallows exceptions (torch's argument parser does).
_last_use: list[str] = []


def last_use() -> str:
    """Return the path of the stand-in that was last put to work; '' if none was."""
    return _last_use[-1] if _last_use else ""


# Where each stand-in was last given a tensor: its result fails later, or never.
_given: dict[str, Span] = {}


def given_at(path: str) -> Span | None:
    """Return where the submission last gave a tensor to a stand-in; None where it gave none."""
    return _given.get(path)


def forget_uses() -> None:
    """Begin with another submission."""
    _last_use.clear()
    _given.clear()


def is_tool(path: str) -> bool:
    """Tell whether what a package provides can't be a part of the computation."""
    return path.partition(".")[0] in _TOOLS or any(path == part or path.startswith(part + ".") for part in _TOOL_PARTS)


class StandIn:
    """Stands in for a package, or for anything taken from it or returned by it.

    Attributes, calls, decoration, subclassing, subscription and `with` are harmless; its value can't be used.
    """

    def __init__(self, path: str, *, result: bool = False) -> None:
        vars(self)["_path"] = path
        vars(self)["_result"] = result

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)  # protocols that are not offered here must be seen as absent
        return StandIn(f"{self._path}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and isinstance(args[0], (type, FunctionType)):
            return args[0]  # decoration
        if any(isinstance(item, torch.Tensor) for item in args):
            if self._path.endswith("_"):
                _work(self)  # in place, so that a result nobody reads is no sign of being harmless
            place = places.nearest(sys._getframe())
            if place is not None:
                _given[self._path] = place
        return StandIn(self._path, result=True)

    def __getitem__(self, key: Any) -> Any:
        return StandIn(self._path, result=self._result)

    def __setitem__(self, key: Any, value: Any) -> None:
        return None

    def __delitem__(self, key: Any) -> None:
        return None

    def __enter__(self) -> Any:
        return StandIn(self._path, result=True)

    def __exit__(self, *error: Any) -> None:
        return None

    def __or__(self, other: Any) -> Any:  # annotations: `Image | None`
        return self

    __ror__ = __or__

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, StandIn)

    def __subclasscheck__(self, cls: Any) -> bool:
        return False

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        known = KNOWN_BASES.get(self._path.rpartition(".")[2])
        return (known if known is not None else type("AbsentBase", (AbsentBase,), {"_path": self._path}),)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"StandIn({self._path})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        values = [*args, *(kwargs or {}).values()]
        _work(next((item for item in values if isinstance(item, StandIn)), None))


def _work(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    path = path_of(self) or last_use() or "an absent package"
    _last_use[:] = [path]
    raise StandInUsed(path)


_WORK = (
    "bool int float complex index len iter next contains array eq ne lt le gt ge add radd iadd sub rsub isub mul rmul"
    " imul truediv rtruediv itruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul and rand xor rxor lshift"
    " rshift neg pos abs invert round trunc floor ceil reversed divmod rdivmod fspath bytes"
).split()
for _name in _WORK:
    setattr(StandIn, f"__{_name}__", _work)


def path_of(value: Any) -> str:
    """Return the dotted name that a stand-in, or a class made from one, stands for; '' for everything else."""
    if type(value) is StandIn:
        return str(vars(value)["_path"])
    if isinstance(value, type) and issubclass(value, AbsentBase):
        return value._path
    return ""


def is_result(value: Any) -> bool:
    """Tell whether a value is what calling a stand-in returned."""
    return type(value) is StandIn and bool(vars(value)["_result"])


class AbsentBase:
    """The base of a class whose real base is absent: it can be defined, not constructed."""

    _path = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        _last_use[:] = [cls._path]
        raise StandInUsed(cls._path)


class Mixin:
    """The base that adds uploading and saving, nothing that a model computes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()


class HyperParameters(dict[str, Any]):
    """A dictionary whose keys are attributes too, as Lightning's `hparams`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class LightningModule(nn.Module):
    """A LightningModule's forward is that of a plain module; its training hooks never run here."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    @property
    def hparams(self) -> HyperParameters:
        values: HyperParameters = self.__dict__.setdefault("_hparams", HyperParameters())
        return values

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.get_default_dtype()

    def save_hyperparameters(self, *names: Any, ignore: Any = (), **kwargs: Any) -> None:
        """Keep the constructor's arguments, all or those named."""
        frame = sys._getframe(1)
        given = inspect.getargvalues(frame)
        values = {name: given.locals[name] for name in given.args[1:]} | given.locals.get(given.keywords or "", {})
        chosen = [name for name in names if isinstance(name, str)] or list(values)
        for item in names:
            self.hparams.update(item if isinstance(item, dict) else {})
        left_out = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        self.hparams.update({name: values[name] for name in chosen if name in values and name not in left_out})

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Write nowhere."""

    log_dict = print = log


KNOWN_BASES: dict[str, type] = {
    "LightningModule": LightningModule,
    "PyTorchModelHubMixin": Mixin,
    "ModelHubMixin": Mixin,
    "HyperparametersMixin": Mixin,
}
