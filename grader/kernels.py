"""Which of torch's two ways to convolve a small model takes: the one that is ready at once.

oneDNN writes machine code for each layer and each size of batch, a millisecond or two for what then takes a tenth of
one. It is worth that where the same is run a thousand times, in training, or where there is much to compute. Workers
and executor decide by the same numbers, so that both round alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch.backends.mkldnn

MOST = 30_000  # learned numbers of a small model
LARGEST = 3 * 3  # weights of a filter for one channel: larger filters are slow without oneDNN
FILTERS = 4  # axes of the weights of a convolution over images


def suit(shapes: Iterable[Sequence[int]]) -> None:
    """Choose for a model whose registered parameters have these shapes."""
    known = list(shapes)
    filters = [shape for shape in known if len(shape) == FILTERS]
    # The first layer has filters for one channel. Others that do are depthwise, which without oneDNN is slow too.
    slow = sum(shape[1] == 1 for shape in filters) > 1 or any(math.prod(shape[2:]) > LARGEST for shape in filters)
    small = 0 < sum(map(math.prod, known)) <= MOST
    torch.backends.mkldnn.set_flags(slow or not small)


def suit_training() -> None:
    """Choose for many runs of the same."""
    torch.backends.mkldnn.set_flags(True)
