"""What a child gives up before it does its work, and what of it is in force."""

from __future__ import annotations

import sys

from grader.sandbox.linux import PR_SET_NO_NEW_PRIVS, prctl

# One row a layer, in the words of the report. A row changes only together with what enforces it.
COMMON_LAYERS = {
    "environment": "empty, but for thread counts",
    "descriptors": "none but its channel and its captured output",
    "time": "wall clock",
    "memory": "not limited",
    "filesystem": "not confined",
    "network": "not confined",
    "system calls": "not confined",
}
FORK_LAYERS = {
    "process": "own session, killed with all descendants",
    "privileges": "none can be gained",
    **COMMON_LAYERS,
}
SPAWN_LAYERS = {"process": "own session, killed as a group; a descendant can leave the group", **COMMON_LAYERS}


def confine() -> None:
    """Give up, for good, what neither a worker nor an executor needs; runs in the child before any student code."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl(PR_SET_NO_NEW_PRIVS, 1)  # a set-user-id program could not be killed
