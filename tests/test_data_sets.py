"""Data sets other than the embedded one: what their files hold, and every fault that they can have."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grader.datasets import DatasetError, Outline, Source, handed, locate, outlined, vision
from grader.datasets.forms import CIFAR_TEST, CIFAR_TRAINING, IDX_NAMES, KEYS
from grader.protocol import DataFiles
from grader.training.data import DataError, opened
from grader.training.data.images import split
from grader.training.data.opened import measured

NO_NUMBERS = ((), ())

Arrays = dict[str, Any]


def arrays(shape: tuple[int, ...] = (8, 8), classes: int = 3, count: int = 60, dtype: str = "uint8") -> Arrays:
    """Return images of `classes` random patterns under noise, shape (N, *shape)."""
    generator = np.random.default_rng(3)
    patterns = generator.integers(0, 256, (classes, *shape))
    found: Arrays = {}
    for half, number in (("train", count), ("test", 30)):
        labels = np.arange(number) % classes
        noise = generator.normal(0, 20, (number, *shape))
        found[f"{half}_images"] = np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8)
        found[f"{half}_labels"] = labels.astype(dtype)
    return found


def save(path: Path, found: Arrays) -> Path:
    np.savez_compressed(path, **found)
    return path


def idx(found: Arrays, folder: Path, suffix: str = "") -> Path:
    """Write the four IDX files of MNIST's kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, name in IDX_NAMES.items():
        values = found[key]
        data = struct.pack(f">2x2B{values.ndim}I", 8, values.ndim, *values.shape) + values.tobytes()
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(data, 1) if suffix else data)
    return folder


def cifar(found: Arrays, folder: Path) -> Path:
    """Write CIFAR-10's binary version, a fifth of the training images in each file."""
    folder.mkdir(parents=True, exist_ok=True)

    def rows(half: str) -> np.ndarray:
        pixels = found[f"{half}_images"].reshape(len(found[f"{half}_images"]), -1)
        return np.concatenate([found[f"{half}_labels"][:, None], pixels], 1).astype(np.uint8)

    for name, part in zip(CIFAR_TRAINING, np.array_split(rows("train"), 5), strict=True):
        (folder / name).write_bytes(part.tobytes())
    (folder / CIFAR_TEST[0]).write_bytes(rows("test").tobytes())
    return folder


def files_of(path: Path, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 3) -> DataFiles:
    files = handed(Source(str(path)), shape, classes)
    assert files is not None
    return files


def outline_of(path: Path, shape: tuple[int, int, int] | None = None) -> Outline:
    return outlined(Source(path.name, folder=str(path.parent)), shape)


# --- what files hold -------------------------------------------------------------------------------------------------


def test_the_same_images_are_the_same_data_set_in_every_form(tmp_path: Path) -> None:
    found = arrays()
    paths = [
        save(tmp_path / "a.npz", found),
        save(tmp_path / "b.npz", {key: found[key].astype("int64") if "labels" in key else found[key] for key in KEYS}),
        save(tmp_path / "c.npz", {key: found[key].astype(">i2") if "labels" in key else found[key] for key in KEYS}),
        save(tmp_path / "d.npz", {key: found[key][..., None] if "images" in key else found[key] for key in KEYS}),
        save(tmp_path / "e.npz", {key: found[key][:, None] if "images" in key else found[key] for key in KEYS}),
        idx(found, tmp_path / "plain"),
        idx(found, tmp_path / "zipped", ".gz"),
    ]
    assert [outline_of(path) for path in paths] == [Outline((1, 8, 8), 3, 60, 30)] * len(paths)
    read = [opened(files_of(path), NO_NUMBERS) for path in paths]
    abouts = [data.about for data in read]
    assert all(about is not None for about in abouts)
    assert len({about.sha256 for about in abouts if about}) == 1
    for data in read:
        assert torch.equal(data.test.pixels, torch.from_numpy(found["test_images"]).unsqueeze(1))
        assert data.test.labels.tolist() == found["test_labels"].tolist()
    first = abouts[0]
    assert first is not None
    assert (first.name, first.training, first.held_out, first.test, first.computed) == ("a.npz", 54, 6, 30, True)


