"""Time the search for look-alikes in a class that never was, and count what it finds among honest students and copies.

    python benchmarks/alike.py [--students 1000] [--copies 10] [--changes 1] [--shared 0] [--texts] [--seed 1]

Honest students have the habits that such an assignment makes: channels that double, kernels of three, a pooling after
two or three blocks, one of a few dropout rates and activations. Many end at the same graph. A copy takes the model of
another student and changes some things of it. Graphs are made in the form that a fingerprint is taken from, without
torch; texts are passages, some of which everybody has.

With --texts it is the source of generated submissions (benchmarks/submissions.py) that is compared, and nothing else:
a copy has as many of its lines changed, and the rest as it was. `shared` percent of the honest students begin with one
tutorial, and change two to six lines of it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import re
import resource
import time
from dataclasses import dataclass, replace
from itertools import pairwise

import submissions

from grader.classroom.alike import groups
from grader.classroom.types import AlikeGroup
from grader.fingerprint.canonical import LEAF, Canonical, Source, Vertex
from grader.fingerprint.graphs import likeness_of
from grader.fingerprint.text import text_features, winnowed
from grader.likeness import Likeness, sketch

USUAL = [(8, 16, 32), (8, 16, 16), (10, 20, 20), (16, 16, 16), (8, 12, 16), (10, 10, 10), (16, 32, 32), (4, 8, 16)]
WIDTHS = [4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32]
RATES = ["0.05", "0.1", "0.25", "0.02", "0.03"]
ACTIVATIONS = ["relu"] * 8 + ["gelu", "leaky_relu"]
MAPS = ["mean of the map", "avg_pool2d"]


@dataclass(frozen=True)
class Model:
    """A model by its choices: the widths of its blocks, after which of them it pools, and how a block looks."""

    widths: tuple[int, ...]
    pools: frozenset[int]
    rate: str
    dropped: frozenset[int]
    activation: str
    bias: bool
    padding: bool
    text: tuple[str, ...]


def honest(chance: random.Random) -> Model:
    """Return the model of a student who works alone."""
    first, second, third = chance.choice(USUAL)
    widths = [first] * chance.choice([1, 1, 2]) + [second] * chance.choice([1, 2]) + [third] * chance.choice([1, 2, 3])
    if chance.random() < 0.5:  # half of them try a width of their own
        widths[chance.randrange(len(widths))] = chance.choice(WIDTHS)
    pools = chance.choice([{1}, {1, 3}, {2}, {2, 4}])
    every = frozenset(range(len(widths)))
    dropped = chance.choice([every, every, frozenset([len(widths) - 1]), frozenset(range(1, len(widths)))])
    return Model(
        tuple(widths),
        frozenset(pools),
        chance.choice(RATES),
        dropped,
        chance.choice(ACTIVATIONS),
        chance.random() < 0.5,
        chance.random() < 0.6,
        tuple(f"common {chance.randrange(60)}" for _ in range(20)) + tuple(str(chance.random()) for _ in range(10)),
    )


def disguised(model: Model, changes: int, chance: random.Random) -> Model:
    """Return a copy with some things changed; its text is written anew but for a third."""
    for change in chance.sample(["widths", "rate", "activation", "bias", "dropped"], changes):
        if change == "widths":
            place = chance.randrange(len(model.widths))
            widths = (*model.widths[:place], chance.choice(WIDTHS), *model.widths[place + 1 :])
            model = replace(model, widths=widths)
        elif change == "rate":
            model = replace(model, rate=chance.choice(RATES))
        elif change == "activation":
            model = replace(model, activation=chance.choice(ACTIVATIONS))
        elif change == "bias":
            model = replace(model, bias=not model.bias)
        else:
            model = replace(model, dropped=model.dropped ^ {chance.randrange(len(model.widths))})
    return replace(model, text=(*model.text[:10], *(str(chance.random()) for _ in range(20))))


class Body:
    """Lays a model out as vertices."""

    def __init__(self) -> None:
        self.vertices: dict[int, Vertex] = {}
        self.leaves = {0: "input"}
        self.last: Source = (LEAF, 0)

    def add(self, op: str, kind: str, attributes: tuple[str, ...] = (), *weights: str) -> None:
        inputs = [self.last]
        for weight in weights:
            self.leaves[len(self.leaves)] = weight
            inputs.append((LEAF, len(self.leaves) - 1))
        self.last = (len(self.vertices), 0)
        self.vertices[self.last[0]] = Vertex(op, kind, attributes, tuple(inputs))  # type: ignore[arg-type]


def likeness(model: Model) -> Likeness:
    """Return what a model is like."""
    program = Body()
    bias = ("bias @",) if model.bias else ()
    padded = ("padding 1",) if model.padding else ()
    for place, (before, after) in enumerate(pairwise((1, *model.widths))):
        biases = (f"parameter {after}",) if model.bias else ()
        program.add("conv2d", "conv", (*bias, *padded), f"parameter {after}×{before}×3×3", *biases)
        program.add("batch_norm", "batch-norm", ("training 1",), *[f"buffer {after}"] * 2, *[f"parameter {after}"] * 2)
        program.add(model.activation, "activation")
        if place in model.dropped:
            program.add("dropout", "dropout", (f"p {model.rate}", "training 1"))
        if place in model.pools:
            program.add("max_pool2d", "max-pool", ("kernel_size 2",))
    program.add("conv2d", "conv", bias, f"parameter 10×{model.widths[-1]}×1×1")
    program.add("mean of the map", "avg-pool")
    program.add("log_softmax", "softmax", ("dim 1",))
    made = Canonical(program.vertices, (program.last,), program.leaves)
    found = likeness_of({"eval": made, "train": made})
    stretches = sketch(stretch for passage in model.text for stretch in winnowed([f"{passage}.{n}" for n in range(40)]))
    return Likeness(found.digest, found.features, stretches, found.traits)


def edited(source: str, changes: int, chance: random.Random) -> str:
    """Return a source with another number in some of the lines that make layers, or without the line."""
    lines = source.split("\n")
    layers = [number for number, line in enumerate(lines) if "nn." in line and not line.lstrip().startswith("class")]
    for number in chance.sample(layers, min(changes, len(layers))):
        other = re.sub(r"\d+", lambda found: str(int(found[0]) + 1), lines[number], count=1)
        lines[number] = chance.choice(["", other, other])
    return "\n".join(lines)


def of_texts(options: argparse.Namespace, chance: random.Random) -> tuple[dict[str, Likeness], dict[str, str]]:
    """Return a class of which only texts are known, and of whom each copy is."""
    wanted = options.students - options.copies + 1
    made = (one.source for one in submissions.submissions(10 * wanted, options.seed) if one.kind in ("good", "failing"))
    tutorial, *sources = itertools.islice(made, wanted)
    for number in range(len(sources) * options.shared // 100):
        sources[number] = edited(tutorial, chance.randrange(2, 7), chance)
    texts = {f"s{number:05}": source for number, source in enumerate(sources)}
    copies = {f"c{number:05}": whom for number, whom in enumerate(chance.sample(sorted(texts), options.copies))}
    texts |= {copy: edited(texts[whom], options.changes, chance) for copy, whom in copies.items()}
    return {who: Likeness(text=text_features({"model.py": text.encode()})) for who, text in texts.items()}, copies


def of_graphs(options: argparse.Namespace, chance: random.Random) -> tuple[dict[str, Likeness], dict[str, str]]:
    """Return a class of graphs and passages, and of whom each copy is."""
    models = {f"s{number:05}": honest(chance) for number in range(options.students - options.copies)}
    copies = {f"c{number:05}": model for number, model in enumerate(chance.sample(sorted(models), options.copies))}
    models |= {copy: disguised(models[model], options.changes, chance) for copy, model in copies.items()}
    return {student: likeness(model) for student, model in models.items()}, copies


def told(found: tuple[AlikeGroup, ...], copies: dict[str, str]) -> str:
    """Return how many groups hold a copy with its model, and how many hold honest students alone."""
    caught = sum(any({copy, model} <= set(group.members) for group in found) for copy, model in copies.items())
    copied = set(copies) | set(copies.values())
    innocent = [group for group in found if not copied & set(group.members)]
    largest = max((len(group.members) for group in innocent), default=0)
    same = sum(group.kind == "same" for group in innocent)
    return (
        f"{caught} of {len(copies)} copies are in a group with their model; "
        f"{len(innocent)} groups hold honest students alone ({same} of the same graph), the largest has {largest}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--students", type=int, default=1000)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--changes", type=int, default=1, help="of the graph, or of lines, in each copy")
    parser.add_argument("--shared", type=int, default=0, help="percent who begin with one tutorial, with --texts")
    parser.add_argument("--texts", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    chance = random.Random(options.seed)
    likenesses, copies = (of_texts if options.texts else of_graphs)(options, chance)
    graphs = len({item.digest for item in likenesses.values()})

    began, used = time.perf_counter(), time.process_time()
    found = groups(likenesses.items())
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{options.students} students, {graphs} graphs, {len(found)} groups")
    print(f"{wall:.2f} s, {cpu:.2f} s of CPU; {memory} MB at most, the class included")
    print(told(found, copies))


if __name__ == "__main__":
    main()
