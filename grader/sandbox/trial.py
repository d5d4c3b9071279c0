"""A child that is given nothing to do: what a machine can confine is known before anything is graded on it."""

from __future__ import annotations

from grader.sandbox.control import Errand
from grader.sandbox.conversation import greet
from grader.sandbox.outcomes import Unsealed
from grader.sandbox.template import Template

SECONDS = 60.0


def trial(template: Template) -> Unsealed | None:
    """Start one child and end it; return why a submission would not be run here, if it would not.

    Raises SandboxError where none can be started.
    """
    with template.child(Errand("worker", SECONDS)) as child:
        greet([child])
        return template.refusal(child)
