"""Hand-made reports, one of each kind, for tests of the forms that they are shown in."""

from __future__ import annotations

from typing import Any

import msgspec
from samples import LINEAR, SANDBOX, SOURCE, graded, result, rule, rules, submission, training

from grader.finding import Finding, Span
from grader.protocol import EpochRow, Frame, Layer, SeedReport
from grader.report import UNUSED, Obstacle, Report, Reproduction, error_report, graded_report

AGAIN = Reproduction(
    "s5-grade model.py",
    {"s5-grade": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "platform": "Linux x86_64"},
    "ab" * 32,
)
LAYERS = (
    Layer("conv1.0", "torch.nn.functional.conv2d", "conv", (8, 26, 26), 72, 48672, Span("model.py", 9, 5, 9, 8), (-1,)),
    Layer("conv1.1", "torch.nn.functional.batch_norm", "batch-norm", (8, 26, 26), 16, 0, None, (0,)),
    Layer("conv1.2", "torch.nn.functional.relu", "activation", (8, 26, 26), 0, 0, None, (1,)),
    Layer("conv2", "torch.nn.functional.conv2d", "conv", (8, 26, 26), 64, 43264, None, (2,)),
    Layer("conv3", "torch.nn.functional.conv2d", "conv", (8, 26, 26), 64, 43264, None, (3,)),
    Layer("", "torch.Tensor.add", "arithmetic", (8, 26, 26), 0, 0, None, (2, 4)),
    Layer("fc", "torch.nn.functional.linear", "dense", (10,), 7850, 7840, Span("model.py", 10, 16, 10, 37), (5,)),
)
EDITED = Finding(
    "linear",
    "error",
    LINEAR.message,
    LINEAR.why,
    LINEAR.fix,
    LINEAR.span,
    LINEAR.label,
    related=((Span("model.py", 7, 19, 7, 37), "made here"),),
    edits=((Span("model.py", 7, 19, 7, 37), "nn.Conv2d(16, 10, 1)"),),
    after=8246,
)
WARNING = Finding(
    "dropout", "warning", "dropout still acts in evaluation mode", "why so", "do this", Span("model.py", 9)
)
COURSE = rules(
    rule("gap-no-linear", "global-average-pool", "linear", line=18),
    rule("param-count", "parameters", line=5),
    rule("dropout", "dropout", level="warning", points=10, line=11),
    rule("accuracy", "accuracy", line=14),
)
PASSED = (
    result("global-average-pool"),
    result("linear"),
    result("parameters", "pass", "8,932 parameters, limit is 20,000", measured=8932, limit=20000),
    result("dropout", "pass", "dropout acts", WARNING),
)
FAILED = (PASSED[0], result("linear", "fail", EDITED.message, EDITED), *PASSED[2:])
CURVE = (
    EpochRow(1, 0.61, 81.2, 95.5, 12.0),
    EpochRow(2, 0.11, 96.9, 98.1, 24.1),
    EpochRow(3, 0.07, 98.2, 98.9, 36.2),
)


def graded_as(*results: Any, trained: bool = False, course: Any = COURSE, **answers: Any) -> Report:
    """Return the report on a model with layers whose checks came out like this."""
    answer = msgspec.structs.replace(graded(*results, **answers), layers=LAYERS)
    return graded_report(course, submission(folder="hw 1"), answer, SANDBOX, trained=trained, reproduce=AGAIN)


def passing() -> Report:
    course = rules(*(one for one in COURSE.rules if one.id != "dropout"))
    return graded_as(*PASSED[:3], course=course)


def failing() -> Report:
    return graded_as(*FAILED)


def undecided() -> Report:
    return graded_as(
        *PASSED[:2],
        result("parameters", "error", "can't be told: a constant changes from run to run"),
        result("dropout", "fail", "no dropout"),
    )


def trained() -> Report:
    answer = training(curve=CURVE, notes=("a note of the training",))
    accuracy = result("accuracy", "pass", "99.21 %, target is 99.00 %", measured=99.21, limit=99.0)
    return graded_as(*PASSED, accuracy, trained=True, training=answer, stand_ins=("cv2",), notes=("a note",))


def averaged() -> Report:
    """Return a report on a mean over three seeds, which one seed leaves open."""
    curve = tuple(
        msgspec.structs.replace(row, seed=seed, test_errors=errors if row.epoch == 3 else None)
        for seed, errors in ((1, 79), (2, 71))
        for row in CURVE
    )
    reason = "the budget of 60 s ended at step 8 of 1,287"
    answer = training(
        "open",
        claim="this model, trained, is right on at least 99 % of the 10,000 test images on average over seeds"
        " (Student's t bound over seeds 1 to 3, one-sided, 95 %)",
        reason=f"seed 3: {reason} (errors until then: 79, 71)",
        accuracy=99.25,
        errors=None,
        interval=None,
        curve=curve,
        epochs=6,
        seconds=60.1,
        claim_kind="mean",
        planned=3,
        seeds=(
            SeedReport(1, 79, 99.21, 3, 36.2, "short"),
            SeedReport(2, 71, 99.29, 3, 36.4, "short"),
            SeedReport(3, None, None, 0, 1.1, None, reason),
        ),
    )
    accuracy = result("accuracy", "error", f"accuracy could not be confirmed: {answer.reason}", limit=99.0)
    return graded_as(*PASSED, accuracy, trained=True, training=answer)


def ungraded() -> Report:
    frames = (Frame(Span("model.py", 9, 5, 9, 8), "forward"), Frame(Span("model.py", 10, 16, 10, 37), "helper"))
    obstacle = Obstacle(
        "forward",
        "forward raised RuntimeError",
        "The shapes of a layer and of its input do not fit.",
        "Print x.shape before the layer.",
        "RuntimeError: mat1 and mat2\n  shapes differ",
        frames=frames,
        candidates=("Net", "Other Net"),
        option="--class",
        stand_ins=("cv2",),
    )
    return error_report(COURSE, submission(folder="hw 1"), obstacle, UNUSED, reproduce=AGAIN)


REPORTS = {
    "passing": passing(),
    "failing": failing(),
    "undecided": undecided(),
    "trained": trained(),
    "averaged": averaged(),
    "ungraded": ungraded(),
}
assert b"self.fc" in SOURCE  # which the places above are in
