"""Show which layer of the sandbox stops which attack of the suite in tests/attacks: each layer alone, none, and all.

    python tests/attacks/table.py [--group GROUP ...] [--markdown]
    sudo .venv/bin/python tests/unprivileged.py .venv/bin/python tests/attacks/table.py   # as a user without rights

Attacks that exhaust the machine, and those that no layer needs to stop (nothing that they forge is consulted), run with
all layers only: `·` stands for the rest. All targets are files, processes and loopback servers that the suite makes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

from attack import Attack
from catalogue import ATTACKS
from suite import run
from world import World

from grader.sandbox import SandboxError, Template
from grader.sandbox.control import LayerName

COLUMNS: dict[str, tuple[LayerName, ...]] = {
    "none": (),
    "limits": ("limits",),
    "privileges": ("privileges",),
    "landlock": ("landlock",),
    "seccomp": ("seccomp",),
    "bubblewrap": ("bubblewrap",),
    "landlock+seccomp": ("landlock", "seccomp"),
    "all": ("limits", "privileges", "landlock", "seccomp", "bubblewrap"),
}
STOPPED, PASSED, NOT_RUN = "✓", "✗", "·"


def column(name: str, attacks: list[Attack], world: World) -> Iterator[str]:
    """Yield how each attack fares against the layers of one column; a template that one has killed is started again."""
    template = Template.start(layers=COLUMNS[name])
    try:
        for attack in attacks:
            if (attack.bomb or not attack.stopped_by) and name != "all":
                yield NOT_RUN
                continue
            try:
                yield STOPPED if run(attack, world, template).stopped else PASSED
            except SandboxError:
                template.close()
                template = Template.start(layers=COLUMNS[name])
                yield PASSED
    finally:
        template.close()


def lines(rows: list[tuple[str, ...]], markdown: bool) -> Iterator[str]:
    """Yield the rows of a table, the first its heads."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip()
        if number == 0 and markdown:
            yield "|" + "---|" * len(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--group", action="append", help="only attacks of this group; may be repeated")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    options = parser.parse_args()

    attacks = [attack for attack in ATTACKS if not options.group or attack.group in options.group]
    with World() as world:
        columns = {name: list(column(name, attacks, world)) for name in COLUMNS}
    heads = ("attack", *COLUMNS)
    each = [(attack.name, *(columns[name][place] for name in COLUMNS)) for place, attack in enumerate(attacks)]
    groups = list(dict.fromkeys(attack.group for attack in attacks))
    sums = [heads]
    for group in [*groups, ""]:
        places = [place for place, attack in enumerate(attacks) if group in ("", attack.group)]
        sums.append((group or "all groups", *(counted([columns[name][place] for place in places]) for name in COLUMNS)))
    who = "root" if os.geteuid() == 0 else "a user without rights"
    print(f"{len(attacks)} attacks as {who}; {STOPPED} stopped, {PASSED} not, {NOT_RUN} not run\n")
    print("\n".join([*lines([heads, *each], options.markdown), "", *lines(sums, options.markdown)]))


def counted(cells: list[str]) -> str:
    """Return how many of the attacks that were run were stopped."""
    ran = [cell for cell in cells if cell != NOT_RUN]
    return f"{ran.count(STOPPED)} of {len(ran)}" if ran else NOT_RUN


if __name__ == "__main__":
    main()
