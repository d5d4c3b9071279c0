"""What is wrong with a class as a whole, for its instructor to mend."""

from __future__ import annotations

from grader.render.escape import visible

SHOWN = 20  # problems told at once


class IntakeError(Exception):
    """A class that cannot be read; the message has a line or more for each problem, with the way out.

    What it quotes is made visible.
    """

    def __init__(self, *problems: str) -> None:
        more = len(problems) - SHOWN
        lines = [*problems[:SHOWN], f"and {more:,} more problems like these"] if more > 0 else problems
        super().__init__("\n".join(visible(line) for problem in lines for line in problem.split("\n")))
        self.problems = problems
