"""The messages between the processes, decoded strictly on the side that trusts the other less.

Every message is one frame: a length of 8 bytes, little-endian, and that many bytes. The trusted side sends MessagePack
(it carries bytes); what the worker answers starts with one tag byte, then JSON, or for a capture JSON and tensors
(`wire.py`, read by the executor alone).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from grader.finding import CheckResult, Span
from grader.graph import Graph
from grader.likeness import Likeness

Device = Literal["cpu", "cuda"]

MISSING = "not in force"  # how the words of a layer of the sandbox begin that the machine could not give
SUBMISSION = "<submission>/"  # how the names of submitted files begin where they are code
GRAPH_CAP = 64 * 1024 * 1024  # bytes of one answer of the worker
REFUSAL_CAP = 1024 * 1024


class CaptureJob(msgspec.Struct, frozen=True):
    """What a worker needs to load one submission and to capture its graph.

    `files` is the manifest: path inside the submission → the submitted bytes. `entry` is the file that holds the model.
    `input_shape` is (C, H, W). `untraced` asks for plain forwards on inputs that are named only after loading.
    """

    files: dict[str, bytes]
    entry: str
    class_name: str | None
    arguments: dict[str, str]
    input_shape: tuple[int, int, int]
    classes: int
    seed: int
    untraced: bool = False


class Probe(msgspec.Struct, frozen=True):
    """Which inputs the untraced worker runs (see `pictures.py`); the seed is the forward's seed too.

    The first batch is noise, the others are `digits`: pixels of one byte, 28×28 an image, normalised by `normalise`.
    """

    seed: int
    batches: tuple[int, ...]
    digits: bytes = b""
    normalise: tuple[tuple[float, ...], tuple[float, ...]] = ((0.1307,), (0.3081,))


class Frame(msgspec.Struct, frozen=True):
    """One line of a student's traceback, inside the submission."""

    span: Span
    function: str


class Refusal(msgspec.Struct, frozen=True):
    """Why a submission could not be graded, as the worker tells it.

    `code` is one of a closed set, `message` the headline, `fix` the way out; `candidates` are names to choose from with
    `option` ('--class' or '--file'); `frames` is the student's traceback, outermost first; `stand_ins` the packages
    that were replaced because they could not be imported.
    """

    code: Literal[
        "syntax",  # the file is not Python
        "no-model",  # nothing in it looks like a model
        "ambiguous",  # several candidates: choose with `option`
        "arguments",  # the constructor needs arguments
        "import",  # a package that the model really needs is absent
        "load",  # an exception while definitions were loaded
        "constructor",  # an exception in the constructor
        "forward",  # an exception in forward
        "input-shape",  # forward does not take (N, C, H, W) of this shape
        "single-batch",  # forward works for one batch size only, or batch norm refuses a batch of one
        "data-dependent",  # what runs depends on values or, sample by sample, on the batch
        "unsupported",  # an operator that the table does not have
        "capture",  # the graph could not be established
        "limit",  # too many nodes, tensors or bytes
    ]
    message: str
    why: str = ""
    fix: str = ""
    span: Span | None = None
    candidates: tuple[str, ...] = ()
    option: Literal["", "--class", "--file", "--arg"] = ""
    frames: tuple[Frame, ...] = ()
    error: str = ""
    stand_ins: tuple[str, ...] = ()


class Loaded(msgspec.Struct, frozen=True):
    """What the worker reports beside the graph: nothing of it enters a verdict."""

    class_name: str
    span: Span | None = None
    stand_ins: tuple[str, ...] = ()
    skipped: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()


class CheckRequest(msgspec.Struct, frozen=True):
    """One check to make, with its options as `rules.yaml` gave them (validated on both sides)."""

    check: str
    options: dict[str, Any] = {}


ClaimKind = Literal["model", "mean", "population"]


class DataFile(msgspec.Struct, frozen=True):
    """One file of a data set: its part in it ('train_images', 'archive' …), its name in messages, its bytes."""

    role: str
    name: str
    data: memoryview


class DataFiles(msgspec.Struct, frozen=True):
    """A data set for those who may not read files; `problem` says why its files could not be handed over.

    `shape` (C, H, W) and `classes` are what the rules say of it, `test` is how many test images it has, 0 where that is
    not known. `sha256` is the digest that its contents must have, '' for any.
    """

    title: str
    form: Literal["npz", "idx", "cifar-binary"]
    files: tuple[DataFile, ...]
    shape: tuple[int, int, int]
    classes: int
    test: int = 0
    sha256: str = ""
    problem: str = ""


class DataReport(msgspec.Struct, frozen=True):
    """The images that were used: their name, the digest of all of them with their labels, and how many there were.

    `mean` and `std` are those by which each channel was shifted and scaled; `computed` says that they were taken from
    the training images.
    """

    name: str
    sha256: str
    training: int
    held_out: int
    test: int
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    computed: bool = False


