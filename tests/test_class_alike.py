"""Look-alikes: what a fingerprint does not see, what it does, and which groups of a class are told of."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from disguises import CHANGED, DISGUISES, ORIGINAL
from support import HEADER, graded

from grader.classroom.alike import groups
from grader.classroom.alike.grouping import GRAPH_LIMIT, TEXT_LIMIT
from grader.classroom.alike.linkage import linked
from grader.classroom.alike.pairs import near_pairs
from grader.classroom.alike.view import View, bag
from grader.classroom.types import AlikeGroup
from grader.fingerprint import with_text
from grader.fingerprint.text import text_features, tokens
from grader.grade import examine_in
from grader.likeness import FEATURES_CAP, Likeness, hashed, sketch
from grader.rules import read_rules
from grader.sandbox import Template
from grader.settings import Settings

PANEL = Path(__file__).resolve().parents[1] / "benchmarks" / "panel"
# Each by another idea: among all of the panel there are some that differ in their activation alone.
INDEPENDENT = (
    "bottleneck deep_narrow depthwise_separable dilated large_kernels residual silu squeeze_excitation".split()
)


def likeness(text: str) -> Likeness:
    found = graded(text).likeness
    assert found is not None
    return with_text(found, {"model.py": text.encode()})


@pytest.fixture(scope="module")
def original() -> Likeness:
    return likeness(ORIGINAL)


@pytest.fixture(scope="module")
def panel() -> dict[str, Likeness]:
    return {name: likeness((PANEL / f"{name}.py").read_text()) for name in INDEPENDENT}


# What a fingerprint is of.


@pytest.mark.parametrize("name", DISGUISES)
def test_disguised_copy_has_the_same_graph(name: str, original: Likeness) -> None:
    copy = likeness(DISGUISES[name])
    assert (copy.digest, copy.features, copy.traits) == (original.digest, original.features, original.traits)


HEADS = (
    "F.adaptive_avg_pool2d(x, 1).flatten(1)",
    "F.avg_pool2d(x, 26).squeeze()",
    "x.mean((2, 3))",
    "x.mean(dim=[-1, -2], keepdim=True).view(-1, 10)",
    "x.flatten(2).mean(2)",
    "x.view(x.shape[0], 10, -1).mean(-1)",
)
BODIES = (
    "self.a(x) + 2 * self.b(x)",
    "torch.add(self.b(x).mul(2), self.a(x))",
    "self.b(x).multiply_(2.0).add_(self.a(x))",
)


def small(forward: str, made: str = "") -> Likeness:
    lines = f"{HEADER}class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    lines += "        self.a, self.b = nn.Conv2d(1, 10, 3), nn.Conv2d(1, 10, 3)\n" + made
    return likeness(f"{lines}    def forward(self, x):\n        return {forward}\n")


def test_spellings_of_one_function_are_one_graph() -> None:
    assert len({small(head.replace("x", "self.a(x)", 1)).digest for head in HEADS}) == 1
    assert len({small(f"({body}).mean((2, 3))").digest for body in BODIES}) == 1


def test_shared_weights_are_another_graph() -> None:
    body = "(self.a(x) + 2 * self.b(x)).mean((2, 3))"
    assert small(body).digest != small(body, "        self.b = self.a\n").digest


@pytest.mark.parametrize("name", CHANGED)
def test_changed_copy_has_another_graph(name: str, original: Likeness) -> None:
    assert likeness(CHANGED[name]).digest != original.digest


def test_distances_tell_changed_copies_from_independent_models(
    original: Likeness, panel: Mapping[str, Likeness]
) -> None:
    """Each copy is in a class with its original and independent models; docs/alike.md tells of a larger class."""
    found = {name: round(_distance(original, likeness(text), panel), 2) for name, text in CHANGED.items()}
    assert found == {
        "a dropout more": 0.03,
        "another activation": 0.12,
        "another dropout rate": 0.16,
        "no biases": 0.16,
        "a layer more": 0.37,
        "another width": 0.64,
        "another width, activation and rate": 0.74,
        "all widths": 0.91,
    }
    independent = View({name: bag(item.features) for name, item in panel.items()})
    pairs = itertools.combinations(independent.bags.values(), 2)
    assert min(independent.distance(*pair) for pair in pairs) > 2 * GRAPH_LIMIT


def _distance(original: Likeness, copy: Likeness, others: Mapping[str, Likeness]) -> float:
    view = View({name: bag(item.features) for name, item in {**others, "original": original, "copy": copy}.items()})
    return view.distance(view.bags["original"], view.bags["copy"])


def test_what_only_the_prediction_does_changes_the_digest(original: Likeness) -> None:
    only_eval = ORIGINAL.replace("        return F", "        x = x if self.training else x.abs()\n        return F")
    found = likeness(only_eval)
    assert (found.features, found.digest != original.digest) == (original.features, True)


def test_traits_are_what_a_person_would_name(original: Likeness) -> None:
    assert original.traits == (
        "channels 11-13-17-17-10",
        "kernel sizes 3-3-3-3-1",
        "dropout 0.07",
        "activation relu",
    )


def test_largest_likeness_is_4_kb_of_json() -> None:
    full = sketch(hashed(str(number)) for number in range(1000))
    trait = "channels " + "-".join(["256"] * 24)
    found = Likeness("f" * 32, full, full, (trait, trait, trait, trait))
    assert (len(full), len(msgspec.json.encode(found)) <= 4096 + 1) == (FEATURES_CAP, True)


def test_grading_carries_graph_and_text(tmp_path: Path, original: Likeness) -> None:
    for name, text in {"whole": ORIGINAL, "broken": ORIGINAL.replace("__init__()", "__init__(1 / 0)")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(text)
    with Template.start() as template:
        course = read_rules(None)
        whole = examine_in(template, tmp_path / "whole", course, Settings())
        broken = examine_in(template, tmp_path / "broken", course, Settings())
        absent = examine_in(template, tmp_path / "absent.py", course, Settings())
    assert whole.likeness == original
    assert broken.likeness == Likeness(text=features_of(ORIGINAL.replace("__init__()", "__init__(1 / 0)")))
    assert absent.likeness is None


# Source text.


def features_of(text: str) -> dict[str, int]:
    return text_features({"model.py": text.encode()})


def test_text_does_not_see_names_comments_strings_and_layout() -> None:
    changed = ORIGINAL.replace("conv", "layer").replace("Net", "Model").replace('"""My', '"""Not his, but my')
    changed = changed.replace("self.pool = ", "self.pool   =  # two by two\n            ").replace("(x)", "( x )")
    assert features_of(changed) == features_of(ORIGINAL) != {}


def test_tokens_keep_what_torch_names() -> None:
    text = 'self.fc1 = nn.Linear(784, 10)  # ten\nreturn F.relu(f\'{x}\' + r"""a\n"b""" + y.T)'
    assert " ".join(tokens(text)) == "N = N .Linear ( 784 , 10 ) return N .relu ( + + N .T )"


