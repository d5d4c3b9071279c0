"""A dilated convolution acts on the prediction.

The taps of a dilated (atrous) kernel have gaps between them: a 3×3 kernel with `dilation=2` sees 5×5 positions with
nine weights. The receptive field grows without pooling and without more weights. The check looks at what runs: a live
convolution with a dilation above 1 along an axis where its kernel has more than one tap must have an effect on the
prediction.

A dilation on a 1×1 kernel changes nothing. Taps that meet nothing but padding, because the dilation is larger than the
map, do not count either.

## Options

- `expect`: `present` (default), or `absent` for rules that forbid it.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 10, 3, dilation=2)

    def forward(self, x):
        return self.conv2(self.conv1(x)).mean((2, 3))
```

A kernel of one position has no gaps:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 10, 1, dilation=2)

    def forward(self, x):
        x = self.conv1(x)
        x = self.conv2(x)  # error: no dilated convolution: dilation=2 does nothing to a 1×1 kernel
        return x.mean((2, 3))
```

```python
# options: {"expect": "absent"}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3, dilation=2)

    def forward(self, x):
        return self.conv(x).mean((2, 3))  # error: a dilated convolution: 3×3, dilation=2
```
"""

from __future__ import annotations

from typing import Literal

import msgspec

from grader.checks._layers import Convolution, convolutions
from grader.checks._presence import Form, absent, present
from grader.checks._subject import Subject, times
from grader.facts import Facts
from grader.finding import CheckResult

ID = "dilated"
WHY = "Gaps in a kernel let it see more of the map with the same weights, and without pooling."
FIX = "Write nn.Conv2d(…, 3, padding=2, dilation=2): it keeps the size of the map and sees 5×5 positions."


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`expect`: what a dilated convolution must be."""

    expect: Literal["present", "absent"] = "present"


def check(subject: Subject, options: Options) -> CheckResult:
    form = Form(ID, "dilated convolution", WHY, dilated, described)
    if options.expect == "absent":
        return absent(subject, form, "Leave out dilation=.")
    return present(subject, form, nearest, FIX)


def dilated(facts: Facts) -> list[Convolution]:
    return [layer for layer in convolutions(facts) if layer.dilated]


def described(layer: Convolution) -> str:
    return f"{times(layer.kernel)}, {gaps(layer)}"


def gaps(layer: Convolution) -> str:
    """Return the dilation as it is written: one number where it is the same along all axes."""
    return f"dilation={layer.dilation[0] if len(set(layer.dilation)) == 1 else layer.dilation}"


def nearest(facts: Facts) -> tuple[str, Convolution | None]:
    """Return what comes closest to a dilated convolution, in words, and where it is."""
    idle = [layer for layer in convolutions(facts) if max(layer.dilation, default=1) > 1]
    if not idle:
        return "", None
    layer = idle[0]
    if max(layer.kernel) == 1:
        return f"{gaps(layer)} does nothing to a {times(layer.kernel)} kernel", layer
    return f"{gaps(layer)} takes all taps but one of each kernel off the {times(layer.extents)} map", layer
