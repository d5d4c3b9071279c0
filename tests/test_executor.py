"""What two workers sent is compared by name: one output too many, too few, or of another name is not faithful."""

from __future__ import annotations

import pytest
import torch
from support import HEADER, capture_text, untraced

from grader import executor, wire
from grader.protocol import GradeJob, Probe

TEXT = (
    HEADER
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3)), x.mean()
"""
)
PROBE = Probe(7, (2, 5))


def refusal(changed: dict[str, torch.Tensor | None]) -> str:
    """Grade with some of the untraced outputs changed or left out, and return why that is refused; '' where not."""
    sent = {**wire.decode_tensors(untraced(TEXT, PROBE)), **changed}
    outputs = wire.encode_tensors({name: tensor for name, tensor in sent.items() if tensor is not None})
    job = GradeJob(capture_text(TEXT), outputs, PROBE, (1, 28, 28), 10, ((0.0,), (1.0,)), ())
    try:
        executor.grade(job, lambda progress: None)
    except executor.NotGradable as error:
        return error.answer.message
    return ""


@pytest.mark.parametrize("changed", [{}, {"test.2.0": torch.ones(1)}, {"eval.3.0": torch.ones(1)}])
def test_outputs_that_agree(changed: dict[str, torch.Tensor | None]) -> None:
    assert refusal(changed) == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"eval.2.1": None},
        {"eval.2.1": torch.ones(())},
        {"eval.2.1": torch.ones((), dtype=torch.float64)},
        {"eval.2.2": torch.ones(1)},
        {"eval.2.1": None, "eval.2.01": torch.ones(())},
        {"eval.2.": torch.ones(1)},
        {"eval.2.²": torch.ones(1)},
        {f"eval.2.{'1' * 5000}": torch.ones(1)},
        {"eval.2.1": torch.ones([1] * 70)},
    ],
)
def test_outputs_that_differ(changed: dict[str, torch.Tensor | None]) -> None:
    assert "unrecorded, on 2 images in eval mode, it differs" in refusal(changed)