def test_copied_passage_leaves_common_stretches() -> None:
    other = "import math\n\n\ndef area(radius):\n    return math.pi * radius ** 2\n" * 20
    passage = ORIGINAL[ORIGINAL.index("        self.conv1") :]
    assert set(features_of(other + passage)) & set(features_of(ORIGINAL)) != set()
    assert set(features_of(other)) & set(features_of(ORIGINAL)) == set()


@pytest.mark.parametrize(
    "data",
    [
        b"'" * 300_000,
        b'"""' * 100_001,
        b'"' + b'\\"' * 150_000,
        b"('" * 150_000,
        b"self" + b" " * 300_000,
        b"rbf" * 100_000,
        b"\\" * 300_000,
        b"x = (" * 60_000,
        b"\xff\xfe\x00",
        b"\x00" * 1000,
        "é = 'ü'  # ∂\n".encode() * 20_000,
    ],
    ids=lambda data: repr(data[:5]),
)
def test_hostile_text_is_split_in_linear_time(data: bytes) -> None:
    began = time.process_time()
    found = text_features({"model.py": data, "book.ipynb": data})
    assert (len(found) <= FEATURES_CAP, time.process_time() - began < 5) == (True, True)


def test_sketches_of_two_texts_keep_the_same_stretches() -> None:
    """What is taken of a text with the starting code in it is taken of the starting code too."""
    chance = random.Random(1)
    start, own = ([hashed(str(chance.random())) for _ in range(300)] for _ in range(2))
    left = bag(sketch(start + own)) - bag(sketch(start))
    assert {feature for feature, _ in left} <= set(own)


# Distances and groups.


