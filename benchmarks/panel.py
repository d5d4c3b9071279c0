"""Compare the grader's training with the training that a student does, on a panel of models as a course sees them.

    python benchmarks/panel.py [--only NAME]… [--no-long] [--script assignment|adam] [--epochs 15] [--seed 1]

The rule: no model that the long script takes to 99 % may be failed by the grader. The exit code is 1 where one is.

For each model of `benchmarks/panel/`, and the reference model, cheapest first:

1. the grader, as `s5-grade MODEL --train --threads 1` with the default rules: its outcome, errors, stages, epochs,
   seconds and CPU seconds (those of all its processes, `import torch` included);
2. the long script, `benchmarks/plain_training.py`: the student's own module in plain PyTorch, whether it ever reaches
   99 %, and whether it ends there. The test images are counted after each epoch, as students do, which flatters.

What ends is written at once, one line of JSON each, to `--results`; the script goes on within a model after its last
whole epoch. Run the same command again after a kill. Rows of a model, or under rules, that have changed since do not
count; after a change of the grader itself, name another file.

The docstring of a model says what is special about it, and, where it is not the usual, in lines of their own:
`fails:` the rules that its architecture fails, `output:` what it returns, `input:` what its author feeds it.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

import msgspec
from cpu_time import Watch

from grader.grade import grade, grade_in
from grader.protocol import EpochRow, Progress
from grader.report import Report
from grader.rules import read_rules
from grader.sandbox import Template
from grader.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference_model" / "model.py"
PANEL = ROOT / "benchmarks" / "panel"
RESULTS = ROOT / "benchmarks" / "results" / "panel.jsonl"
CHECKPOINTS = ROOT / "runs" / "panel"
PLAIN_TRAINING = ROOT / "benchmarks" / "plain_training.py"
ALLOWED = 100  # errors on the 10,000 test images: 99 %
DECLARED = re.compile(r"^(fails|output|input): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Model:
    """One model of the panel, with what its docstring declares."""

    name: str
    path: Path
    sha256: str
    fails: frozenset[str] = frozenset()
    output: str = "log-probabilities"
    input: str = "normalised"


class Graded(msgspec.Struct, frozen=True, tag_field="by", tag="grader"):
    """What the grader's training came to; `seconds` and `cpu_seconds` are those of the whole command."""

    model: str
    seed: int
    sha256: str
    parameters: int
    outcome: str
    reason: str
    errors: int | None
    epochs: int
    training_seconds: float
    seconds: float
    cpu_seconds: float
    output: str
    notes: tuple[str, ...]
    curve: tuple[EpochRow, ...]
    versions: dict[str, str]
    rules_sha256: str

    @property
    def key(self) -> tuple[object, ...]:
        return ("grader", self.model, self.seed)


class Epoch(msgspec.Struct, frozen=True):
    """What `plain_training.py` prints after an epoch."""

    epoch: int
    train_accuracy: float
    errors: int
    seconds: float
    cpu_seconds: float


class Scripted(msgspec.Struct, frozen=True, tag_field="by", tag="script"):
    """One epoch of a long script."""

    model: str
    seed: int
    sha256: str
    script: str
    epoch: Epoch

    @property
    def key(self) -> tuple[object, ...]:
        return ("script", self.model, self.seed, self.script, self.epoch.epoch)


Row = Union[Graded, Scripted]