@pytest.mark.parametrize("last", [True, False])
def test_channels_may_stand_at_either_end(last: bool, tmp_path: Path) -> None:
    found = arrays((8, 9, 3))
    turned = {key: found[key].transpose(0, 3, 1, 2) if "images" in key else found[key] for key in KEYS}
    contiguous = {key: np.ascontiguousarray(value) for key, value in turned.items()}
    path = save(tmp_path / "x.npz", found if last else contiguous)
    assert outline_of(path).shape == (3, 8, 9)
    data = opened(files_of(path, (3, 8, 9)), NO_NUMBERS)
    assert torch.equal(data.test.pixels, torch.from_numpy(turned["test_images"].copy()))


def test_the_shape_decides_where_channels_stand_that_could_be_at_either_end(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", arrays((4, 6, 3)))
    with pytest.raises(DatasetError, match="images of 4×6×3, whose channels could be at either end: give the input"):
        outline_of(path)
    assert outline_of(path, (3, 4, 6)).shape == (3, 4, 6)
    assert outline_of(path, (4, 6, 3)).shape == (4, 6, 3)


def test_cifar_10_in_its_binary_version(tmp_path: Path) -> None:
    found = arrays((3, 32, 32), classes=10)
    folder = cifar(found, tmp_path / "bin")
    assert outline_of(folder) == Outline((3, 32, 32), 10, 60, 30)
    data = opened(files_of(folder, (3, 32, 32), 10), NO_NUMBERS)
    assert torch.equal(data.test.pixels, torch.from_numpy(found["test_images"]))
    assert data.test.labels.tolist() == found["test_labels"].tolist()


def test_means_and_deviations_are_those_of_numpy(tmp_path: Path) -> None:
    pixels = arrays((3, 8, 8))["train_images"]
    pixels[:, 1] = 51
    mean, std = measured(torch.from_numpy(pixels))
    assert mean == pytest.approx((pixels / 255).mean((0, 2, 3)), abs=1e-4)
    assert (std[0], std[2]) == pytest.approx(tuple((pixels[:, [0, 2]] / 255).std((0, 2, 3))), abs=1e-4)
    assert (mean[1], std[1]) == (0.2, 0.0039)  # of a channel without any contrast


def test_given_numbers_are_kept_and_reported(tmp_path: Path) -> None:
    data = opened(files_of(save(tmp_path / "x.npz", arrays())), ((0.5,), (0.25,)))
    assert data.about is not None
    assert (data.about.mean, data.about.std, data.about.computed) == ((0.5,), (0.25,), False)
    assert data.normalise(((0.5,), (0.25,))) == ((0.5,), (0.25,))


def test_a_tenth_of_a_small_data_set_is_held_out_and_no_image_is_in_both(tmp_path: Path) -> None:
    found = arrays(count=200)
    data = opened(files_of(save(tmp_path / "x.npz", found)), NO_NUMBERS)
    assert (len(data.training), len(data.held_out), len(data.test)) == (180, 20, 30)
    learned = {image.numpy().tobytes() for image in data.training.pixels}
    assert not learned & {image.numpy().tobytes() for image in data.held_out.pixels}
    again = split(data.training)
    assert torch.equal(again[1].pixels, split(data.training)[1].pixels)


# --- faults ----------------------------------------------------------------------------------------------------------


def with_(**changes: Callable[[Any], Any]) -> Arrays:
    found = arrays()
    return {key: changes[key](value) if key in changes else value for key, value in found.items()}


def ints(*values: int) -> Callable[[Any], Any]:
    return lambda labels: np.array([*labels[: -len(values)].astype("int64"), *values])


FAULTY_ARRAYS: dict[str, tuple[Arrays, str]] = {
    "floats for pixels": (
        with_(train_images=lambda images: images / 255),
        "x.npz: train_images: its elements are of type '<f8', expected uint8 pixels",
    ),
    "images in a row": (
        with_(train_images=lambda images: images.reshape(60, 64)),
        "x.npz: train_images: an array of shape (60, 64), expected (N, H, W), (N, H, W, C) or (N, C, H, W)",
    ),
    "five channels": (
        with_(**dict.fromkeys(("train_images", "test_images"), lambda images: np.stack([images] * 5, 3))),
        "x.npz: train_images: images of 8×8×5, neither end is 1 to 4 channels",
    ),
    "one pixel": (
        with_(**dict.fromkeys(("train_images", "test_images"), lambda images: images[:, :1, :1])),
        "x.npz: train_images: images of 1×1 pixels, expected 2 to 1,024 on each side",
    ),
    "other test images": (
        with_(test_images=lambda images: images[:, 1:]),
        "x.npz: test_images: its images are 7×8, those of x.npz: train_images 8×8",
    ),
    "one label missing": (
        with_(train_labels=lambda labels: labels[1:]),
        "x.npz: train_labels: 59 labels for 60 images",
    ),
    "labels in a column": (
        with_(test_labels=lambda labels: labels[:, None]),
        "x.npz: test_labels: an array of shape (30, 1), expected one label an image, (N,)",
    ),
    "labels as floats": (
        with_(train_labels=lambda labels: labels.astype("float32")),
        "x.npz: train_labels: its elements are of type '<f4', expected whole numbers",
    ),
    "a negative label": (
        with_(train_labels=ints(-1)),
        "x.npz: train_labels: the label -1, expected classes from 0 up",
    ),
    "a negative test label": (
        with_(test_labels=ints(-7)),
        "x.npz: test_labels: the label -7, those of the training images are 0 to 2",
    ),
    "an unknown test label": (
        with_(test_labels=ints(3)),
        "x.npz: test_labels: the label 3, those of the training images are 0 to 2",
    ),
    "one class": (
        with_(train_labels=lambda labels: labels * 0, test_labels=lambda labels: labels * 0),
        "x.npz: train_labels: labels up to 0, expected 2 to 10,000 classes from 0 up",
    ),
    "a huge label": (
        with_(train_labels=ints(10**12)),
        "x.npz: train_labels: labels up to 1,000,000,000,000, expected 2 to 10,000 classes from 0 up",
    ),
    "few images": (
        {key: value[:19] for key, value in arrays().items()},
        "x.npz: train_images: 19 training images, expected at least 20",
    ),
    "no test images": (
        with_(test_images=lambda images: images[:0], test_labels=lambda labels: labels[:0]),
        "x.npz: test_images: 0 test images, expected at least 1",
    ),
    "another order": (
        with_(train_images=np.asfortranarray),
        "x.npz: train_images: it is in Fortran order: save np.ascontiguousarray(…) of it",
    ),
    "python's objects": (
        with_(train_labels=lambda labels: labels.astype(object)),
        "x.npz: train_labels: it holds Python objects, which only unpickling could read: save plain numbers",
    ),
    "records": (
        with_(train_labels=lambda labels: labels.astype([("label", "u1")])),
        "x.npz: train_labels: its elements are records, expected plain numbers",
    ),
    "other keys": (
        {"x_train": np.zeros(3), "test_labels": np.zeros(3)},
        "x.npz: it lacks train_images, train_labels, test_images, it holds test_labels, x_train",
    ),
}


@pytest.mark.parametrize(("found", "message"), FAULTY_ARRAYS.values(), ids=FAULTY_ARRAYS)
def test_arrays_that_are_no_data_set(found: Arrays, message: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", found)
    with pytest.raises(DatasetError) as caught:
        outline_of(path)
    assert str(caught.value) == message


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for key in KEYS:
            file.writestr(f"{key}.npy", members.get(key, b""))
    return buffer.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


FAULTY_BYTES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "x.npz: not an .npz archive, as numpy.savez writes it"),
    "a pickle": (b"\x80\x04N.", "x.npz: not an .npz archive, as numpy.savez writes it"),
    "members without a header": (archive(), "x.npz: train_images: cut short, 8 bytes are missing"),
    "members of another kind": (
        archive(train_images=b"\x80\x04" + bytes(20)),
        "x.npz: train_images: not an array as numpy.save writes it",
    ),
    "a header that is code": (
        archive(train_images=npy("__import__('os').abort()")),
        "x.npz: train_images: its header can't be read",
    ),
    "a deep header": (archive(train_images=npy("(" * 9000)), "x.npz: train_images: its header can't be read"),
    "a long header": (
        archive(train_images=npy(" " * 20_000)),
        "x.npz: train_images: a header of 20,000 bytes, the limit is 10,000",
    ),
    "an extent below zero": (
        archive(train_images=npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8)}")),
        "x.npz: train_images: its header can't be read",
    ),
}


