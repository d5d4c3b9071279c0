"""Noticing a save: by looking at the files again and again.

What counts is the bytes that would be graded; the times and sizes of the files only tell when to read these.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.manifest import Submission, SubmissionError, read_submission
from grader.rules import Rules, RulesError, read_rules, rules_files

POLL_SECONDS = 0.02  # between two looks while nothing happens
SETTLE_SECONDS = 0.01  # that files must have rested: a save may take several writes, and clocks of files tick slowly
PATIENCE_SECONDS = 0.5  # with what is gone, empty or unreadable: an editor may take a file away to put another there
REREAD_SECONDS = 0.25  # between two readings of everything, in case the times of the files told nothing
REREAD_SHARE = 20  # a reading is followed by this many times as long without one

Stamp = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Sight:
    """What there is to grade at one moment: the submission and the rules, or what is wrong with either."""

    submission: Submission | SubmissionError
    rules: Rules | RulesError

    def same(self, other: Sight) -> bool:
        """Tell whether two sights mean the same grading."""
        pairs = ((self.submission, other.submission), (self.rules, other.rules))
        return all(_comparable(one) == _comparable(another) for one, another in pairs)

    def doubtful(self, known: Sight) -> bool:
        """Tell whether this may be the middle of a save: something that was there is gone, empty or unreadable."""
        if _newly_wrong(self.rules, known.rules) or _newly_wrong(self.submission, known.submission):
            return True
        if not isinstance(self.submission, Submission) or not isinstance(known.submission, Submission):
            return False
        files = self.submission.files
        return any(data.strip() and not files.get(name, b"").strip() for name, data in known.submission.files.items())


def _newly_wrong(found: object, known: object) -> bool:
    return isinstance(found, Exception) and _comparable(found) != _comparable(known)


def _comparable(found: object) -> object:
    return (type(found), vars(found)) if isinstance(found, Exception) else found


class Lookout:
    """Looks at a submission and a rules file; it never waits, and knows what it has shown.

    `clock` returns seconds, from any beginning. `first` is what there was at the start.
    """

    def __init__(
        self, path: str | os.PathLike[str], file: str | None, rules: str | None, clock: Callable[[], float]
    ) -> None:
        self._path = Path(path)
        self._file = file
        self._source = rules
        self._clock = clock
        self._rules: Rules | RulesError
        self._rules_stamps: dict[Path, Stamp] = {}
        self._reread_at = 0.0
        self.first = self._known = self._read()
        self._stamps = _stamps(self._watched(self.first))
        self._looked_at = self._moved_at = clock()
        self._unread = True  # once more: something may have been saved between the reading and the stamps
        self._doubted_at: float | None = None

    @property
    def pause(self) -> float:
        """The seconds to wait before the next look."""
        return SETTLE_SECONDS if self._unread else POLL_SECONDS

    def new(self) -> Sight | None:
        """Return what there is to grade, if it is another than before and rests; a look too soon after one is none."""
        now = self._clock()
        if now - self._looked_at < SETTLE_SECONDS:
            return None
        self._looked_at = now
        stamps = _stamps(self._stamps)
        if stamps != self._stamps:
            self._moved(stamps, now)
            return None
        if now - self._moved_at < SETTLE_SECONDS or not (self._unread or now >= self._reread_at):
            return None
        sight = self._read()
        stamps = _stamps(self._watched(sight))
        if any(stamps.get(path, stamp) != stamp for path, stamp in self._stamps.items()):
            self._moved(stamps, now)
            return None
        self._stamps = stamps
        return self._shown(sight, now)

    def _moved(self, stamps: dict[Path, Stamp], now: float) -> None:
        self._stamps, self._moved_at, self._unread = stamps, now, True

    def _shown(self, sight: Sight, now: float) -> Sight | None:
        """Return a sight that is news and no longer doubtful."""
        known = sight.same(self._known)
        if not known and sight.doubtful(self._known):
            if self._doubted_at is None:
                self._doubted_at = now
            if now - self._doubted_at < PATIENCE_SECONDS:
                self._unread = True
                return None
        self._unread, self._doubted_at = False, None
        if known:
            return None
        self._known = sight
        return sight

    def _read(self) -> Sight:
        started = self._clock()
        submission: Submission | SubmissionError
        try:
            submission = read_submission(self._path, self._file)
        except SubmissionError as error:
            submission = error
        if not self._rules_stamps or _stamps(self._rules_stamps) != self._rules_stamps:
            self._read_rules()
        ended = self._clock()
        self._reread_at = ended + max(REREAD_SECONDS, REREAD_SHARE * (ended - started))
        return Sight(submission, self._rules)

    def _read_rules(self) -> None:
        self._rules_stamps = _stamps(rules_files(self._source))  # before the rules: what is saved meanwhile is seen
        try:
            self._rules = read_rules(self._source)
        except RulesError as error:
            self._rules = error

    def _watched(self, sight: Sight) -> Iterator[Path]:
        """Yield the files that a sight was read from, and their folders, which show files that come and go."""
        folder = self._path if self._path.is_dir() else self._path.parent
        yield from (self._path, folder, *self._rules_stamps)
        if isinstance(sight.submission, Submission):
            for name in sight.submission.files:
                yield folder / name
                yield (folder / name).parent


def _stamps(paths: Iterator[Path] | tuple[Path, ...] | dict[Path, Stamp]) -> dict[Path, Stamp]:
    """Return what changes about each file when it is written or another takes its place; None where there is none."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
