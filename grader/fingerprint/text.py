"""The fingerprint of source text: stretches of tokens without names, strings and comments.

Stretches of `STRETCH` tokens are hashed, and of every `WINDOW` neighbouring ones the smallest hash is kept: winnowing
(Schleimer, Wilkerson and Aiken, SIGMOD 2003), as Moss does it. A copied passage of STRETCH + WINDOW - 1 tokens always
leaves a common one. The text is split by one regular expression in linear time, and never parsed: it is a stranger's.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from grader.likeness import hashed, sketch
from grader.notebook import manifest_text

STRETCH = 12  # tokens: about a line
WINDOW = 12
TOKENS_CAP = 20_000  # of one submission

_TOKEN = re.compile(
    r"""
    (?P<skip> \#[^\n]*
      | [rbfuRBFU]{0,3} (?: \"{3} [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* (?: \"{3} )?
                          | '{3}  [^'\\]* (?: (?: \\. | '(?!'') ) [^'\\]* )* (?: '{3}  )?
                          | " [^"\\\n]* (?: \\. [^"\\\n]* )* "?
                          | ' [^'\\\n]* (?: \\. [^'\\\n]* )* '? ) )
  | (?P<own> self \s* \. \s* [^\W\d]\w* )
  | (?P<public> \. \s* [^\W\d]\w* )
  | (?P<word> [^\W\d]\w* )
  | (?P<number> \d[\w.]* )
  | (?P<mark> [^\w\s] )
    """,
    re.VERBOSE | re.DOTALL,
)


def text_features(files: Mapping[str, bytes]) -> dict[str, int]:
    """Return the counted stretches of the text of some files; those that hold no text are left out."""
    found: list[str] = []
    left = TOKENS_CAP
    for path in sorted(files):
        words = list(islice(_tokens_of(path, files[path]), left))
        left -= len(words)
        found += winnowed(words)
    return sketch(found)


def _tokens_of(path: str, data: bytes) -> Iterator[str]:
    try:
        text = manifest_text(path, data)
    except ValueError:
        return iter(())
    return tokens(text)


def tokens(text: str) -> Iterator[str]:
    """Yield the tokens of a text: what a student names is 'N', what torch names (`nn.Conv2d`) stays."""
    for found in _TOKEN.finditer(text):
        sort = found.lastgroup
        if sort == "word":
            yield found[0] if keyword.iskeyword(found[0]) else "N"
        elif sort == "own":
            yield "N"
        elif sort != "skip":
            yield found[0]


def winnowed(words: Sequence[str]) -> list[str]:
    """Return the hashes that stand for a sequence of tokens; a short one has none."""
    hashes = [hashed(*words[start : start + STRETCH]) for start in range(len(words) - STRETCH + 1)]
    windows = range(len(hashes) - WINDOW + 1)
    places = dict.fromkeys(min(range(start, start + WINDOW), key=lambda at: (hashes[at], -at)) for start in windows)
    return [hashes[place] for place in places]