@pytest.mark.parametrize(("data", "message"), FAULTY_BYTES.values(), ids=FAULTY_BYTES)
def test_files_that_are_no_archive(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DatasetError) as caught:
        outline_of(tmp_path / "x.npz")
    assert str(caught.value) == message


def test_an_archive_of_another_compression_and_one_with_a_flipped_bit(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", arrays())
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "y.npz", "w", zipfile.ZIP_BZIP2) as other:
        for name in plain.namelist():
            other.writestr(name, plain.read(name))
    with pytest.raises(DatasetError, match=r"y.npz: train_images is compressed in another way than numpy's: use numpy"):
        outline_of(tmp_path / "y.npz")
    np.savez(path, **arrays())
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x.npz: train_images: damaged \(Bad CRC-32 for file .*\): fetch it again"):
        opened(files_of(path), NO_NUMBERS)


def test_an_announced_size_is_compared_with_the_limit_before_anything_is_read(tmp_path: Path) -> None:
    images = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2000000, 1000, 1000)}")
    labels = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2000000,)}")
    (tmp_path / "x.npz").write_bytes(
        archive(train_images=images, test_images=images, train_labels=labels, test_labels=labels)
    )
    with pytest.raises(DatasetError, match="3,814,697 MiB of pixels, the limit is 256 MiB: use a part"):
        outline_of(tmp_path / "x.npz")