@dataclass
class Results:
    """The rows of a file, to which new ones are added as they come; of two with the same key, the later counts."""

    path: Path
    rows: dict[tuple[object, ...], Row] = field(default_factory=dict)
    cut_short: bool = False  # the file's last line

    @staticmethod
    def read(path: Path, models: Sequence[Model]) -> Results:
        """Read the rows about these models and rules as they are now; a line cut short by a kill is left out."""
        digests, rules = {model.name: model.sha256 for model in models}, read_rules(None).sha256
        data = path.read_bytes() if path.exists() else b""
        found = Results(path, cut_short=data[-1:] not in (b"", b"\n"))
        for line in data.splitlines():
            try:
                row: Row = msgspec.json.decode(line, type=Row)
            except msgspec.DecodeError:
                continue
            if digests.get(row.model) == row.sha256 and (isinstance(row, Scripted) or row.rules_sha256 == rules):
                found.rows[row.key] = row
        return found

    def add(self, row: Row) -> None:
        if row.key in self.rows:
            return
        self.rows[row.key] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(b"\n" * self.cut_short + msgspec.json.encode(row) + b"\n")
        self.cut_short = False

    def graded(self) -> list[Graded]:
        return [row for row in self.rows.values() if isinstance(row, Graded)]

    def scripted(self, model: str, seed: int) -> dict[str, list[Epoch]]:
        """Return the epochs of each script that one model was trained by, in order."""
        found: dict[str, list[Epoch]] = {}
        for row in self.rows.values():
            if isinstance(row, Scripted) and (row.model, row.seed) == (model, seed):
                found.setdefault(row.script, []).append(row.epoch)
        return {script: sorted(epochs, key=lambda epoch: epoch.epoch) for script, epochs in found.items()}


def read_model(name: str, path: Path) -> Model:
    """Return a model of the panel as its docstring declares it; its code does not run."""
    data = path.read_bytes()
    declared = dict(DECLARED.findall(ast.get_docstring(ast.parse(data)) or ""))
    fails = frozenset(declared.pop("fails", "").replace(",", " ").split())
    return Model(name, path, hashlib.sha256(data).hexdigest(), fails, **declared)


def read_panel() -> list[Model]:
    """Return all models: the reference, then those of the folder by name."""
    paths = {"reference": REFERENCE, **{path.stem: path for path in sorted(PANEL.glob("*.py"))}}
    return [read_model(name, path) for name, path in paths.items()]


def architectures(models: Sequence[Model]) -> Iterator[tuple[Model, Report]]:
    """Grade each model without training it."""
    course = read_rules(None)
    with Template.start(sandbox="auto") as template:
        for model in models:
            yield model, grade_in(template, model.path, course, Settings())


def cheapest_first(models: Sequence[Model]) -> list[Model]:
    """Return the models by their multiplications for one image."""

    def macs(pair: tuple[Model, Report]) -> int:
        _, report = pair
        return sum(layer.macs for layer in report.model.layers) if report.model else 0

    return [model for model, _ in sorted(architectures(models), key=macs)]


def train_by_grader(model: Model, seed: int, on_progress: Callable[[Progress], None]) -> Graded:
    """Grade a model with training; one that could not be trained ends the benchmark."""
    with Watch() as watch:
        report = grade(model.path, train=True, seed=seed, threads=1, on_progress=on_progress)
    training, shape = report.training, report.model
    if training is None or shape is None:
        sys.exit(f"{model.name} was not trained: {report.error.message if report.error else report.verdict}")
    return Graded(
        model=model.name,
        seed=seed,
        sha256=model.sha256,
        parameters=shape.parameters,
        outcome=training.outcome,
        reason=training.reason,
        errors=training.errors,
        epochs=training.epochs,
        training_seconds=training.seconds,
        seconds=watch.seconds,
        cpu_seconds=watch.cpu,
        output=training.output,
        notes=training.notes,
        curve=training.curve,
        versions=report.reproduce.versions,
        rules_sha256=report.reproduce.rules_sha256,
    )


def train_by_script(model: Model, script: str, seed: int, epochs: int) -> Iterator[Scripted]:
    """Yield the epochs of a long script, those from before a kill included."""
    checkpoint = CHECKPOINTS / f"{model.name}-{script}-{seed}-{model.sha256[:8]}.pt"
    options = {
        "--script": script,
        "--output": model.output,
        "--pixels": model.input,
        "--epochs": epochs,
        "--seed": seed,
    }
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, str(PLAIN_TRAINING), str(model.path), *words, "--checkpoint", str(checkpoint)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Scripted(model.name, seed, model.sha256, script, msgspec.json.decode(line, type=Epoch))
    if process.returncode:
        sys.exit(f"{model.name}: the long script ended with {process.returncode}")


HEAD = (
    "| model | parameters | grader | errors | decided by | epochs | seconds | CPU s | script: best, last | at 99 % |",
    "|---|---|---|---|---|---|---|---|---|---|",
)


