"""Torch functions that are no operators: those that may run unrecorded, and what is said of the others."""

from __future__ import annotations

import sys
from typing import Any

from grader.protocol import Refusal
from grader.worker import places

# Ask a tensor about itself, never about its numbers.
METADATA = frozenset(
    "dim size ndimension nelement numel stride is_contiguous is_floating_point is_complex is_signed element_size "
    "storage_offset get_device is_same_size __len__ __hash__ __repr__ __str__ __format__ has_names is_shared is_pinned "
    "is_inference is_tensor is_storage result_type can_cast retain_grad __dir__ _is_view is_conj is_neg "
    "broadcast_shapes _is_zerotensor dim_order is_coalesced".split()
)
METADATA_PROPERTIES = frozenset(
    "shape ndim dtype device layout requires_grad is_leaf is_cuda is_cpu is_meta is_mps is_xpu is_sparse is_quantized "
    "names grad_fn grad itemsize nbytes output_nr retains_grad is_mkldnn is_nested is_vulkan is_sparse_csr is_ipu "
    "is_xla is_mtia is_maia is_ort _version _base _backward_hooks name volatile".split()
)
# Turn numbers of a tensor into Python values.
READERS = frozenset(
    "item tolist numpy __bool__ __int__ __float__ __index__ __complex__ __array__ __contains__ equal allclose "
    "is_nonzero __reduce_ex__ __reversed__ nonzero masked_select unique".split()
)

REMOVE_HOOK = "Remove the hook when it has done its work: call remove() on the handle that registering it returns."


def value_read(name: str) -> Refusal:
    """Say that forward turns an activation into a Python value."""
    shown = {
        "__bool__": "if/and/or/not on a tensor",
        "__float__": "float()",
        "__int__": "int()",
        "__index__": "an index",
    }
    where = "forward"
    fix = "Compute with tensors alone (torch.where instead of if); take debugging prints and asserts out."
    if places.in_hook(sys._getframe()):
        where, fix = "a hook", REMOVE_HOOK
    return Refusal(
        "data-dependent",
        f"{where} reads the value of an activation in Python: {shown.get(name, f'.{name}()')}",
        why="What the model computes may then depend on the image; a grade is a statement about one computation.",
        fix=fix,
        span=places.nearest(sys._getframe()),
    )


def unsupported(short: str | tuple[str, str]) -> Refusal:
    """Say that forward calls what the operator table does not have."""
    name = short if isinstance(short, str) else f"{short[1]} ({short[0].strip('_')})"
    message = f"the torch function '{name}' is not in the grader's operator table"
    why = "Every operator is re-executed by the grader; one that it does not know is never counted as nothing."
    fix = "Use a common operator with the same effect, or report this function so that it is added to the table."
    if short == ("__set__", "data"):
        message = "forward puts other numbers into a tensor's data"
        why = "That reaches past what PyTorch records, so the grader can't follow it."
        fix = "Compute with a changed copy: F.conv2d(x, self.conv.weight * self.mask, self.conv.bias)."
    return Refusal("unsupported", message, why=why, fix=fix, span=places.nearest(sys._getframe()))


def shaped_by_values() -> Refusal:
    """Say that forward leaves the number of classes to the largest number in a tensor."""
    message = "one_hot is not told how many classes there are"
    why = "Its shape then depends on numbers in a tensor; a graph has the same shapes for every image."
    return Refusal("unsupported", message, why=why, fix="Write F.one_hot(x, 10).", span=places.nearest(sys._getframe()))


def short_name(func: Any) -> str | tuple[str, str]:
    """Return a function's short name; of a property's getter or setter, its name and the property's."""
    name = str(getattr(func, "__name__", type(func).__name__))
    if name in ("__get__", "__set__", "__delete__"):
        owner = getattr(func, "__self__", None)
        inner = getattr(owner, "__name__", None) or getattr(getattr(owner, "fget", None), "__name__", "?")
        return name, str(inner)
    return name