def test_files_have_a_limit_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "x.npz", arrays())
    monkeypatch.setattr(locate, "FILES_CAP", 1024)
    with pytest.raises(DatasetError, match=r"x.npz: 0 MiB, the limit is 0 MiB: compress it, or use a part"):
        outline_of(path)


def cut(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:size] if size > 0 else data + bytes(-size))

    return change


def rewrite(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


IMAGES, LABELS = IDX_NAMES["train_images"], IDX_NAMES["train_labels"]
FAULTY_FOLDERS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a file missing": ("", lambda folder: (folder / LABELS).unlink(), f"f: it lacks {LABELS}"),
    "another magic number": (
        "",
        rewrite(LABELS, b"PK\x03\x04" + bytes(60)),
        f"f/{LABELS}: not an IDX file, its first bytes are 50 4b 03 04",
    ),
    "elements of four bytes": (
        "",
        rewrite(LABELS, b"\0\0\x0c\x01" + bytes(60)),
        f"f/{LABELS}: its elements have the type 0x0c, expected 0x08, unsigned bytes",
    ),
    "pixels missing": ("", cut(IMAGES, 100), f"f/{IMAGES}: cut short, 3,756 bytes are missing"),
    "too many pixels": (
        "",
        cut(IMAGES, -1),
        f"f/{IMAGES}: something follows the 3,840 bytes that its header announces",
    ),
    "a compressed file cut short": (
        ".gz",
        cut(f"{IMAGES}.gz", 200),
        f"f/{IMAGES}.gz: damaged (Compressed file ended before the end-of-stream marker was reached): fetch it again",
    ),
}


