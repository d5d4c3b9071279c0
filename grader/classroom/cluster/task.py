"""What runs in a worker process of the cluster: one bench for all of its threads, as long as the process lives."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from grader.classroom.cluster import wire
from grader.classroom.engine import Bench, EngineError, Stopped, lacking

if TYPE_CHECKING:
    from distributed import Worker

_lock = threading.Lock()
_benches: dict[tuple[str, bool], Bench] = {}


async def begin(terms: bytes, dask_worker: Worker) -> str:
    """Get a worker ready; return why it would grade nothing, '' where it will.

    The templates stay until the worker ends, so a next class finds them warm.
    """
    known = wire.decode_terms(terms)
    try:
        await asyncio.to_thread(_bench(known, dask_worker).begin)
    except EngineError as error:
        return str(error)
    return await asyncio.to_thread(lacking, known.course)


def grade(terms: bytes, job: bytes) -> bytes:
    """Grade one submission; raise EngineError where this worker, which may have joined late, must not."""
    from distributed import get_worker

    worker = get_worker()
    known = wire.decode_terms(terms)
    if differing := differences(known.versions, wire.versions_here(known.course)):
        raise EngineError(f"worker {worker.address} has {differing}")
    return wire.encode_done(_bench(known, worker).grade(known.course, wire.decode_job(job), _heed(worker)))


def differences(wanted: dict[str, str], found: dict[str, str]) -> str:
    """Return in words where versions differ: 'torch 2.4.0 instead of 2.5.1'; '' where they do not."""
    return ", ".join(
        f"{name} {found[name]} instead of {wanted[name]}" for name in wanted if found[name] != wanted[name]
    )


def _bench(terms: wire.Terms, worker: Worker) -> Bench:
    gpu = terms.settings.train and terms.settings.device == "cuda"
    with _lock:
        bench = _benches.get((terms.sandbox, gpu))
        if bench is None:
            bench = _benches[terms.sandbox, gpu] = Bench(terms.sandbox, worker.state.nthreads, gpu=gpu)
            atexit.register(bench.close)
    return bench


def _heed(worker: Worker) -> Callable[[], None]:
    """Return what ends the task of this thread when nobody waits for its result any more, be it that the front is gone.

    Dask lets a task that has begun run to its end, and only notes that it is cancelled.
    """
    tasks, key = worker.state.tasks, worker.get_current_task()

    def heed() -> None:
        task = tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Stopped

    return heed
