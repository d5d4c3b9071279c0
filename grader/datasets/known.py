"""The data sets that rules can name: what their images are, where their files are looked for, how one gets them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """A data set by name: its images, and the mean and standard deviation of each channel over those of training.

    `sha256` is the digest of its contents (see `training/data`), '' where it is not known. `places` are folders, those
    without a leading slash seen from the rules file; `fetch` says how one gets the files.
    """

    title: str
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    training: int
    test: int
    sha256: str = ""
    places: tuple[str, ...] = ()
    fetch: str = ""


MNIST = "mnist"  # the one that comes with the package

KNOWN = {
    MNIST: Known(
        "MNIST",
        (1, 28, 28),
        10,
        (0.1307,),
        (0.3081,),
        60_000,
        10_000,
        sha256="fc38d433462b365e5a7401c86cedd4b99db299d0d6399002a02e8a968675517d",
    ),
    "fashion-mnist": Known(
        "Fashion-MNIST",
        (1, 28, 28),
        10,
        (0.2860,),
        (0.3530,),
        60_000,
        10_000,
        sha256="3f1f1ec885d11f5916eafa62695323b8da4c7f1886e63771d48bbd7c508e23dd",
        places=("data/FashionMNIST/raw", "data/fashion-mnist", "/usr/share/datasets/fashion-mnist"),
        fetch="install Debian's package dataset-fashion-mnist, or name a folder that holds its four files",
    ),
    "cifar10": Known(
        "CIFAR-10",
        (3, 32, 32),
        10,
        (0.4914, 0.4822, 0.4465),
        (0.2470, 0.2435, 0.2616),
        50_000,
        10_000,
        places=("data/cifar-10-batches-bin", "data/cifar-10-batches-py"),
        fetch="unpack its binary version, or the one for Python where torchvision is installed, into the folder data",
    ),
}
