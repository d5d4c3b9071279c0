"""The engine on a cluster, seen from the front: it hands out jobs as bytes and takes results as they end."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from grader.classroom.cluster import task, wire
from grader.classroom.cluster.connect import await_workers, begin, compare_versions, connect
from grader.classroom.engine import EngineError
from grader.classroom.engine.bench import failed
from grader.classroom.types import Course, Done, Job
from grader.sandbox import Sandbox

if TYPE_CHECKING:
    from distributed import Client, Future

FOR_EACH_THREAD = 2  # jobs under way: the one that it grades, and the one that comes next
LOOK_SECONDS = 2.0  # between two looks at who is there
LOST_SECONDS = 120.0  # for workers to come back when none is left
FETCH_SECONDS = 30.0  # for a result to come from the worker that has it
CLOSE_SECONDS = 5.0
LARGE = "distributed.admin.large-graph-warning-threshold"  # of what Dask warns of; a submission may have 18 MB

_GO_ON = "What is graded is kept: when it is back, start the class again."


class Cluster:
    """Grades on the workers of a Dask cluster, as many submissions at a time as they have threads.

    As a context manager it connects and looks at every worker; raises EngineError where one of them can't grade.
    """

    def __init__(self, course: Course, address: str, sandbox: Sandbox) -> None:
        self._course = course
        self._address = address
        self._terms = wire.encode_terms(course, sandbox)
        self._client: Client | None = None
        self._threads: dict[str, int] = {}
        self._looked = 0.0  # when workers were last looked for
        self._staffed = time.monotonic()  # and when they were last there

    @property
    def shown(self) -> str:
        workers = len(self._threads)
        workers_shown = f"{workers} worker{'' if workers == 1 else 's'}"
        return f"{sum(self._threads.values())} at a time on {workers_shown} of {self._address}"

    def __enter__(self) -> Cluster:
        self._client = connect(self._address)
        try:
            await_workers(self._client, self._address)
            compare_versions(self._client, wire.versions_here(self._course))
            begin(self._client, self._terms)
            self._look(self._client)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def grade(self, jobs: Iterator[Job]) -> Iterator[Done]:
        """Yield what comes of each job as it ends; leaving early ends those that are under way.

        Raises EngineError where the scheduler is gone, or all workers are and stay away.
        """
        client = self._client
        assert client is not None  # a context manager
        ended: SimpleQueue[Future[bytes]] = SimpleQueue()
        under_way: dict[str, tuple[Job, Future[bytes]]] = {}
        try:
            while True:
                while len(under_way) < self._most and (job := next(jobs, None)) is not None:
                    future = self._submit(client, job)
                    under_way[str(future.key)] = job, future
                    future.add_done_callback(ended.put)
                if not under_way:
                    return
                future = self._next(client, ended)
                done = self._done(client, under_way[str(future.key)][0], future)
                if done is None:
                    future.add_done_callback(ended.put)
                    continue
                del under_way[str(future.key)]
                yield done
        finally:
            if client.status == "running":
                client.cancel([future for _, future in under_way.values()])

    def close(self) -> None:
        """Leave the cluster; what is under way there ends within a second, the workers stay."""
        if self._client is not None:
            self._client.close(timeout=CLOSE_SECONDS)

    @property
    def _most(self) -> int:
        return FOR_EACH_THREAD * max(1, sum(self._threads.values()))

    def _submit(self, client: Client, job: Job) -> Future[bytes]:
        import dask

        kind = "s5-train" if job.train else "s5-grade"  # Dask learns from the name how long such a task takes
        with dask.config.set({LARGE: "1 GB"}):
            return client.submit(
                task.grade,
                self._terms,
                wire.encode_job(job),
                key=f"{kind}-{uuid.uuid4()}",
                priority=-1 if job.train else 0,  # what is quick goes first
                pure=False,
            )

    def _next(self, client: Client, ended: SimpleQueue[Future[bytes]]) -> Future[bytes]:
        """Wait for a job to end, as long as there is somebody to end it."""
        while True:
            self._look(client)
            with suppress(Empty):
                return ended.get(timeout=LOOK_SECONDS)

    def _look(self, client: Client) -> None:
        """Take note of who is there, every few seconds; raise EngineError where nobody is."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        self._threads = _threads(client)
        if self._threads:
            self._staffed = now
        elif client.status != "running":
            raise EngineError(f"the scheduler at {self._address} is gone. {_GO_ON}")
        elif now - self._staffed > LOST_SECONDS:
            raise EngineError(f"the cluster at {self._address} has lost all its workers. {_GO_ON}")

    def _done(self, client: Client, job: Job, future: Future[bytes]) -> Done | None:
        """Return what came of a job; None where its result was lost with the worker that had it, and is made again."""
        try:
            return wire.decode_done(future.result(timeout=FETCH_SECONDS), job.key)
        except asyncio.TimeoutError:
            return None
        except Exception as error:  # whatever made the task fail comes out here, also what is Dask's own
            if client.status != "running":
                raise EngineError(f"the scheduler at {self._address} is gone. {_GO_ON}") from error
            settings = replace(self._course.settings, train=job.train)
            reason = str(error).strip() or type(error).__name__
            return Done(job.key, failed(self._course, settings, job, f"on the cluster: {reason}"), 0.0)


def _threads(client: Client) -> dict[str, int]:
    """Return how many threads each worker has; none where the scheduler does not answer."""
    try:
        return dict(client.nthreads())
    except (OSError, RuntimeError):
        return {}