def test_distance_weighs_what_is_rare() -> None:
    common = {"conv": 1, "relu": 1}
    view = View(
        {str(n): bag({**common, f"own{n}": 1}) for n in range(6)} | {"a": bag({"odd": 2}), "b": bag({"odd": 2})}
    )
    assert view.bits == {
        **{(f"own{n}", 0): pytest.approx(3.17, abs=0.01) for n in range(6)},
        **{("odd", n): pytest.approx(3.17, abs=0.01) for n in range(2)},
        **{(name, 0): pytest.approx(0.85, abs=0.01) for name in common},
    }
    distances = [view.distance(view.bags[one], view.bags[other]) for one, other in ("ab", "01", "0a")]
    assert distances == pytest.approx([0.0, 0.79, 1.0], abs=0.01)


def test_near_pairs_are_those_that_a_look_at_all_pairs_finds() -> None:
    chance = random.Random(2)
    parts = [frozenset((f"{chance.randrange(60)}", 0) for _ in range(6)) for _ in range(30)]
    bags = list(dict.fromkeys(frozenset().union(*chance.sample(parts, 3)) for _ in range(150)))
    view = View(dict(enumerate_names(bags)))
    for limit in (0.2, 0.5, 0.8):
        expected = {
            (one, other): distance
            for one, other in itertools.combinations(range(len(bags)), 2)
            if (distance := view.distance(bags[one], bags[other])) <= limit
        }
        assert near_pairs(view, bags, limit) == expected


def enumerate_names(bags: list[frozenset[tuple[str, int]]]) -> list[tuple[str, frozenset[tuple[str, int]]]]:
    return [(str(number), found) for number, found in enumerate(bags)]


def test_groups_do_not_grow_into_chains() -> None:
    chain = {(0, 1): 0.1, (1, 2): 0.2, (2, 3): 0.1}
    assert linked(5, chain) == [(0, 1), (2, 3), (4,)]
    assert linked(4, {**chain, (0, 2): 0.3, (0, 3): 0.3, (1, 3): 0.3}) == [(0, 1, 2, 3)]


def made(name: str, *, own: int = 20, common: int = 20, text: str = "", traits: tuple[str, ...] = ()) -> Likeness:
    """Return a graph with features that only graphs of its name have, and some that all have."""
    features = {f"{name}{number}": 1 for number in range(own)} | {f"common{number}": 1 for number in range(common)}
    stretches = {f"{text or name}/{number}": 1 for number in range(20)}
    return Likeness(hashed(name) * 4, features, stretches, traits)


def a_class(size: int, **some: Likeness) -> dict[str, Likeness]:
    return {**{f"s{n:03}": made(f"g{n}", traits=("channels 8-16-10",)) for n in range(size - len(some))}, **some}


def test_odd_graph_that_three_share_is_told_of() -> None:
    odd = {
        name: made("odd", text=name, traits=("channels 11-13-17", "activation relu")) for name in ("ana", "bo", "cy")
    }
    assert groups(a_class(200, **odd).items()) == (
        AlikeGroup(
            "same",
            ("ana", "bo", "cy"),
            0.0,
            "the same graph, with channels 11-13-17 that nobody else has; names and source text differ; "
            "what they share is found, on average, in 1 of 10 submissions",
        ),
    )


def test_graph_that_much_of_the_class_shares_says_nothing() -> None:
    popular = {f"p{number}": made("popular", text=f"p{number}") for number in range(80)}
    assert groups(a_class(200, **popular).items()) == ()


def test_near_graphs_are_told_with_their_distance_and_who_has_the_same() -> None:
    base = made("odd", own=30, common=5, text="a")
    near = msgspec.structs.replace(base, digest="other", features={**base.features, "odd0": 2, "new": 1}, text={"t": 1})
    found = groups(a_class(50, ana=base, bo=msgspec.structs.replace(base, text={"b": 1}), cy=near).items())
    assert found == (
        AlikeGroup(
            "near",
            ("ana", "bo", "cy"),
            0.075,
            "nearly the same graph; ana and bo have the same one; names and source text differ; "
            "what they share is found, on average, in 1 of 16 submissions",
        ),
    )


def test_words_call_students_by_their_names() -> None:
    base = made("odd", own=30, common=5, text="a")
    near = msgspec.structs.replace(base, digest="other", features={**base.features, "odd0": 2, "new": 1}, text={"t": 1})
    likenesses = a_class(50, s1=base, s2=msgspec.structs.replace(base, text={"b": 1}), s3=near)
    (found,) = groups(likenesses.items(), names={"s1": "Ana"})
    assert found.why.split("; ")[1] == "Ana and s2 have the same one"


