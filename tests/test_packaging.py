"""What is delivered: the wheel's contents, the data's digests, the targets of the Makefile."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "grader" / "data"
GENERATED = {"__pycache__", ".git", ".venv", ".hypothesis", "build", "dist", "runs"}
CACHES = re.compile(r"\..*_cache|.*\.egg-info")

pytestmark = pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="needs the source tree")


def build(target: str, source: Path, folder: Path) -> Path:
    """Build a wheel or an sdist of a source tree without a network, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel but for its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.startswith("s5_grade-")}


def files_below(folder: Path) -> list[Path]:
    """Return the files of a source tree that are neither generated nor cached, in order."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in GENERATED and not CACHES.fullmatch(name)]
        found += [Path(parent) / name for name in names]
    return sorted(found)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_package_data_and_rules(wheel: Path) -> None:
    package = {path.relative_to(ROOT).as_posix(): path for path in files_below(ROOT / "grader")}
    rules = {f"grader/data/rules/{path.name}": path for path in (ROOT / "rules").iterdir()}
    expected = {**package, **rules, "grader/data/rules.yaml": ROOT / "rules.yaml"}
    assert contents(wheel) == {name: path.read_bytes() for name, path in expected.items()}


def test_wheel_names_command_and_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = [name for name in archive.namelist() if "dist-info/" in name]
        text = {name.partition("/")[2]: archive.read(name).decode() for name in metadata}
    assert text["entry_points.txt"].split("\n")[:2] == ["[console_scripts]", "s5-grade = grader.cli:main"]
    assert sorted(name for name in text if name.startswith("licenses/")) == [
        "licenses/LICENSE",
        "licenses/grader/data/README.md",
    ]
    assert "License-Expression: MIT AND CC-BY-SA-3.0" in text["METADATA"].split("\n")


def test_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("sdist", "source", "wheel")]
    for folder in folders:
        folder.mkdir()
    with tarfile.open(build("sdist", ROOT, folders[0])) as archive:
        for member in archive.getmembers():
            if member.isfile():
                target = folders[1] / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
    (source,) = folders[1].iterdir()
    assert contents(build("wheel", source, folders[2])) == contents(wheel)


def test_installed_wheel_grades_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    # The dependencies come from this environment by path; an editable install in it does not act that way.
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "model.py").write_bytes((ROOT / "reference_model" / "model.py").read_bytes())

    start = "import grader.cli, sys; print(grader.__file__, file=sys.stderr); sys.exit(grader.cli.main())"
    command = [environment / "bin" / "python", "-c", start, "model.py", "--format", "json"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.split("\n")[0] == str(packages / "grader" / "__init__.py")
    report = json.loads(done.stdout)
    assert report["verdict"] == "pass"
    assert report["model"]["parameters"] == 8932


def test_data_has_the_documented_digests() -> None:
    documented = dict(re.findall(r"^\| `(\S+)` .*`([0-9a-f]{64})` \|$", (DATA / "README.md").read_text("utf-8"), re.M))
    packed = (DATA / "mnist.npz").read_bytes()
    digits = (DATA / "digits.npy").read_bytes()
    found = {"mnist.npz": hashlib.sha256(packed).hexdigest(), "digits.npy": hashlib.sha256(digits).hexdigest()}
    with np.load(io.BytesIO(packed)) as arrays:
        shapes = {name: (arrays[name].shape, str(arrays[name].dtype)) for name in arrays.files}
        found |= {name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in arrays.files}
    assert found == documented
    assert shapes == {
        "train_images": ((60000, 28, 28), "uint8"),
        "train_labels": ((60000,), "uint8"),
        "test_images": ((10000, 28, 28), "uint8"),
        "test_labels": ((10000,), "uint8"),
    }


def test_reference_log_is_the_documented_one() -> None:
    readme = (ROOT / "reference_model" / "README.md").read_text("utf-8")
    log = json.loads((ROOT / "reference_model" / "log.json").read_text())
    rows = [
        f"| {row['epoch']} | {row['train_loss']:.4f} | {row['train_accuracy']:.2f} | {row['test_loss']:.4f} "
        f"| {row['test_accuracy']:.2f} | {row['train_seconds']:.1f} |"
        for row in log
    ]
    assert re.findall(r"^\| \d+ \| 0\..*\|$", readme, re.M) == rows
    best = {part: max(row[f"{part}_accuracy"] for row in log) for part in ("train", "test")}
    assert f"| best training accuracy, % | 98.93 | {best['train']:.2f} | −{98.93 - best['train']:.2f} |" in readme
    assert f"| best test accuracy, % | 99.50 | {best['test']:.2f} | −{99.50 - best['test']:.2f} |" in readme


def test_make_has_its_targets() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert phony is not None
    assert phony[1].split() == ["grade", "test", "slow", "fuzz", "lint", "clean"]


def test_no_file_names_a_place_of_the_machine() -> None:
    homes = re.compile(rb"(?<![\w/])/(?:root|home/\w+|Users/\w+)/|[A-Z]:\\Users\\")
    found = []
    for path in files_below(ROOT):
        if path.suffix in {".npz", ".png"}:
            continue
        text = path.read_bytes()
        # A test may hold a hostile sample that reaches for a home, but never this machine's copy of the project.
        inside_tests = ROOT / "tests" in path.parents
        if os.fsencode(ROOT) in text or (not inside_tests and homes.search(text)):
            found.append(path.relative_to(ROOT).as_posix())
    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    found = []
    for page in (path for path in files_below(ROOT) if path.suffix == ".md" and ROOT / "tests" not in path.parents):
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
        local = [link for link in links if not link.startswith("https://")]
        found += [(page.relative_to(ROOT).as_posix(), link) for link in local if not (page.parent / link).exists()]
    assert found == []
