"""The operator table: every torch function that a submission may use, what it is, and how the trusted side runs it.

The table is the whitelist too. A torch function that is not here is refused by name, never counted as nothing and never
run on the trusted side. To add one, write its name into the row of its kind; every spelling that torch offers for that
name is then known (`torch.nn.functional.relu`, `torch.relu`, `torch.Tensor.relu`, `torch.Tensor.relu_`).

Left out on purpose: what reaches raw memory (`as_strided`, `set_`, `resize_`, `data_ptr`, `view` to another type), what
has a result whose shape depends on values (`nonzero`, `masked_select`, `unique`), and complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from grader.kinds import Kind, plain

# kind → short names, looked up in every namespace below, with and without the trailing underscore of in-place forms.
TABLE: dict[Kind, str] = {
    "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "dense": (
        "linear bilinear matmul __matmul__ __rmatmul__ mm bmm mv dot vdot inner outer addmm baddbmm addbmm "
        "addmv addr einsum tensordot chain_matmul multi_dot cdist"
    ),
    "batch-norm": "batch_norm native_batch_norm",
    "norm": "layer_norm group_norm instance_norm local_response_norm rms_norm normalize",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout",
    "avg-pool": "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d",
    "max-pool": (
        "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d "
        "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices lp_pool1d lp_pool2d "
        "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices"
    ),
    "reduce": (
        "sum mean nansum nanmean amax amin max min logsumexp prod var std var_mean std_mean norm vector_norm "
        "median cumsum cumprod all any argmax argmin aminmax frobenius_norm topk sort msort argsort kthvalue quantile "
        "nanquantile nanmedian cummax cummin logcumsumexp diff count_nonzero"
    ),
    "activation": (
        "relu relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh softplus softsign "
        "tanhshrink softshrink hardshrink logsigmoid sigmoid tanh threshold rrelu glu exp expm1 log log1p "
        "log2 log10 sqrt rsqrt square abs absolute neg negative positive sign sin cos tan asin acos atan "
        "arctan sinh cosh asinh acosh atanh erf erfc erfinv reciprocal clamp clip clamp_min clamp_max floor "
        "ceil round trunc frac nan_to_num expit logit isnan isinf isfinite logical_not bitwise_not __invert__ sgn "
        "log_sigmoid exp2 sinc deg2rad rad2deg arcsin arccos arcsinh arccosh arctanh lgamma ndtr log_ndtr"
    ),
    "softmax": "softmax log_softmax softmin gumbel_softmax",
    "arithmetic": (
        "add sub subtract mul multiply div divide true_divide pow __pow__ __ipow__ float_power fmod remainder "
        "floor_divide rsub __rsub__ __rdiv__ __rtruediv__ __rpow__ __floordiv__ __ifloordiv__ __rfloordiv__ "
        "__rmod__ __mod__ addcmul addcdiv lerp maximum minimum fmax fmin where atan2 hypot prelu bitwise_and "
        "bitwise_or bitwise_xor logical_and logical_or logical_xor __and__ __or__ __xor__ cosine_similarity "
        "xlogy logaddexp __rmul__ __radd__ masked_fill pairwise_distance __lshift__ __rshift__ "
        "bitwise_left_shift bitwise_right_shift __iand__ __ior__ heaviside copysign arctan2 logaddexp2"
    ),
    "compare": (
        "gt ge lt le eq __eq__ ne greater greater_equal less less_equal not_equal isclose one_hot bucketize "
        "searchsorted"
    ),
    "reshape": "view reshape flatten unflatten squeeze unsqueeze ravel view_as reshape_as",
    "permute": (
        "permute transpose t swapaxes swapdims movedim moveaxis T mT H mH adjoint channel_shuffle "
        "native_channel_shuffle"
    ),
    "index": (
        "__getitem__ select narrow chunk split unbind tensor_split index_select hsplit vsplit "
        "split_with_sizes diagonal take_along_dim tril triu unsafe_chunk unsafe_split dsplit diag gather"
    ),
    "expand": "expand expand_as repeat tile repeat_interleave broadcast_to broadcast_tensors",
    "join": "cat concat concatenate stack hstack vstack dstack meshgrid column_stack row_stack block_diag",
    "pad": "pad constant_pad_nd",
    "resample": (
        "interpolate upsample pixel_shuffle pixel_unshuffle grid_sample affine_grid flip fliplr flipud roll "
        "rot90 upsample_nearest upsample_bilinear"
    ),
    "unfold": "unfold fold",
    "factory": (
        "zeros ones full empty eye arange linspace zeros_like ones_like full_like empty_like new_zeros "
        "new_ones new_full new_empty scalar_tensor hann_window hamming_window"
    ),
    "random": (
        "rand randn randint randperm rand_like randn_like randint_like bernoulli normal uniform_ normal_ "
        "bernoulli_ random_ exponential_ cauchy_ log_normal_ geometric_ poisson"
    ),
    "copy": (
        "clone contiguous detach float half double bfloat16 int long bool to type type_as cpu cuda "
        "requires_grad_ data real short byte char detach_ __deepcopy__ resolve_conj resolve_neg "
        "view_as_real"
    ),
    "write": (
        "__setitem__ copy_ fill_ zero_ index_fill index_copy index_add masked_fill_ fill_diagonal_ scatter scatter_add "
        "scatter_reduce"
    ),
    "weight": (
        "_weight_norm _weight_norm_interface matrix_exp householder_product matrix_norm solve conj "
        "conj_physical qr geqrf orgqr det inv pinv"
    ),
    "recurrent": "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell",
    "attention": "scaled_dot_product_attention multi_head_attention_forward",
}

# Spellings of one name that are another operator than the rest.
EXCEPTIONS: dict[str, Kind] = {
    "torch.Tensor.unfold": "index",
    "torch.Tensor.masked_fill_": "arithmetic",
    "torch.nn.functional.lp_pool1d": "max-pool",
    "torch.nn.functional.lp_pool2d": "max-pool",
}

NAMESPACES: tuple[tuple[str, Any], ...] = (
    ("torch.nn.functional", torch.nn.functional),
    ("torch", torch),
    ("torch.Tensor", torch.Tensor),
    ("torch.linalg", torch.linalg),
    ("torch.special", torch.special),
    ("torch._C._nn", torch._C._nn),
)

# Uninitialised memory differs between runs; every use that makes sense overwrites it.
EMPTY: dict[str, Callable[..., Any]] = {
    "torch.empty": torch.zeros,
    "torch.empty_like": torch.zeros_like,
    "torch.Tensor.new_empty": torch.Tensor.new_zeros,
}


def lengths_fit(directions: Tensor, lengths: Tensor, dim: int = 0) -> bool:
    """Tell whether weight normalisation has one length for each direction."""
    shape = [extent if axis == dim else 1 for axis, extent in enumerate(directions.shape)]
    return directions.numel() > 0 and (list(lengths.shape) == shape or dim == -1)


def channels_fit(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> bool:
    """Tell whether batch normalisation has one number for each channel in all that it is given beside the images."""
    if not training and (running_mean is None or running_var is None):
        return False
    given = [item for item in (weight, bias, running_mean, running_var) if item is not None]
    return input.dim() > 1 and all(item.shape == input.shape[1:2] for item in given)


def weights_fit(gates: int) -> Callable[..., bool]:
    """Return what tells whether the weights and the states of a recurrent layer belong to its input."""

    def fit(
        input: Tensor,
        hx: Any,
        params: Sequence[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> bool:
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        outer, inner = states[0].shape[-1], states[-1].shape[-1]  # these differ where an LSTM projects
        ways = 2 if bidirectional else 1
        per_layer = 2 + 2 * has_biases + (outer != inner)
        if input.dim() != 3 or len(params) != num_layers * ways * per_layer:
            return False
        expected = []
        for layer in range(num_layers * ways):
            width = input.shape[2] if layer < ways else outer * ways
            expected += [(gates * inner, width), (gates * inner, outer), *[(gates * inner,)] * (2 * has_biases)]
            expected += [(outer, inner)] * (outer != inner)
        rows = (num_layers * ways, input.shape[0 if batch_first else 1])
        return [tuple(item.shape) for item in params] == expected and [tuple(item.shape) for item in states] == [
            (*rows, outer),
            (*rows, inner),
        ][: len(states)]

    return fit


# Kernels of torch that trust the shapes they are given: they read and write past the end of what is too small.
FITS: dict[str, Callable[..., bool]] = {
    "torch._weight_norm": lengths_fit,
    "torch._weight_norm_interface": lengths_fit,
    "torch.native_batch_norm": channels_fit,
    "torch.lstm": weights_fit(4),
    "torch.gru": weights_fit(3),
    "torch.rnn_tanh": weights_fit(1),
    "torch.rnn_relu": weights_fit(1),
}

# Take a tensor's shape and type, never its numbers.
SHAPE_ONLY = frozenset(
    "zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty "
    "new_full".split()
)

ACTS_AT_RANDOM = ("rrelu", "gumbel_softmax", "multi_head_attention_forward", "scaled_dot_product_attention")

MAX_AXES = 64  # of a tensor: torch makes more, but does not compute on them
DTYPES = "float16 bfloat16 float32 float64 uint8 int8 int16 int32 int64 bool".split()  # what the replay computes in

SYMBOLS: dict[str, Any] = {
    "...": Ellipsis,
    "inf": float("inf"),
    "-inf": float("-inf"),
    "nan": float("nan"),
    **{name: getattr(torch, name) for name in DTYPES},
    **{
        str(item).removeprefix("torch."): item for item in vars(torch).values() if isinstance(item, torch.memory_format)
    },
    "strided": torch.strided,
    "dict": "dict",  # marks an output that was a mapping
}


@dataclass(frozen=True, slots=True)
class Op:
    """One public spelling of an operator."""

    name: str
    kind: Kind
    run: Callable[..., Any]
    random: bool

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def reads_numbers(self) -> bool:
        """Whether the result depends on the numbers of the operands, not on their shape alone."""
        return self.short not in SHAPE_ONLY


def _function(name: str, found: Any) -> Callable[..., Any]:
    """Return what runs a table entry: properties run their getter, some functions only on what fits."""
    if name in EMPTY:
        return EMPTY[name]
    if name in FITS:
        return partial(_run_if, FITS[name], found)
    return found if callable(found) else partial(_get, found)


def _run_if(fits: Callable[..., bool], run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not fits(*args, **kwargs):
        raise ValueError("the shapes of its operands do not fit each other")
    return run(*args, **kwargs)


def _get(descriptor: Any, tensor: torch.Tensor) -> Any:
    return descriptor.__get__(tensor)


def _row(kind: Kind, short: str, namespace: str, owner: Any) -> Op | None:
    found = getattr(owner, short, None)
    if not callable(found) and not hasattr(found, "__get__"):
        return None  # absent in this version, or a dtype such as torch.float
    if short.startswith("__") and owner is not torch.Tensor:
        return None  # modules can be compared too
    name = f"{namespace}.{short}"
    kind = EXCEPTIONS.get(name, kind)
    random = kind in ("dropout", "random", "recurrent") or plain(short) in ACTS_AT_RANDOM
    return Op(name, kind, _function(name, found), random)


@cache
def table() -> dict[str, Op]:
    """Return the table by public name. It is read once, before any student code could patch torch."""
    rows: dict[str, Op] = {}
    for kind, names in TABLE.items():
        for short in names.split():
            for spelling in (short, f"{short}_"):
                for namespace, owner in NAMESPACES:
                    row = _row(kind, spelling, namespace, owner)
                    if row is not None:
                        rows.setdefault(row.name, row)
    return rows


@cache
def vocabulary() -> dict[Any, str]:
    """Return the public name of each function object, as `__torch_function__` receives it."""
    names: dict[Any, str] = {}
    for name in table():
        namespace, _, short = name.rpartition(".")
        found = getattr(dict(NAMESPACES)[namespace], short)
        names.setdefault(found if callable(found) else found.__get__, name)
    return names
