"""Programs that do the same to each image, however many come with it and however often the model has run.

In these nothing but layers with learned weights comes between the image and the prediction, and the one way from an
image to another is through the statistics of a batch normalisation. No number is made of the batch's size or read from
a counter, and no number that a submission chose is left once the learned ones are drawn at random: so there is nothing
that a small batch could open and a large one close. Whatever is not listed here may be harmless too; it is tried out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from grader.facts import Facts, Operand, Step, integers
from grader.graph import Arg, Graph, Items, Size, Slice

MAX_EPS = 0.01  # of a batch normalisation: with a large one it is another function
IMAGES = 4  # axes of a batch of maps

Allowed = Callable[[Step], bool]


def alike(graph: Graph, facts: Facts, learned: Collection[int]) -> bool:
    """Tell whether a program is plainly such; `learned` are the ids of the parameters that are drawn at random."""
    buffers = {info.id for info in graph.of_role("buffer")}
    steps = [facts.steps[index] for index in facts.live]
    return not graph.program(facts.mode).updates and all(
        _keeps_rows(step, facts.batch) and _reads_weights_alone(step, learned, buffers) for step in steps
    )


def _keeps_rows(step: Step, batch: int) -> bool:
    allowed = ALLOWED.get(step.short.removesuffix("_"))
    images = [operand for operand in step.operands if operand.from_input]
    rows = [*(operand.shape for operand in images), *step.shapes]
    return (
        allowed is not None
        and bool(images)
        and step.operands[0] is images[0]
        and len(step.shapes) == 1
        and all(len(shape) > 1 and shape[0] == batch for shape in rows)
        and (allowed is _view or not _follows_batch(*step.node.args, *step.node.kwargs.values()))
        and allowed(step)
    )


def _follows_batch(*arguments: Arg) -> bool:
    """Tell whether there is a number among arguments that follows the batch's size."""
    return any(
        isinstance(argument, (Size, Slice)) or (isinstance(argument, Items) and _follows_batch(*argument.items))
        for argument in arguments
    )


def _reads_weights_alone(step: Step, learned: Collection[int], buffers: Collection[int]) -> bool:
    statistics = {"running_mean", "running_var"} if step.kind == "batch-norm" else set()
    kept = {operand.id for name in statistics if (operand := step.operand(name)) is not None}
    return all(
        operand.from_input or operand.leaf in learned or (operand.id in kept and operand.leaf in buffers)
        for operand in step.operands
    )


def _always(step: Step) -> bool:
    return True


def _of_maps(step: Step) -> bool:
    return len(step.operands[0].shape) == IMAGES


def _one_image_operand(step: Step) -> bool:
    return sum(operand.from_input for operand in step.operands) == 1


def _convolution(step: Step) -> bool:
    return _of_maps(step) and _one_image_operand(step)


def _normalisation(step: Step) -> bool:
    eps = step.argument("eps")
    usual = eps is None or (isinstance(eps, float) and 0 < eps <= MAX_EPS)
    return step.argument("training") is True and usual and _one_image_operand(step)


def _slope(step: Step) -> bool:
    given = [*step.node.args[1:2], *(value for name, value in step.node.kwargs.items() if name == "negative_slope")]
    return all(isinstance(slope, (int, float)) and 0 <= slope < 1 for slope in given)


def _inner_axes(axes: tuple[int, ...], operand: Operand) -> bool:
    """Tell whether there are axes, and the one of the images is not among them."""
    rank = len(operand.shape)
    return bool(axes) and all(axis % rank > 0 for axis in axes)


def _inside_images(step: Step) -> bool:
    return _inner_axes(integers(step.argument("dim")), step.operands[0])


def _squeezed(step: Step) -> bool:
    given = step.node.args[1] if len(step.node.args) > 1 else step.node.kwargs.get("dim")
    return _inner_axes(integers(given), step.operands[0])


def _flat(step: Step) -> bool:
    start = step.node.args[1] if len(step.node.args) > 1 else step.node.kwargs.get("start_dim")
    return isinstance(start, int) and start > 0


def _view(step: Step) -> bool:
    """Allow x.view(B, …) and x.view(-1, …): what stands behind the first number is the same for every image."""
    given = step.node.args[1:]
    sizes = given[0].items if given and isinstance(given[0], Items) else given
    if step.node.kwargs or len(sizes) < 2:
        return False
    first, *rest = sizes
    return first in (-1, Size(1, 0)) and all(type(size) is int for size in rest) and (first != -1 or -1 not in rest)


def _sum(step: Step) -> bool:
    """Allow the sum of two maps: without a factor, and nothing but images."""
    return (
        all(operand.from_input and operand.shape == step.shapes[0] for operand in step.operands)
        and len(step.node.args) == 2
        and not step.node.kwargs
    )


def _joined(step: Step) -> bool:
    return all(operand.from_input for operand in step.operands) and _inside_images(step)


ALLOWED: dict[str, Allowed] = {
    "conv2d": _convolution,
    "linear": _one_image_operand,
    "batch_norm": _normalisation,
    **dict.fromkeys(("relu", "gelu", "silu", "mish", "sigmoid", "tanh"), _always),
    "leaky_relu": _slope,
    **dict.fromkeys(("dropout", "dropout2d", "feature_dropout"), _always),
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), _of_maps),
    **dict.fromkeys(("mean", "softmax", "log_softmax"), _inside_images),
    "flatten": _flat,
    "squeeze": _squeezed,
    **dict.fromkeys(("view", "reshape"), _view),
    "add": _sum,
    **dict.fromkeys(("cat", "concat"), _joined),
}
