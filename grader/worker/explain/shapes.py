"""Sizes that do not fit: channels, features and reshapes, compared with the images that the model was given."""

from __future__ import annotations

import re

from grader.worker.explain.raised import Case, Raised

SPLITS = (2, 4, 8, 16, 32, 64)  # parts of a batch that are normalised by themselves


def wrong_channels(raised: Raised) -> Case | None:
    found = re.search(r"expected input\[([\d, ]+)\] to have (\d+) channels, but got (\d+) channels", raised.text)
    if found is None:
        return None
    given = _sizes(found[1])
    if tuple(given[-3:]) == raised.job.input_shape:
        return Case(
            "input-shape",
            f"the first convolution expects {found[2]} input channels, the images have {found[3]}",
            f"The model is given images of shape {raised.input}.",
            f"Let the first convolution be nn.Conv2d({found[3]}, …).",
        )
    return Case(
        "forward",
        f"a convolution expects {found[2]} channels and is given {found[3]}",
        f"Its input has shape ({', '.join(map(str, given))}).",
        "Make in_channels the number of channels that the layer before it gives.",
    )


def wrong_features(raised: Raised) -> Case | None:
    found = re.search(r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x(\d+)\)", raised.text)
    if found is None:
        return None
    channels, height, width = raised.job.input_shape
    features = int(found[2])
    message = f"a linear layer expects {found[3]} features and is given {features}"
    images = f"The images have shape {raised.input}"
    if features == width:  # the layer was applied to the last axis of a map
        return Case(
            "input-shape", message, f"{images} and reach the layer unflattened.", "Flatten first: x.flatten(1)."
        )
    if features == channels * height * width:
        return Case("input-shape", message, f"{images}: that is what they flatten to.", f"Make in_features {features}.")
    why = f"{images}; {found[3]} features belong to images of another size, or to other layers before."
    return Case("forward", message, why, f"Make in_features {features}.")


def wrong_view(raised: Raised) -> Case | None:
    found = re.search(r"shape '\[([-\d, ]+)\]' is invalid for input of size (\d+)", raised.text)
    if found is None:
        return None
    sizes, count = _sizes(found[1]), int(found[2])
    rest = 1
    for size in sizes[1:]:
        rest *= abs(size)
    shape = ", ".join(map(str, sizes))
    if sizes and sizes[0] > 0 and (-1 in sizes or (rest and count % rest == 0)):
        return Case(
            "single-batch",
            f"a reshape to ({shape}) works for a batch of {sizes[0]} only",
            "The number of images in a batch varies, so its size can't be written into the model.",
            f"Write -1 or x.size(0) for the first size: x.view(x.size(0), {', '.join(map(str, sizes[1:])) or '-1'}).",
        )
    if _splits_batch(sizes, count, rest):
        return Case(
            "single-batch",
            f"a reshape to ({shape}) does not fit every batch",
            "It splits the batch into equal parts, as ghost batch normalisation does; a batch may have any size.",
            "Let it take other batches too, or use one that is not split, such as nn.BatchNorm2d.",
        )
    return Case(
        "input-shape",
        f"a reshape to ({shape}) does not fit {count:,} numbers",
        f"The images have shape {raised.input}; the sizes written here belong to other images or other layers before.",
        "Flatten with x.flatten(1), or correct the sizes.",
    )


def _splits_batch(sizes: list[int], count: int, rest: int) -> bool:
    """Tell whether a reshape to (-1, C, H, W), which keeps the map, fits batches that are a multiple of this one."""
    return len(sizes) == 4 and sizes[0] == -1 and rest > 0 and any(count * parts % rest == 0 for parts in SPLITS)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in re.findall(r"-?\d+", text)][:16]
