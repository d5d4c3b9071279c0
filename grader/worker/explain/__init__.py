"""What a student is told when their code raises: their own exception, where it happened, why, and what to do."""

from __future__ import annotations

import sys

from grader.finding import Span
from grader.notebook import is_notebook
from grader.protocol import CaptureJob, Frame, Refusal
from grader.worker import pasted, places, spelling
from grader.worker.explain.raised import TEXT_CAP, Case, Raised, Stage, clean, headline, name_of, text_of
from grader.worker.explain.rules import RULES
from grader.worker.stand_ins import REPLACED, REPLACED_PARTS, StandInUsed, given_at, last_use, path_of

_PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}"

__all__ = ["TEXT_CAP", "clean", "name_of", "need_of_stand_in", "refuse_exception"]


def refuse_exception(error: BaseException, stage: Stage, job: CaptureJob) -> Refusal:
    """Return the refusal for an exception that student code raised; nothing that the exception does can disturb it."""
    if isinstance(error, SyntaxError) and str(getattr(error, "filename", "")).startswith(places.PREFIX):
        return _syntax(error)
    raised = Raised(error, name_of(error), clean(text_of(error), TEXT_CAP), stage, job)
    frames = places.frames_of(error.__traceback__)
    span = frames[-1].span if frames else None
    if isinstance(error, StandInUsed) or "StandIn" in raised.text:
        path = getattr(error, "path", "") or _stand_in_near(error) or last_use()
        return need_of_stand_in(path, given_at(path) or span, frames)
    case = next((case for rule in RULES if (case := rule(raised)) is not None), None) or _plain(raised)
    return Refusal(
        code=case.code or stage,
        message=clean(case.message, TEXT_CAP),
        why=case.why,
        fix=case.fix,
        span=span,
        frames=frames,
        error=clean(f"{raised.kind}: {raised.text}" if raised.text else raised.kind, TEXT_CAP),
    )


def need_of_stand_in(path: str, span: Span | None, frames: tuple[Frame, ...] = ()) -> Refusal:
    """Return the refusal of a model that computes with an absent package."""
    root = path.lstrip(".").partition(".")[0] if path.startswith(".") else path.partition(".")[0]
    if path.startswith("."):
        what, fix = f"{root} is not part of the submission", f"Submit {root}.py beside the model."
    elif root in REPLACED or path.startswith((*REPLACED_PARTS, "torch.")):
        what = f"{root if root != 'torch' else path} is replaced by a stand-in here"
        fix = "Write this part with torch.nn itself, or take it out of the model."
    else:
        what = f"{root} is neither installed here nor part of the submission"
        fix = f"Install {root}, or submit {root}.py beside the model, or write this part with torch.nn itself."
    return Refusal(
        "import",
        f"{what}, and the model needs it: {clean(path, 200)}",
        why=f"Such a package is replaced by an inert stand-in; {'the model' if span is None else 'this line'} uses it.",
        fix=fix,
        span=span,
        frames=frames,
    )


def _stand_in_near(error: BaseException) -> str:
    """Where torch refused a stand-in by its type, it is an argument of one of the calls in progress."""
    found = ""
    traceback = error.__traceback__
    while traceback is not None:
        for value in list(traceback.tb_frame.f_locals.values()):
            items = list(value) if type(value) in (tuple, list) else [value]
            found = next((path for item in items if (path := path_of(item))), found)
        traceback = traceback.tb_next
    return found


def _syntax(error: SyntaxError) -> Refusal:
    file = str(error.filename)[len(places.PREFIX) :]
    line, end = error.lineno or 1, getattr(error, "end_lineno", None) or error.lineno or 1
    column, end_column = max(error.offset or 0, 0), max(getattr(error, "end_offset", None) or 0, 0)
    if end_column <= column and end == line:
        end_column = column + 1 if column else 0
    text = clean(str(error.msg), TEXT_CAP)
    why, fix = (
        f"{_PYTHON} can't read this line, so nothing of the file can be run.",
        f"Run the file once with {_PYTHON} before you submit it.",
    )
    if "print" in text and "parenthes" in text.lower():
        why, fix = "print without parentheses is Python 2.", "Write print(…); this file is read as Python 3."
    elif isinstance(error, TabError) or "tabs and spaces" in text:
        fix = "Indent with spaces only."
    else:
        fix = pasted.advice(places.text_of(file, line), text) or fix
    kind = name_of(error)
    return Refusal(
        "syntax",
        f"{_shown_line(file, line)} is not Python: {text}",
        why=why,
        fix=fix,
        span=Span(file, line, column, end, end_column),
        error=clean(f"{kind}: {text}", TEXT_CAP),
    )


def _shown_line(file: str, line: int) -> str:
    return f"{file}, {places.line_of(file, line)}," if is_notebook(file) else f"{file}:{line}"


def _plain(raised: Raised) -> Case:
    messages = {
        "load": (
            "The model's definition could not be run.",
            "Run the file once, as it was submitted, and fix what it says.",
        ),
        "constructor": ("The model could not be constructed.", _construct_fix(raised)),
        "forward": (
            f"The model was given a batch of images of shape {raised.input}.",
            f"Try it: model(torch.randn(2, {', '.join(map(str, raised.job.input_shape))})).",
        ),
    }
    why, fix = messages[raised.stage]
    return Case(None, headline(raised), why, fix)


def _construct_fix(raised: Raised) -> str:
    given = ", ".join(f"{key}=…" for key in raised.job.arguments)
    name = clean(spelling.constructed(raised.error), 100) or raised.job.class_name or "Net"
    return f"Construct it once on its own: model = {name}({given})."
