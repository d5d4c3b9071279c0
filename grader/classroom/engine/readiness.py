"""What a machine lacks to train models as asked: told before the first is graded, and never taken for a result."""

from __future__ import annotations

from glob import glob

from grader.classroom.types import Course
from grader.datasets import handed
from grader.report import ACCURACY

GPUS = ("/dev/nvidia*", "/dev/nvhost*", "/dev/nvmap", "/dev/dxg", "/dev/kfd")  # of cards, of boards, of WSL, of AMD
NO_GPU = "there is no CUDA device here: train with --device cpu, or where there is one"


def lacking(course: Course) -> str:
    """Return why models cannot be trained here, '' where they can or need not be."""
    if not course.settings.train or not course.rules.uses_of(ACCURACY):
        return ""
    if course.settings.device == "cuda" and not any(map(glob, GPUS)):
        return NO_GPU
    images = course.rules.input
    data = handed(images.source, images.shape, images.classes)
    return "" if data is None else data.problem
