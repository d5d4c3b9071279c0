"""What the JSON files of a bundle hold, decoded strictly: the settings, and the rules with their options checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from grader.bundle.archive import BundleError
from grader.checks import checks
from grader.datasets import Source
from grader.finding import Level
from grader.protocol import Device
from grader.report import ACCURACY
from grader.rules import CheckUse, Input, Mark, Rule, Rules
from grader.rules.form import InputForm, Normalise, TorchvisionForm
from grader.rules.types import MNIST
from grader.settings import Settings

SCHEMA: Literal[1] = 1
CHECKS_CAP = 100  # of a rule
RULES_CAP = 500

Text = Annotated[str, Meta(max_length=10_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class SettingsForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"class_name": "class"}):
    """How the submission was graded: the options of the command line. `threads` are those of the training."""

    file: Text | None
    class_name: Text | None
    arguments: dict[Text, Text]
    train: bool
    seed: Annotated[int, Meta(ge=0, lt=2**31)]
    budget: Seconds | None
    device: Device
    threads: Annotated[int, Meta(ge=1, le=1024)]
    timeout: Seconds


class SubmissionForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was graded: the path that was named, the folder of the files, the one that holds the model."""

    path: Text
    folder: Text
    entry: Text


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`bundle.json`: what the other files are, each with its digest."""

    schema: Literal[1]
    submission: SubmissionForm
    settings: SettingsForm
    versions: dict[Text, Text]
    sha256: dict[Text, Text]


class MarkForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where something stands in the rules file."""

    file: Text
    line: Annotated[int, Meta(ge=0)] = 0
    column: Annotated[int, Meta(ge=0)] = 0


class UseForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check with its options."""

    check: Text
    options: dict[str, Any]
    mark: MarkForm


class RuleForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule."""

    id: Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=1_000)]
    checks: Annotated[tuple[UseForm, ...], Meta(min_length=1, max_length=CHECKS_CAP)]
    needs: Literal["all", "any"]
    points: Annotated[float, Meta(ge=0, le=1_000_000)]
    level: Level
    mark: MarkForm


class RulesForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rules.json`: the rules with what they extend, so that no other file is needed."""

    file: Text
    title: Text
    input: InputForm
    rules: Annotated[tuple[RuleForm, ...], Meta(min_length=1, max_length=RULES_CAP)]
    source: Text = ""


def settings_form(settings: Settings) -> SettingsForm:
    """Return settings as a bundle tells them."""
    return SettingsForm(
        settings.file,
        settings.class_name,
        dict(settings.arguments),
        settings.train,
        settings.seed,
        settings.budget,
        settings.device,
        settings.threads,
        settings.timeout,
    )


def settings_of(form: SettingsForm) -> Settings:
    """Return the settings that a bundle tells; the graph is asked for, to be compared."""
    return Settings(**msgspec.structs.asdict(form), export=True)


def rules_form(rules: Rules) -> RulesForm:
    """Return rules as a bundle tells them."""
    images = rules.input
    return RulesForm(
        rules.file,
        rules.title,
        _input_form(images),
        tuple(_rule_form(rule) for rule in rules.rules),
        rules.source,
    )


def rules_of(form: RulesForm) -> Rules:
    """Return the rules that a bundle tells.

    Raises:
        BundleError: a check does not exist, its options are out of form, or the rules cannot be used together.
    """
    images = _input(form.input)
    rules = Rules(form.file, form.title, images, tuple(map(_rule, form.rules)), form.source)
    ids = [rule.id for rule in rules.rules]
    if len(set(ids)) < len(ids):
        raise BundleError("rules.json: an id stands twice")
    trained = rules.uses_of(ACCURACY)
    if len(trained) > 1:
        raise BundleError("rules.json: accuracy stands twice, a model is trained once")
    if trained and not images.is_trainable:
        raise BundleError("rules.json: accuracy is measured on MNIST, and the input is not MNIST's")
    return rules


def _input_form(images: Input) -> InputForm:
    """Return the input as a bundle tells it: of a data set that is not part of s5-grade the name alone."""
    source = images.dataset
    dataset: str | TorchvisionForm | None = None
    if source is not None:
        dataset = TorchvisionForm(source.torchvision, source.name) if source.torchvision else source.name
    normalise = Normalise(images.mean, images.std) if images.mean else None
    return InputForm(images.shape, images.classes, normalise, dataset)


def _input(form: InputForm) -> Input:
    """Return the input that a bundle tells; the path of a data set is then one from the current folder."""
    if form.shape is None or form.classes is None:
        raise BundleError("rules.json: the input has no shape or no classes")
    named = form.dataset
    source = None
    if named is not None:
        source = Source(named) if isinstance(named, str) else Source(named.root, named.torchvision)
    normalise = form.normalise or (Normalise((), ()) if source else Normalise(MNIST.mean, MNIST.std))
    if normalise.mean and len(normalise.mean) != form.shape[0]:
        raise BundleError(f"rules.json: {form.shape[0]} channels, but {len(normalise.mean)} of them are normalised")
    return Input(form.shape, form.classes, normalise.mean, normalise.std, source)


def _rule_form(rule: Rule) -> RuleForm:
    uses = tuple(UseForm(use.check, use.options, _mark_form(use.mark)) for use in rule.checks)
    return RuleForm(rule.id, uses, rule.needs, rule.points, rule.level, _mark_form(rule.mark))


def _mark_form(mark: Mark) -> MarkForm:
    return MarkForm(mark.file, mark.line, mark.column)


def _rule(form: RuleForm) -> Rule:
    uses = tuple(_use(use, form.id) for use in form.checks)
    points = int(form.points) if form.points.is_integer() else form.points
    return Rule(form.id, uses, form.needs, points, form.level, _mark(form.mark))


def _use(form: UseForm, rule: str) -> CheckUse:
    """Return a check with its options, those that the bundle leaves out filled in."""
    check = checks().get(form.check)
    if check is None:
        raise BundleError(f"rules.json: rule {rule}: this version of s5-grade has no check {form.check[:100]!r}")
    try:
        options = msgspec.convert(form.options, check.options)
    except (msgspec.ValidationError, RecursionError) as error:
        raise BundleError(f"rules.json: rule {rule}: check {form.check}: {error}") from None
    return CheckUse(form.check, msgspec.to_builtins(options), _mark(form.mark))


def _mark(form: MarkForm) -> Mark:
    return Mark(form.file, form.line, form.column)