class TrainRequest(msgspec.Struct, frozen=True):
    """The training that an accuracy rule asks for: `target`, `recipe`, and from `claim` on, as `rules.yaml` has them.

    `seeds` is how many there are, from `seed` on. `data` are the images, None for those that come with the package.
    """

    target: float
    recipe: dict[str, Any]
    seed: int
    budget: float | None
    threads: int
    device: Device = "cpu"
    claim: ClaimKind = "model"
    seeds: int = 1
    sustained: int = 0
    best: bool = False
    data: DataFiles | None = None


class GradeJob(msgspec.Struct, frozen=True):
    """What the executor needs: the captured bytes, the untraced outputs, and what to check on them.

    `normalise` is the mean and the deviation of the images for each channel, none where the training images tell them.
    `export` asks for the graph itself and its weights beside the results.
    """

    capture: bytes
    untraced: bytes
    probe: Probe
    input_shape: tuple[int, int, int]
    classes: int
    normalise: tuple[tuple[float, ...], tuple[float, ...]]
    checks: tuple[CheckRequest, ...]
    train: TrainRequest | None = None
    export: bool = False


class Layer(msgspec.Struct, frozen=True):
    """One row of the layer table: a node of the eval graph with what it learned and what it returns.

    `shape` is that of the output for one image, the batch axis left out; `parameters` are counted at their first use.
    `inputs` are the numbers of the rows whose results it works on, through operators that have no row; the model's
    input is -1.
    """

    module: str
    op: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int
    span: Span | None = None
    inputs: tuple[int, ...] = ()


StageName = Literal["short", "medium", "long"]


class EpochRow(msgspec.Struct, frozen=True):
    """One point of the training curve; accuracies in percent, `held_out` on images never trained on.

    `loss` is None where it was not finite. `seconds` count from the start of training, `epoch` from 1 in each stage.
    `test_errors` is None where the test images were not looked at after this epoch, `seed` where there is but one.
    """

    epoch: int
    loss: float | None
    train_accuracy: float
    held_out_accuracy: float | None
    seconds: float
    stage: StageName = "short"
    test_errors: int | None = None
    seed: int | None = None


class SeedReport(msgspec.Struct, frozen=True):
    """What training with one seed came to: the errors that count, and the stage that made them.

    `errors` and `accuracy` are None where the test images were never looked at; `reason` says what kept the training
    from its end.
    """

    seed: int
    errors: int | None
    accuracy: float | None
    epochs: int
    seconds: float
    stage: StageName | None = None
    reason: str = ""


class TrainingReport(msgspec.Struct, frozen=True):
    """What training showed and how to repeat it. `outcome` says whether the claim holds, fails or stays open.

    `claim` is the exact statement, `reason` why it stays open (budget, custom gradient, numbers not finite). `errors`
    of `images` test images; `interval` is the exact 95 % binomial interval of the accuracy in percent.

    `claim_kind` is what sort of statement it is. Of a claim about a mean, `accuracy` is that mean, and `errors` are
    told seed by seed. `allowed` is how many errors a single model may make, `bound` the one-sided 95 % lower bound in
    percent that is compared with the target, where the claim has one. Where errors are counted after several epochs
    (`sustained`, `best`), those that decide are told, and no interval. `seeds` holds every seed that began, of
    `planned` ones. `environment` is what decides about the last digit beside seed, threads and device.
    """

    outcome: Literal["confirmed", "missed", "open"]
    claim: str
    reason: str
    target: float
    accuracy: float | None
    errors: int | None
    images: int
    interval: tuple[float, float] | None
    seed: int
    epochs: int
    seconds: float
    threads: int
    device: str
    output: Literal["logits", "log-probabilities", "probabilities"]
    recipe: dict[str, Any]
    curve: tuple[EpochRow, ...] = ()
    notes: tuple[str, ...] = ()
    claim_kind: ClaimKind = "model"
    sustained: int = 0
    best: bool = False
    allowed: int | None = None
    bound: float | None = None
    seeds: tuple[SeedReport, ...] = ()
    planned: int = 1
    environment: dict[str, str] = {}
    data: DataReport | None = None


class Progress(msgspec.Struct, frozen=True):
    """Where training stands: sent a few times a second. `step` counts through all epochs of the stage.

    `run` counts the seeds from 1, of `runs`.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds: float
    loss: float
    stage: StageName = "short"
    run: int = 1
    runs: int = 1


class Exported(msgspec.Struct, frozen=True):
    """The graph that a verdict is about, and its tensors as safetensors, each named by its id."""

    graph: Graph
    tensors: bytes


class Graded(msgspec.Struct, frozen=True):
    """What the executor found: one result for each check asked for, in order; `likeness` is that of the graph alone."""

    results: tuple[CheckResult, ...]
    loaded: Loaded
    parameters: int
    layers: tuple[Layer, ...]
    training: TrainingReport | None = None
    exported: Exported | None = None
    likeness: Likeness | None = None


class Ungradable(msgspec.Struct, frozen=True):
    """Why the executor could not grade what the worker sent."""

    message: str
    why: str = ""
    fix: str = ""
    span: Span | None = None