@pytest.mark.parametrize(("suffix", "change", "message"), FAULTY_FOLDERS.values(), ids=FAULTY_FOLDERS)
def test_folders_that_hold_no_data_set(
    suffix: str, change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    change(idx(arrays(), tmp_path / "f", suffix))
    files = handed(Source("f", folder=str(tmp_path)), (1, 8, 8), 3)
    assert files is not None
    with pytest.raises(DataError) as caught:
        opened(files, NO_NUMBERS)
    assert str(caught.value) == message


def test_an_empty_folder_and_a_cifar_file_cut_short(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"empty: no data set in this folder, expected the four files of MNIST's"):
        (tmp_path / "empty").mkdir()
        outline_of(tmp_path / "empty")
    folder = cifar(arrays((3, 32, 32), classes=10), tmp_path / "bin")
    (folder / CIFAR_TEST[0]).write_bytes(bytes(3074))
    with pytest.raises(DatasetError, match=r"bin/test_batch.bin: 3,074 bytes are no whole number of rows of 3,073"):
        outline_of(folder)


def test_data_that_changed_since_the_rules_were_read(tmp_path: Path) -> None:
    files = files_of(save(tmp_path / "x.npz", arrays()), (1, 9, 9), 4)
    with pytest.raises(DataError) as caught:
        opened(files, NO_NUMBERS)
    assert str(caught.value) == "x.npz: its images are [1, 8, 8] in 3 classes, the rules say [1, 9, 9] in 4 classes"


def test_other_images_under_a_known_name(tmp_path: Path) -> None:
    idx(arrays((28, 28), 10), tmp_path / "data" / "FashionMNIST" / "raw")
    files = handed(Source("fashion-mnist", folder=str(tmp_path)), (1, 28, 28), 10)
    assert files is not None
    with pytest.raises(DataError, match=r"Fashion-MNIST: other images than those of that name, .*: fetch it again"):
        opened(files, NO_NUMBERS)


def test_a_known_name_whose_files_are_nowhere(tmp_path: Path) -> None:
    files = handed(Source("cifar10", folder=str(tmp_path)), (3, 32, 32), 10)
    assert files is not None
    assert (files.files, files.test) == ((), 10_000)
    assert files.problem == (
        "CIFAR-10 is not on this machine (looked in data/cifar-10-batches-bin, data/cifar-10-batches-py): unpack its"
        " binary version, or the one for Python where torchvision is installed, into the folder data"
    )


def test_the_embedded_images_are_not_handed_over() -> None:
    assert handed(Source("mnist"), (1, 28, 28), 10) is None


# --- torchvision -----------------------------------------------------------------------------------------------------

FAKE = """
import numpy as np
class CIFAR10:
    def __init__(self, root, train, download):
        print("a library may print")
        assert download is False
        if root.endswith("nothing"):
            raise RuntimeError("Dataset not found or corrupted.")
        self.data = np.full((40 if train else 20, 32, 32, 3), 7, np.uint8)
        self.targets = [number % 10 for number in range(len(self.data))]
"""


@pytest.fixture
def fake_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "packages" / "torchvision"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "datasets.py").write_text(FAKE)
    ours = vision.packages()
    monkeypatch.setattr(vision, "packages", lambda: [str(folder.parent), *ours])
    return folder


def test_torchvision_reads_what_is_there_in_a_process_of_its_own(tmp_path: Path, fake_torchvision: Path) -> None:
    batches = tmp_path / "data" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    for name in ("batches.meta", "data_batch_1"):
        (batches / name).touch()
    for source in (
        Source("data", "CIFAR10", str(tmp_path)),
        Source("cifar10", folder=str(tmp_path)),
        Source("data/cifar-10-batches-py", folder=str(tmp_path)),
    ):
        assert outlined(source, None) == Outline((3, 32, 32), 10, 50_000, 10_000)
        files = handed(source, (3, 32, 32), 10)
        assert files is not None
        data = opened(files, NO_NUMBERS)
        assert (len(data.training), len(data.held_out), len(data.test)) == (36, 4, 20)
        assert data.test.labels.tolist() == [number % 10 for number in range(20)]


def test_torchvision_without_its_files(tmp_path: Path, fake_torchvision: Path) -> None:
    (tmp_path / "nothing").mkdir()
    files = handed(Source("nothing", "CIFAR10", str(tmp_path)), (3, 32, 32), 10)
    assert files is not None
    assert files.problem == (
        f"CIFAR10: torchvision can't read it in {tmp_path}/nothing (Dataset not found or corrupted.): give the data set"
        " as an .npz file instead (docs/data.md says how)"
    )
    absent = handed(Source("absent", "CIFAR10", str(tmp_path)), (3, 32, 32), 10)
    assert absent is not None
    assert absent.problem == "absent: there is no such folder: it has to hold what torchvision has downloaded"


def test_torchvision_that_cannot_be_imported(tmp_path: Path, fake_torchvision: Path) -> None:
    (fake_torchvision / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    files = handed(Source(".", "CIFAR10", str(tmp_path)), (3, 32, 32), 10)
    assert files is not None
    assert files.problem == (
        "CIFAR10: torchvision can't be imported (operator torchvision::nms does not exist): give the data set as an"
        " .npz file instead (docs/data.md says how)"
    )
