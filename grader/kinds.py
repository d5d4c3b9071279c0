"""What an operator is, as far as a check needs to know: its kind, and its signature where arguments matter."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "conv",  # convolution, plain or transposed
    "dense",  # every input position meets its own weight: linear, matmul and their relatives
    "batch-norm",
    "norm",  # layer, group, instance, local response
    "dropout",
    "avg-pool",
    "max-pool",
    "reduce",  # sum, mean and others over given axes
    "activation",  # element by element, one operand
    "softmax",
    "arithmetic",  # element by element, several operands
    "compare",
    "reshape",  # the same elements in the same order under another shape
    "permute",  # the same elements with their axes in another order
    "index",  # some of the elements
    "expand",  # repeated elements
    "join",  # cat, stack
    "pad",
    "resample",  # interpolation, pixel shuffling, sampling on a grid
    "unfold",
    "factory",  # a new tensor from a shape
    "random",  # random numbers
    "copy",  # clone, cast, detach, memory layout
    "write",  # in place from another tensor
    "weight",  # work on weights that torch's own wrappers do: weight norm, matrix products with vectors
    "recurrent",
    "attention",
]

# Kinds whose multiplications are counted, as torch.utils.flop_counter counts them.
MULTIPLYING: tuple[Kind, ...] = ("conv", "dense", "recurrent", "attention")

CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
CONV_TRANSPOSE = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
POOL = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
MAX_POOL = ("input", "kernel_size", "stride", "padding", "dilation")
BATCH_NORM = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
REDUCE = ("input", "dim", "keepdim")

# Last part of the name → names of the positional parameters. `NAMED` below holds the spellings that differ.
SIGNATURES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), CONV),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), CONV_TRANSPOSE),
    **dict.fromkeys(("linear",), ("input", "weight", "bias")),
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "cdist", "__matmul__"), ("input", "other")),
    "__rmatmul__": ("other", "input"),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv", "addr"), ("bias", "input", "other")),
    "outer": ("input", "other"),
    "bilinear": ("input", "other", "weight", "bias"),
    "batch_norm": BATCH_NORM,
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d"), ("input", "p", "training", "inplace")),
    **dict.fromkeys(("alpha_dropout", "feature_alpha_dropout"), ("input", "p", "training", "inplace")),
    **dict.fromkeys(("dropout_", "feature_dropout", "feature_dropout_", "alpha_dropout_"), ("input", "p", "training")),
    "feature_alpha_dropout_": ("input", "p", "training"),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), POOL),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), MAX_POOL),
    **dict.fromkeys(("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"), MAX_POOL),
    **dict.fromkeys(("lp_pool1d", "lp_pool2d"), ("input", "norm_type", "kernel_size", "stride")),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"), ("input", "output_size")),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"), ("input", "output_size")),
    **dict.fromkeys(
        ("mean", "sum", "nansum", "nanmean", "amax", "amin", "logsumexp", "prod", "cumsum", "cumprod"), REDUCE
    ),
    **dict.fromkeys(("max", "min", "median", "nanmedian", "cummax", "cummin", "logcumsumexp"), REDUCE),
    **dict.fromkeys(("sort", "argsort"), ("input", "dim", "descending")),
    "topk": ("input", "k", "dim"),
    "kthvalue": ("input", "k", "dim", "keepdim"),
    **dict.fromkeys(("quantile", "nanquantile"), ("input", "q", "dim", "keepdim")),
    "diff": ("input", "n", "dim"),
    "count_nonzero": ("input", "dim"),
    **dict.fromkeys(("var", "std"), ("input", "dim", "unbiased", "keepdim")),
    "norm": ("input", "p", "dim", "keepdim"),
    **dict.fromkeys(("log_softmax", "softmax", "softmin"), ("input", "dim", "_stacklevel", "dtype")),
    **dict.fromkeys(("permute", "movedim", "moveaxis"), ("input", "dims", "destination")),
    **dict.fromkeys(("transpose", "transpose_", "swapaxes", "swapdims"), ("input", "dim0", "dim1")),
    **dict.fromkeys(("mul", "mul_", "multiply", "div", "div_", "divide", "true_divide"), ("input", "other")),
    **dict.fromkeys(("add", "add_", "sub", "sub_"), ("input", "other")),
    **dict.fromkeys(("__rdiv__", "__rtruediv__", "__rsub__", "__rpow__"), ("other", "input")),
    **dict.fromkeys(("interpolate", "upsample"), ("input", "size", "scale_factor", "mode", "align_corners")),
    **dict.fromkeys(("upsample_nearest", "upsample_bilinear"), ("input", "size", "scale_factor")),
    **dict.fromkeys(("pad", "constant_pad_nd"), ("input", "pad", "mode", "value")),
    **dict.fromkeys(("stack", "cat", "concat", "concatenate"), ("tensors", "dim")),
    **dict.fromkeys(("select", "unbind"), ("input", "dim")),
    "narrow": ("input", "dim", "start", "length"),
    "flip": ("input", "dims"),
    "einsum": ("equation",),
    "tensordot": ("input", "other", "dims"),
    "scaled_dot_product_attention": ("query", "key", "value", "attn_mask"),
}

NAMED: dict[str, tuple[str, ...]] = {
    "torch.batch_norm": ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
    "torch.native_batch_norm": (
        "input",
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "training",
        "momentum",
        "eps",
    ),
    "torch.log_softmax": ("input", "dim", "dtype"),
    "torch.softmax": ("input", "dim", "dtype"),
    "torch.special.softmax": ("input", "dim", "dtype"),
    "torch.special.log_softmax": ("input", "dim", "dtype"),
    "torch.Tensor.log_softmax": ("input", "dim", "dtype"),
    "torch.Tensor.softmax": ("input", "dim", "dtype"),
    "torch.dropout": ("input", "p", "training"),
    "torch.alpha_dropout": ("input", "p", "training"),
    "torch.feature_alpha_dropout": ("input", "p", "training"),
}

# Values of parameters that a caller may leave out, where they differ from None.
DEFAULTS: dict[str, dict[str, object]] = {
    "torch.nn.functional.dropout": {"p": 0.5, "training": True},
    "torch.nn.functional.dropout1d": {"p": 0.5, "training": True},
    "torch.nn.functional.dropout2d": {"p": 0.5, "training": True},
    "torch.nn.functional.dropout3d": {"p": 0.5, "training": True},
    "torch.nn.functional.alpha_dropout": {"p": 0.5, "training": False},
    "torch.nn.functional.feature_alpha_dropout": {"p": 0.5, "training": False},
    "torch.nn.functional.batch_norm": {"training": False, "momentum": 0.1},
}


STATISTICS = ("running_mean", "running_var")  # arguments of a batch normalisation that it keeps up to date
TAKE_A_SHAPE = frozenset("view_as reshape_as expand_as type_as to".split())  # of what follows, not its numbers


def plain(short: str) -> str:
    """Return an operator's short name without the underscore of in-place forms."""
    return short if short.startswith("__") else short.rstrip("_")


def signature(op: str) -> tuple[str, ...]:
    """Return the names of an operator's positional parameters, as far as they are known."""
    return NAMED.get(op) or SIGNATURES.get(op.rpartition(".")[2], ())