def table(results: Results) -> str:
    """Return the rows as a table in Markdown."""
    rows = sorted(results.graded(), key=lambda row: (row.model != "reference", row.model, row.seed))
    return "\n".join([*HEAD, *(f"| {' | '.join(_cells(row, results))} |" for row in rows)])


def _cells(row: Graded, results: Results) -> list[str]:
    scripts = results.scripted(row.model, row.seed).items()
    firsts = [next((epoch.epoch for epoch in epochs if epoch.errors <= ALLOWED), None) for _, epochs in scripts]
    name = row.model if row.seed == 1 else f"{row.model}, seed {row.seed}"
    return [
        name.replace("_", " "),
        f"{row.parameters:,}",
        f"**{row.outcome}: unfair**" if unfair(row, results) else row.outcome,
        "" if row.errors is None else str(row.errors),
        row.curve[-1].stage if row.curve else "",
        str(row.epochs),
        f"{row.seconds:.0f}",
        f"{row.cpu_seconds:.0f}",
        "; ".join(_course(script, epochs) for script, epochs in scripts),
        "; ".join("never" if first is None else f"epoch {first}" for first in firsts),
    ]


def _course(script: str, epochs: Sequence[Epoch]) -> str:
    best = min(epochs, key=lambda epoch: epoch.errors)
    return f"{script}: {best.errors}, {epochs[-1].errors} after {len(epochs)} epochs"


def unfair(row: Graded, results: Results) -> bool:
    """Tell whether the grader failed a model that a long script took to 99 %."""
    scripts = results.scripted(row.model, row.seed).values()
    return row.outcome == "missed" and any(epoch.errors <= ALLOWED for epochs in scripts for epoch in epochs)


def standing(results: Results) -> str:
    """Say whether the rule holds. Only models that missed, and that a script was run on, can tell."""
    failed = [row.model for row in results.graded() if unfair(row, results)]
    if failed:
        return f"Broken by {', '.join(failed)}."
    missed = [row for row in results.graded() if row.outcome == "missed"]
    tried = sum(bool(results.scripted(row.model, row.seed)) for row in missed)
    return f"Not broken: {len(results.graded())} trained by the grader, {len(missed)} missed, {tried} of them tried."


def _show(model: Model) -> Callable[[Progress], None]:
    """Return what shows a training's epochs on standard error."""
    seen: set[tuple[str, int]] = set()

    def show(progress: Progress) -> None:
        if (progress.stage, progress.epoch) not in seen:
            seen.add((progress.stage, progress.epoch))
            text = f"{model.name}: {progress.stage} stage, epoch {progress.epoch}, {progress.seconds:.0f} s"
            print(text, file=sys.stderr, flush=True)

    return show


def measure(models: Sequence[Model], results: Results, options: argparse.Namespace) -> None:
    """Train each model by the grader, and by the scripts where they are wanted; what is known already is left out."""
    for model in cheapest_first(models):
        if ("grader", model.name, options.seed) not in results.rows:
            results.add(train_by_grader(model, options.seed, _show(model)))
        for script in options.script if options.long else ():
            if len(results.scripted(model.name, options.seed).get(script, ())) < options.epochs:
                for row in train_by_script(model, script, options.seed, options.epochs):
                    results.add(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="this model; may be given again")
    parser.add_argument("--long", action=argparse.BooleanOptionalAction, default=True, help="the long script too")
    parser.add_argument("--script", action="append", choices=("assignment", "adam"), help="which; both by default")
    parser.add_argument("--epochs", type=int, default=15, help="of the long script")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print the table of what is known, and train nothing")
    options = parser.parse_args()
    options.script = options.script or ["assignment", "adam"]

    panel = {model.name: model for model in read_panel()}
    unknown = sorted(set(options.only or ()) - set(panel))
    if unknown:
        parser.error(f"no such model: {', '.join(unknown)}; there are {', '.join(panel)}")
    results = Results.read(options.results, list(panel.values()))
    if not options.table:
        measure([panel[name] for name in options.only or panel], results, options)
    print(table(results))
    print(f"\nThe rule: no model that the long script takes to 99 % may be failed by the grader. {standing(results)}")
    sys.exit(any(unfair(row, results) for row in results.graded()))


if __name__ == "__main__":
    main()
