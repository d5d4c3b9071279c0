"""The profile for macOS's `sandbox-exec`: files can be read where libraries lie, nothing is written, no network.

Written from Apple's own profiles in /System/Library/Sandbox/Profiles and from what other projects published. It has not
been tried on a Mac: what it achieves there is what the self-test of each child finds. The program is deprecated, and in
wide use. It is *partial* at most, as it filters operations, not system calls, and memory can't be bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

PROGRAM = "/usr/bin/sandbox-exec"

_SYSTEM = ("/usr/lib", "/usr/share", "/System", "/Library/Frameworks", "/Library/Developer", "/private/var/db/timezone")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


def wrapped(command: Sequence[str], readable: Iterable[str]) -> list[str]:
    """Return a command that runs another one under the profile."""
    return [PROGRAM, "-p", profile(command[0], readable), *command]


def profile(interpreter: str, readable: Iterable[str]) -> str:
    """Return the profile's text: everything is denied but what it names.

    The interpreter may be run, as it is this that `sandbox-exec` starts; a fork may not. libomp keeps a note in shared
    memory under a name of its own, without which it ends the process.
    """
    folders = "\n".join(f"  (subpath {_quoted(path)})" for path in dict.fromkeys([*readable, *_SYSTEM]))
    devices = "\n".join(f"  (literal {_quoted(path)})" for path in _DEVICES)
    return f"""(version 1)
(deny default)
(allow process-exec (literal {_quoted(interpreter)}))
(deny process-fork)
(deny network*)
(deny file-write*)
(allow file-read-metadata)
(allow file-read*
{folders}
{devices}
)
(allow file-write-data (literal "/dev/null"))
(allow sysctl-read)
(allow signal (target self))
(allow ipc-posix-shm* (ipc-posix-name-regex #"^/__KMP_REGISTERED_LIB_"))
"""


def _quoted(text: str) -> str:
    """Quote a string for a profile; its escapes are those of JSON, for what a path may hold."""
    return json.dumps(text, ensure_ascii=False)
