"""The way to a cluster that can grade: everything that may be wrong with it is told before any work."""

from __future__ import annotations

import asyncio
import logging
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from grader.classroom.cluster import task
from grader.classroom.engine import EngineError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10.0
WORKERS_SECONDS = 15.0
SHOWN = 3  # workers that a message names

INSTALL = "pip install 's5-grade[cluster]'"


def connect(address: str) -> Client:
    """Return a client of the scheduler at an address; raise EngineError.

    Certificates for a `tls://` address are those of Dask's own configuration.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise EngineError(f"grading on a cluster needs the package distributed ({error}): {INSTALL}") from error
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # of a lost scheduler an EngineError tells
    try:
        asyncio.run(_try(address))
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="s5-grade")
    except (OSError, asyncio.TimeoutError, RuntimeError, TypeError, ValueError) as error:
        reason = f" ({error})" if str(error) else ""
        raise EngineError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS:g} seconds{reason}. "
            "Expected an address such as tcp://10.0.0.1:8786, as `dask scheduler` prints it when it starts."
        ) from error


async def _try(address: str) -> None:
    """Connect once: a client that may wait has no deadline for what accepts connections and says nothing."""
    from distributed import Client

    client = Client(address, timeout=CONNECT_SECONDS, asynchronous=True, set_as_default=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the client that stays says them again
            await asyncio.wait_for(client, CONNECT_SECONDS)
    finally:
        await asyncio.wait_for(client.close(), CONNECT_SECONDS)


def await_workers(client: Client, address: str) -> None:
    """Wait for a first worker; raise EngineError where none comes."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except (OSError, asyncio.TimeoutError) as error:
        raise EngineError(
            f"the cluster at {address} has no worker, and none came within {WORKERS_SECONDS:g} seconds. "
            f"Start some with: dask worker {address}"
        ) from error


def compare_versions(client: Client, wanted: dict[str, str]) -> None:
    """Raise EngineError where a worker has other versions: its results would be other ones."""
    found: dict[str, dict[str, str]] = {}
    for name in wanted:
        for worker, answer in client.run(version, name, on_error="return").items():
            found.setdefault(worker, {})[name] = _told(answer)
    wrong = {worker: task.differences(wanted, versions) for worker, versions in found.items()}
    _refuse(wrong, "the cluster cannot grade this class, as its versions differ from those here", _pinned(wanted))


def begin(client: Client, terms: bytes) -> None:
    """Get all workers ready; raise EngineError where one of them would not run a submission."""
    answers = client.run(task.begin, terms, on_error="return")
    _refuse({worker: str(answer) for worker, answer in answers.items()}, "the cluster cannot grade this class")


def _refuse(wrong: dict[str, str], headline: str, fix: str = "") -> None:
    """Raise EngineError where there is something wrong with a worker; '' stands for nothing."""
    lines = [f"worker {worker}: {reason}" for worker, reason in sorted(wrong.items()) if reason]
    if lines:
        more = [f"and {len(lines) - SHOWN} more workers"] if len(lines) > SHOWN else []
        raise EngineError(f"{headline}: {'; '.join([*lines[:SHOWN], *more])}.{fix and f' {fix}'}")


def _told(answer: object) -> str:
    """Return a version as a process tells its own; see `settings.reproduction`."""
    return "not installed" if isinstance(answer, PackageNotFoundError) else str(answer)


def _pinned(wanted: dict[str, str]) -> str:
    return f"Install there: pip install {' '.join(f'{name}=={number}' for name, number in wanted.items())}"