def test_text_is_a_hint_of_its_own() -> None:
    pair = {"ana": made("one", text="shared"), "bo": made("two", text="shared")}
    broken = {name: Likeness(text=made("x", text="broken").text) for name in ("cy", "di")}
    said = "their source text is the same but for names, strings and comments"
    rarity = "what they share is found, on average, in 1 of 51 submissions"
    assert groups(a_class(50, **pair, **broken).items()) == (
        AlikeGroup("near", ("ana", "bo"), 0.0, f"{said}; their graphs are at a distance of 0.99; {rarity}"),
        AlikeGroup("near", ("cy", "di"), 0.0, f"{said}; not all of them have a graph; {rarity}"),
    )


def common_text(chance: random.Random, base: Sequence[str] = (), own: int = 40) -> Likeness:
    """Return a text of stretches that one in six of the class have too, and of those of a base."""
    pool = [f"line {number}" for number in range(240)]
    return Likeness(text=dict.fromkeys([*base, *chance.sample(pool, own)], 1))


def test_text_put_together_of_common_lines_is_told_of_where_no_other_is_near() -> None:
    chance = random.Random(1)
    honest = {f"s{number:03}": common_text(chance) for number in range(198)}
    most = dict.fromkeys([*list(honest["s007"].text)[:38], "new 1", "new 2"], 1)
    changed = {"ana": honest["s005"], "bo": Likeness(text=most)}
    said = "not all of them have a graph; few other texts are anything like theirs"
    assert groups({**honest, **changed}.items()) == (
        AlikeGroup(
            "near", ("ana", "s005"), 0.0, f"their source text is the same but for names, strings and comments; {said}"
        ),
        AlikeGroup("near", ("bo", "s007"), 0.172, f"nine tenths of their source text is the same; {said}"),
    )


def test_those_who_begin_with_one_tutorial_are_not_told_of_for_that() -> None:
    chance = random.Random(1)
    tutorial = [f"tutorial {number}" for number in range(60)]
    begun = {f"t{number:03}": common_text(chance, tutorial, own=4) for number in range(80)}
    honest = {f"s{number:03}": common_text(chance) for number in range(120)}
    assert groups({**honest, **begun}.items()) == ()
    assert groups({**honest, **dict(list(begun.items())[:3])}.items()) != ()


def test_graph_and_text_of_the_same_students_are_one_hint() -> None:
    pair = {"ana": made("odd", text="shared"), "bo": made("odd", text="shared")}
    (found,) = groups(a_class(50, **pair).items())
    assert (found.members, found.why.split("; ")[:2]) == (
        ("ana", "bo"),
        ["the same graph", "their source text is the same but for names, strings and comments"],
    )


def test_starting_code_is_left_out_and_those_who_kept_it_are_known() -> None:
    start = made("start")
    built = {
        f"s{number:02}": msgspec.structs.replace(
            start,
            digest=str(number),
            features={**start.features, **{f"{number}.{own}": 1 for own in range(10)}},
            text={**start.text, **{f"{number}/{own}": 1 for own in range(10)}},
        )
        for number in range(5)
    }
    found = groups({**built, "ana": start, "bo": start}.items(), start)
    assert found == (AlikeGroup("same", ("ana", "bo"), 0.0, "unchanged starting code"),)
    unfinished = Likeness(text=start.text)  # a starting code that cannot run yet
    kept = groups({**built, "ana": unfinished}.items(), unfinished)
    assert kept[-1] == AlikeGroup("same", ("ana",), 0.0, "unchanged starting code")


def test_order_of_the_class_does_not_matter() -> None:
    pairs = list(a_class(60, ana=made("odd", text="a"), bo=made("odd", text="b"), cy=made("x"), di=made("x")).items())
    expected = groups(pairs)
    random.Random(3).shuffle(pairs)
    assert (groups(pairs), [group.members for group in expected]) == (expected, [("ana", "bo"), ("cy", "di")])


def test_class_of_two_and_of_none() -> None:
    assert groups([]) == ()
    assert [group.members for group in groups([("a", made("x")), ("b", made("x"))])] == [("a", "b")]
    assert groups([("a", made("x")), ("b", made("y"))]) == ()


def test_limits_are_distances() -> None:
    assert 0 < GRAPH_LIMIT < TEXT_LIMIT < 1
