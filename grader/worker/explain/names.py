"""Names that are not there: attributes, variables and modules that nothing has set, bound or submitted."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from torch import nn

from grader.worker import spelling
from grader.worker.explain.raised import DOING, Case, Raised, Stage, clean, headline, name_of

_LIKE_INIT = re.compile(r"_{0,3}(init|int|inti|intit)_{0,3}")


def absent_import(raised: Raised) -> Case | None:
    if not isinstance(raised.error, ModuleNotFoundError):
        return None
    name = clean(str(getattr(raised.error, "name", "") or "a package"), 100)
    return Case(
        "import",
        f"{name} is neither installed here nor part of the submission, and the model needs it",
        f"{raised.line}.",
        "Submit the file beside the model, or write this part with torch.nn itself.",
    )


def absent_attribute(raised: Raised) -> Case | None:
    """A layer that the model uses and that nothing has made."""
    error = raised.error
    if type(error) is not AttributeError:  # another class may say anything of its name and object
        return None
    try:
        return _attribute_case(getattr(error, "name", None), getattr(error, "obj", None), raised.stage)
    except Exception:  # the object is the submission's
        return None


def _attribute_case(attribute: Any, owner: Any, stage: Stage) -> Case | None:
    if type(attribute) is not str or not issubclass(type(owner), nn.Module):
        return None
    name = clean(attribute, 100)
    misspelt = next((key for key in vars(type(owner)) if key != "__init__" and _LIKE_INIT.fullmatch(key)), None)
    if misspelt is not None:
        fix = f"Rename {misspelt} to __init__, with two underscores on each side: it is never called."
    else:
        near = get_close_matches(name, [clean(key, 100) for key in vars(owner)["_modules"]], 1, 0.5)
        fix = f"Set self.{name} in __init__" + (f", or write self.{near[0]}." if near else ".")
    message = f"{name_of(owner)} has no self.{name} ({DOING[stage]})"
    return Case(None, message, "Nothing has set it before this line.", fix)


def misspelt(raised: Raised) -> Case | None:
    """A name that nothing binds, or that torch does not have."""
    error = raised.error
    try:
        if type(error) is NameError:  # another class may say anything of its name
            _, fix = spelling.unbound(error)
            message = headline(raised)
        elif type(error) is AttributeError:
            found, fix = spelling.absent(error)
            message = f"{clean(found, 200)} ({DOING[raised.stage]})"
        else:
            return None
    except Exception:  # the names and objects are the submission's
        return None
    return Case(None, message, "Python can't find this name.", clean(fix, 300)) if fix else None


def unset_module(raised: Raised) -> Case | None:
    lost = isinstance(raised.error, AttributeError) and re.search(
        r"before Module.__init__\(\) call|has no attribute '_(modules|parameters|buffers|(backward|forward)_hooks)'",
        raised.text,
    )
    if not lost:
        return None
    return Case(
        "constructor",
        "the constructor never calls super().__init__()",
        "Until it is called, a module can hold neither layers nor parameters.",
        "Make super().__init__() the first line of __init__.",
    )
